"""What a search finds and what it costs, in simulated studies whose truth is known.

    python benchmarks/simulated_studies.py --studies 200 --processes 2

The package `simulation` has the learning curves, the samplers, the pruners and the study. Every row sees
the same studies: the same landscapes, and the same luck in the same slot. Workers are simulated in virtual
time: each trains one trial at a time, at that trial's speed.

The first columns are about the first 60 trials of each study, however many epochs they take:

- `epochs`: those trained, in % of what the trials would have taken without pruning.
- `lost`: studies in % whose truly best trial was pruned.
- `regret`: by how much the chosen config, the complete one with the best mean of five scores, is truly
  worse than the best of the trials, in points (hundredths of F).

The others are at equal epochs, those of 30 full trainings, for however many trials they last:

- `trials`: how many began.
- `gain`: by how many points the choice is truly better than that of a random search without pruning.
- `behind`: by how many it is worse than that of our median with the same sampler and one worker, without a
  control group, since the others have none.

All with 95 % intervals: Wilson's (1927) for shares, bootstrap over studies for means; `gain` and `behind`
are means of differences within a study.
"""

import argparse
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import optuna
from simulation.ftpfn import FAMILY as FTPFN
from simulation.learning_curves import FAMILIES as MADE_HERE
from simulation.pruners import PRUNERS
from simulation.samplers import SAMPLERS
from simulation.study import TRIALS, Outcomes, Study

from search.analysis.pruning_audit import wilson

OURS = "ours, no control group"
TOLD = "Optuna median, told"

FAMILIES = {**({FTPFN.name: FTPFN} if importlib.util.find_spec("ifbo") else {}), **MADE_HERE}


@dataclass(frozen=True)
class Cell:
    """A row of the table."""

    family: str
    sampler: str = "random"
    pruner: str = OURS
    workers: int = 1


STOCK = "Optuna median, from a third on"

CELLS = tuple(
    cell
    for cell in (
        *(
            Cell(family, pruner=pruner)
            for family in (FTPFN.name, "warm-up", "fitted")
            for pruner in PRUNERS
        ),
        *(Cell(family, workers=8) for family in ("warm-up", "fitted")),
        *(
            Cell("fitted", sampler, pruner)
            for sampler in ("TPE, ours", "TPE, Optuna's")
            for pruner in ("none", OURS)
        ),
        Cell("fitted", "TPE, Optuna's", STOCK),
        Cell("fitted", "TPE, ours", workers=8),
        *(
            Cell(family, pruner=pruner)
            for family in FAMILIES
            if family.startswith("fitted, ")
            for pruner in ("none", OURS, TOLD, "i-Epoch, told", STOCK, "Ray ASHA, from a tenth on")
        ),
    )
    if cell.pruner in PRUNERS and cell.family in FAMILIES
)


def run(cell: Cell, seed: int) -> Outcomes:
    """The study `seed` of a cell; the seed is the landscape's, the sampler's and the control group's."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    family = FAMILIES[cell.family]
    sampler = SAMPLERS[cell.sampler](family, seed)
    pruner = PRUNERS[cell.pruner](family.epochs, seed)
    return Study(family, seed, sampler, pruner, cell.workers).run(budget=TRIALS * family.epochs / 2)


# The table ------------------------------------------------------------------------------------------


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean, by percentiles over 4000 resamples."""
    draws = np.random.default_rng(0).choice(np.asarray(values), (4000, len(values)))
    low, high = np.quantile(draws.mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _mean(values: Sequence[float], form: str, factor: float = 1.0) -> str:
    """`48.1 (47.5 to 48.7)`."""
    low, high = bootstrap(values)
    shown = (f"{factor * each:{form}}" for each in (float(np.mean(values)), low, high))
    return "{} ({} to {})".format(*shown)


def _less(a: Sequence[Outcomes], b: Sequence[Outcomes]) -> list[float]:
    """Study by study, how much better the choice of `a` at equal epochs is than that of `b`, in points."""
    return [100 * (ours.equal.value - theirs.equal.value) for ours, theirs in zip(a, b, strict=True)]


def row(cell: Cell, pairs: Sequence[Outcomes], plain: Sequence[Outcomes], ours: Sequence[Outcomes]) -> str:
    lost = [pair.whole.lost for pair in pairs]
    rate = wilson(sum(lost), len(lost))
    return (
        f"| {cell.family} | {cell.sampler} | {cell.pruner} | {cell.workers} "
        f"| {_mean([pair.whole.epochs for pair in pairs], '.1f', 100)} "
        f"| {100 * rate.share:.1f} ({100 * rate.low:.1f} to {100 * rate.high:.1f}) "
        f"| {_mean([pair.whole.regret for pair in pairs], '.2f', 100)} "
        f"| {np.mean([pair.equal.trials for pair in pairs]):.0f} "
        f"| {_mean(_less(pairs, plain), '+.2f')} | {_mean(_less(ours, pairs), '+.2f')} |"
    )


HEAD = """\
| family | sampler | pruner | workers | epochs | lost | regret | trials | gain | behind |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Simulated studies: what a search finds and what it costs."
    )
    parser.add_argument("--studies", type=int, default=200, help="studies a row")
    parser.add_argument("--first", type=int, default=0, help="seed of the first study")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--pruners", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--workers", nargs="+", type=int, choices=(1, 8), default=[1, 8])
    arguments = parser.parse_args()
    found: dict[Cell, list[Outcomes]] = {}
    print(HEAD)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for cell in CELLS:
            chosen = (
                cell.family in arguments.families,
                cell.sampler in arguments.samplers,
                cell.pruner in arguments.pruners,
                cell.workers in arguments.workers,
            )
            if not all(chosen):
                continue
            for needed in (Cell(cell.family, pruner="none"), replace(cell, pruner=OURS, workers=1), cell):
                if needed not in found:
                    seeds = range(arguments.first, arguments.first + arguments.studies)
                    found[needed] = list(pool.map(partial(run, needed), seeds, chunksize=5))
            plain = found[Cell(cell.family, pruner="none")]
            print(row(cell, found[cell], plain, found[replace(cell, pruner=OURS, workers=1)]), flush=True)


if __name__ == "__main__":
    main()
