"""Is `search report` right about beliefs? Simulated studies whose truth is known.

    python benchmarks/belief_calibration.py --studies 100

Studies of 60 trials as in `importance_calibration.py`: the first of four parameters costs up to 0.03 from
its top to the far end of its range, with noise of 0.005; the others do nothing. Two beliefs are tested,
each in a study by itself: one about a parameter that does nothing, one about the first.

Columns, in % of studies with 95 % intervals (Wilson 1927): `all trials`, the belief about nothing is called
supported or contradicted if every trial is tested; `blind`, the same on the trials drawn without regard to
results, as a report does it; `found`, the belief about the first parameter is called on those.
"""

import argparse

import optuna
from importance_calibration import HILL, Family, trials_of
from simulation.percentages import percentage

from search.analysis.beliefs import belief_results, drawn_blindly
from search.records import Record
from search.spec.known import Belief
from search.spec.settings import SamplerSettings

TRIALS = 60
IDLE = Belief("does nothing", {"flat": {"above": 0.5}})
REAL = Belief("costs", {HILL: {"above": 0.65}})


def is_called(belief: Belief, records: list[Record]) -> bool:
    (result,) = belief_results([belief], records, {}, "maximize")
    return result.verdict != "undetermined"


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated studies: is it right what is said of beliefs?")
    parser.add_argument("--studies", type=int, default=100, help="a row")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("| studies drawn | all trials | blind | found |")
    print("|---|---|---|---|")
    for name, kind in (("evenly", "random"), ("by TPE", "tpe")):
        family = Family(name, 0.03, sampled=kind == "tpe")
        rows = []
        for seed in range(arguments.studies):
            records = trials_of(family, seed, TRIALS)
            blind = drawn_blindly(records, SamplerSettings(kind), informed=False)
            rows.append((is_called(IDLE, records), is_called(IDLE, blind), is_called(REAL, blind)))
        print(f"| {name} | {' | '.join(map(percentage, zip(*rows, strict=True)))} |", flush=True)


if __name__ == "__main__":
    main()
