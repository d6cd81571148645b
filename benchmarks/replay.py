"""What the median rule would have saved of runs that were trained by hand, one after the other.

    python benchmarks/replay.py RUN RUN ...
    python benchmarks/replay.py --orders 100 RUN RUN ...     # whole trials of a study, in random orders

Each RUN is a folder with `config.yaml` and `history.json`, in the order in which they were trained. A run
that the rule ends counts for those after it as far as it came, and no further. All settings are the
defaults; nothing runs on as a control, since all is known anyway.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from search.errors import UserError
from search.loading import vocabulary_of
from search.objective import CurveShape
from search.pruners.learning_curve import Curve
from search.pruners.median_rule import CurveTable, MedianSettings
from search.pruners.pruner import Decision
from search.recorded_run import RecordedRun, read_run
from search.scoring import best_mean

NAMES: Mapping[str, Sequence[str]] = {
    "trainer.epochs": ("training.epochs", "trainer.epochs"),
    "schedule.warmup_epochs": ("training.warmup_epochs", "schedule.warmup_epochs"),
    "schedule.kind": ("training.scheduler", "schedule.kind"),
    "schedule.restart_epochs": ("training.restart_epochs", "training.T_0", "training.t_0"),
    "schedule.restart_factor": ("training.restart_factor", "training.T_mult", "training.t_mult"),
}
"""What shapes a curve, by its name in the stock space -> where a recorded run may have it."""

SETTINGS = MedianSettings(control=0.0)


@dataclass(frozen=True)
class Replayed:
    """A run under the rule: after how many epochs it ended, and why where that was the rule's doing."""

    run: RecordedRun
    epochs: int
    decision: Decision | None

    @property
    def saved(self) -> int:
        return len(self.run.scores) - self.epochs


def replay(runs: Iterable[RecordedRun], settings: MedianSettings = SETTINGS) -> list[Replayed]:
    """The runs one after the other, each until the rule ends it."""
    table = CurveTable(settings)
    replayed = []
    for number, run in enumerate(runs):
        table.add(Curve.of(number, shape_of(run.leaves)))
        replayed.append(_train(table, number, run))
    return replayed


def _train(table: CurveTable, number: int, run: RecordedRun) -> Replayed:
    for epoch, score in enumerate(run.scores, start=1):
        table.update(number, epoch, math.nan if score is None else score)
        decision = table.decide(number, epoch)
        if decision.prune:
            return Replayed(run, epoch, decision)
    return Replayed(run, len(run.scores), None)


def shape_of(leaves: Mapping[str, Any]) -> CurveShape:
    """What delays and restarts a recorded run's curve; what is recorded nowhere is left out."""
    vocabulary = vocabulary_of()
    recorded = {
        name: next((leaves[leaf] for leaf in written if leaves.get(leaf) is not None), None)
        for name, written in NAMES.items()
    }
    params = {name: value for name, value in recorded.items() if value is not None}
    if "schedule.kind" in params:
        kind = params["schedule.kind"]
        params["schedule.kind"] = vocabulary.recorded_values.get(kind, kind)
    return vocabulary.curve(params)


def value(run: RecordedRun) -> float:
    """What the run would be worth as a trial: its best mean of five."""
    mean = best_mean(list(run.finite.values()), SETTINGS.smooth)
    return -math.inf if mean is None else mean


def in_random_orders(runs: Sequence[RecordedRun], orders: int) -> str:
    """What the rule costs where the order of the runs is chance: epochs, and what it ends of the best."""
    best = max(map(value, runs))
    shares, regrets = [], []
    for seed in range(orders):
        replayed = replay(random.Random(seed).sample(runs, len(runs)))
        shares.append(sum(each.epochs for each in replayed) / sum(len(run.scores) for run in runs))
        regrets.append(best - max(value(each.run) for each in replayed if not each.decision))
    ended = sum(regret > 0 for regret in regrets)
    return (
        f"{orders} orders of {len(runs)} runs: {fmean(shares):.0%} of the epochs ({min(shares):.0%} to "
        f"{max(shares):.0%}), the best ended in {ended}; the best that was kept is {fmean(regrets):.4f} "
        f"below it (at most {max(regrets):.4f})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="What pruning would have saved of recorded runs.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders, in the order they were trained")
    parser.add_argument("--orders", type=int, help="so many random orders, and what the rule costs in them")
    arguments = parser.parse_args()
    try:
        runs = [read_run(folder) for folder in arguments.runs]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.orders:
        print(in_random_orders(runs, arguments.orders))
        return 0
    replayed = replay(runs)
    print("| run | epochs | best mean of five | ended |\n|---|---|---|---|")
    for each in replayed:
        ended = each.decision.text if each.decision else ""
        print(f"| {each.run.name} | {len(each.run.scores)} | {value(each.run):.4f} | {ended} |")
    saved, trained = sum(each.saved for each in replayed), sum(len(each.run.scores) for each in replayed)
    print(f"\n{saved} of {trained} epochs saved ({100 * saved / trained:.0f} %)")
    best = max(replayed, key=lambda each: value(each.run))
    fate = f"is ended at epoch {best.epochs}" if best.decision else "survives"
    print(f"the best, {best.run.name}, {fate}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
