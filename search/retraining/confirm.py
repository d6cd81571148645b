"""`search confirm`: retrain a search's best and its baseline on the same fresh seeds, and say what is left.

Contenders, baseline and rule are chosen once, when the retraining study is made. The same command goes
on with it, on this machine's workers; `search worker --study mseg-confirm` joins from others.
"""

from dataclasses import dataclass
from typing import Any

from search.analysis import winners_curse
from search.analysis.confirmation import Confirmation, confirmation
from search.errors import UserError
from search.retraining.contenders import config_named, default_baseline, ranked, split_parameter
from search.retraining.study import check_searches, prepare, standing
from search.study.plan import FIRST, SEEDS, Plan
from search.study.read import read_records, read_snapshot
from search.study.study import Study

SUFFIX = "-confirm"
TOP = 3  # contenders, where nobody says otherwise


@dataclass(frozen=True, kw_only=True)
class ConfirmRequest:
    """What the command line asked for; None for what the retraining study has, or the default.

    Attributes:
        name: of the retraining study. top: how many contenders. against: the baseline.
        seeds: of every config at most. trials: trainings over all configs at most.
        splits: whether every seed draws a train/val split of its own.
    """

    name: str | None = None
    top: int | None = None
    against: str | None = None
    seeds: int | None = None
    trials: int | None = None
    splits: bool | None = None

    @property
    def rule(self) -> dict[str, Any]:
        """What stays as it was when the retraining study was made."""
        said = {"top": self.top, "against": self.against, "seeds": self.seeds, "splits": self.splits}
        return {flag: value for flag, value in said.items() if value is not None}


def prepared(study: Study, asked: ConfirmRequest) -> tuple[Study, list[str]]:
    """The retraining study, its next round planned; and sentences on what was decided.

    Raises:
        StudyError: it was made by another rule, or `study` retrains itself.
        UserError: what was asked for does not fit the study.
    """
    check_searches(study)
    name = asked.name or f"{study.name}{SUFFIX}"
    return prepare(study, name, "confirm", asked.rule, asked.trials, lambda: choose(study, asked))


def choose(study: Study, asked: ConfirmRequest) -> tuple[Plan, list[str]]:
    """The plan for a new retraining study."""
    records = read_records(study)
    baseline = (
        default_baseline(study, records)
        if asked.against is None
        else config_named(study, records, asked.against, "--against")
    )
    top = asked.top or TOP
    others = [config for config in ranked(study, records) if config.params != baseline.params]
    contenders = others[:top]
    if not contenders:
        raise UserError(
            f"--against: {baseline.name} is the only config that completed; nothing to hold against it"
        )
    notes = []
    if len(contenders) < top:
        notes.append(f"only {len(contenders)} other configs have completed: they are the contenders")
    snapshot = read_snapshot(study)
    if not snapshot.budget.used_up:
        notes.append("the search has not ended: its best of now are retrained, and stay the contenders")
    settings = study.spec.study
    seeds = asked.seeds or SEEDS
    plan = Plan(
        kind="confirm",
        of=study.name,
        configs=(baseline, *contenders),
        first=min(FIRST, seeds),
        last=seeds,
        trials=asked.trials,
        seed=settings.sampler.seed,
        split=split_parameter(study.spec.space.constants) if asked.splits else None,
        asked={
            "top": top,
            "against": asked.against,
            "seeds": seeds,
            "splits": bool(asked.splits),
        },
        predicted=winners_curse.predict(records, settings.smooth, settings.direction),
        values=winners_curse.values_of(records),
    )
    return plan, notes


def answer(made: Study) -> Confirmation:
    """What the results say so far."""
    plan, results, ended = standing(made)
    return confirmation(made.name, plan, results, made.spec.study.direction, ended=ended)
