"""Does `search report` call classes different that are equal? Simulated pairs of runs.

    python benchmarks/class_calibration.py --pairs 100

Each of 19 classes climbs to a level of its own, at a pace of its own, with AR(1) noise of 0.02 per epoch.
The columns are the autocorrelations of that noise, the figures the pairs, in %, in which any class is
called higher or lower, with 95 % intervals (Wilson 1927).
"""

import argparse

import numpy as np
from simulation.noise import autoregressive
from simulation.percentages import percentage

from search.analysis.classes import class_changes
from search.analysis.noise import Floats
from search.analysis.training import Peak, peak
from search.loading import vocabulary_of
from search.recorded_run import RecordedRun

CLASSES, NOISE, SMOOTH = 19, 0.02, 5
VOCABULARY = vocabulary_of()
LENGTHS, AUTOCORRELATIONS = (30, 60, 140), (0.0, 0.3, 0.6)


def any_called(epochs: int, phi: float, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    levels, pace = rng.uniform(0.3, 0.9, (CLASSES, 1)), rng.uniform(2, epochs / 4, (CLASSES, 1))
    trend = levels * (1 - np.exp(-np.arange(1, epochs + 1) / pace))
    before, after = (_run(trend, phi, rng) for _ in range(2))
    return any(row.verdict for row in class_changes(before, after, ()))


def _run(trend: Floats, phi: float, rng: np.random.Generator) -> tuple[RecordedRun, Peak]:
    scores = (trend + NOISE * autoregressive(rng, phi, trend.shape)).T
    columns = {VOCABULARY.class_score_column or "": scores.tolist()}
    run = RecordedRun(
        name="a run",
        leaves={},
        scores=scores.mean(axis=1).tolist(),
        columns=columns,
        vocabulary=VOCABULARY,
    )
    return run, peak(run, SMOOTH)


def main() -> None:
    parser = argparse.ArgumentParser(description="Are classes called different that are equal?")
    parser.add_argument("--pairs", type=int, default=100, help="a figure")
    arguments = parser.parse_args()
    print(f"| epochs | {' | '.join(f'phi {phi}' for phi in AUTOCORRELATIONS)} |")
    print("|---|---|---|---|")
    for epochs in LENGTHS:
        cells = [
            percentage([any_called(epochs, phi, seed) for seed in range(arguments.pairs)])
            for phi in AUTOCORRELATIONS
        ]
        print(f"| {epochs} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
