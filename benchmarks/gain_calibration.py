"""Is the best of a search called better than the baseline when it is not? Simulated searches.

    python benchmarks/gain_calibration.py --searches 1000

The configs of a search have levels by its family, in units of the noise that a seed adds to a value. The
baseline has the median level, or is as good as all others where all are equal; in the last family every
config is five units better than the baseline. The best is the highest value.

Columns, in % of the searches whose best is not the baseline, with 95 % intervals (Wilson 1927): `wrong`,
the best is called better and is not; `called`, it is called better; `covered`, the interval holds the
truth. `raw`: how far the difference of the two values is above the truth, on average; `shrunken`: the same
of the expected gain.
"""

import argparse
from collections.abc import Callable
from statistics import fmean

import numpy as np
from importance_calibration import complete
from simulation.percentages import percentage

from search.analysis.expected_gain import expected_gain
from search.analysis.noise import Floats

NOISE = 0.004
FAMILIES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "equal": lambda rng, count: np.zeros(count),
    "as wide as the noise": lambda rng, count: rng.normal(size=count),
    "a hill": lambda rng, count: -4 * rng.uniform(-1, 1, count) ** 2,
    "half are bad": lambda rng, count: np.where(rng.uniform(size=count) < 0.5, -5.0, 0.0),
    "all are 5 better": lambda rng, count: np.zeros(count),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Is the best called better when it is not?")
    parser.add_argument("--searches", type=int, default=1000, help="a row")
    arguments = parser.parse_args()
    print("| levels | trials | wrong | called | covered | raw | shrunken |")
    print("|---|---|---|---|---|---|---|")
    for name, levels_of in FAMILIES.items():
        for trials in (8, 15, 60):
            rows = []
            for seed in range(arguments.searches):
                rng = np.random.default_rng(seed)
                levels = NOISE * levels_of(rng, trials)
                levels[0] = -5 * NOISE if name == "all are 5 better" else np.median(levels)
                values = levels + NOISE * rng.standard_normal(trials)
                best = values.argmax()
                records = [complete(number, {}, float(value)) for number, value in enumerate(values)]
                found = expected_gain(records, float(values[0]), "maximize")
                if found is None or best == 0:
                    continue
                truth = levels[best] - levels[0]
                called = found.verdict == "better"
                raw = values[best] - values[0] - truth
                covered = found.low <= truth <= found.high
                rows.append((called and truth <= 0, called, covered, raw, found.value - truth))
            wrong, called, covered, raw, shrunken = zip(*rows, strict=True)
            cells = [
                *map(percentage, (wrong, called, covered)),
                f"{fmean(raw):+.4f}",
                f"{fmean(shrunken):+.4f}",
            ]
            print(f"| {name} | {trials} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
