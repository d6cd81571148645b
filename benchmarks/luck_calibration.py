"""Does the predicted winner's curse hold where all trials share their seed? Simulated searches.

    python benchmarks/luck_calibration.py --searches 200

A value is the level of its config, what its seed gives to every config (`shared`, in units of the noise),
and noise of its own with a standard deviation of 0.004, of which the curves of single trainings show only
half. A search of `trials` takes turns with `seeds` seeds. A search that learns draws the second half of its
configs near the best five so far. The curse is the highest value less its config's level.

`actual` and `predicted` are means over searches. `held`: in percent of searches with 95 % intervals (Wilson
1927), the prediction's interval holds the curse.
"""

import argparse

import numpy as np
from simulation.percentages import percentage

from search.analysis.noise import Floats
from search.analysis.winners_curse import prediction

NOISE = 0.004
FAMILIES = ("equal", "normal", "a hill", "a hill, learned")


def level(family: str, x: Floats, rng: np.random.Generator) -> float:
    """Of a config at x, (3,), each from -1 to 1."""
    if family == "equal":
        return 0.66
    if family == "normal":
        return float(rng.normal(0.66, NOISE))
    return float(0.69 - 0.03 * (x**2) @ np.array([1.0, 0.5, 0.1]))


def search(
    family: str, trials: int, shared: float, seeds: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Levels and values of a search, (trials,) each."""
    offsets = shared * NOISE * rng.standard_normal(seeds)
    configs, levels, values = np.empty((trials, 3)), np.empty(trials), np.empty(trials)
    for number in range(trials):
        configs[number] = rng.uniform(-1, 1, 3)
        if family.endswith("learned") and number >= trials // 2:
            parents = configs[np.argsort(values[:number])[-5:]]
            configs[number] = np.clip(rng.choice(parents) + rng.normal(0, 0.15, 3), -1, 1)
        levels[number] = level(family, configs[number], rng)
        values[number] = levels[number] + offsets[number % seeds] + NOISE * rng.standard_normal()
    return levels, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--searches", type=int, default=200, help="a row")
    arguments = parser.parse_args()
    print("| levels | trials | shared | seeds | actual | predicted | held |")
    print("|---|---|---|---|---|---|---|")
    for row, family in enumerate(FAMILIES):
        for trials, shared, seeds in ((15, 1.0, 1), (60, 0.0, 1), (60, 1.0, 1), (60, 1.0, 4)):
            rng = np.random.default_rng(100 + row)
            found = []
            for _ in range(arguments.searches):
                levels, values = search(family, trials, shared, seeds, rng)
                best = values.argmax()
                told = prediction(values.tolist(), NOISE / 2, seeds)
                curse = values[best] - levels[best]
                if told.low is None or told.high is None:
                    raise ValueError("a prediction has an interval")
                found.append((curse, told.curse, bool(told.low <= curse <= told.high)))
            actual, predicted, held = zip(*found, strict=True)
            print(
                f"| {family} | {trials} | {shared} | {seeds} | {np.mean(actual):+.4f} "
                f"| {np.mean(predicted):+.4f} | {percentage(held)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
