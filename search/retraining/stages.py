"""The stages of a search: `study.stages` of space.yaml, or `search start --stage`.

The first stage is the search itself. Each later one is a study of its own, `STUDY-stage-2` and so on, that
retrains by a plan: the best of the stage before, the known configs, and a random sample of the rest as
controls. The last may be a race on fresh seeds, as `search confirm` has it. A stage's study is made when
the one before has ended, by whoever finds that out first; what it plans follows from the results alone, so
it does not matter who that is.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from search.analysis.promotion import Group, PromotedConfig, Promotion, promotion
from search.errors import SearchError
from search.records import Record, finite
from search.retraining import study as retraining
from search.retraining.contenders import margin_of
from search.scoring import sign_of
from search.spec.known import KnownConfig
from search.spec.stages import SearchStage
from search.study.open import find_study, open_study
from search.study.plan import FIRST, Kind, Plan, PlannedConfig
from search.study.read import read_records, read_snapshot
from search.study.study import Study
from storage import studies

UNSOUND = ("diverged", "oom", "bug")
"""Reasons of a trial's end that it would meet again in the next stage."""


@dataclass(frozen=True, slots=True)
class StagedConfig:
    """A config of a stage.

    Attributes:
        group: why it is in the stage. value: what it came to, over all its seeds; None where it was pruned
            or failed.
        sound: whether it may go on as a control: it did not fail, diverge or run out of memory.
    """

    config: PlannedConfig
    group: Group | Literal["searched"]
    value: float | None
    sound: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StageView:
    """One stage as it stands.

    Attributes:
        index: from 0, which is the search itself. name: of its study, made or not.
        trials: how many trainings it has; None before its study is made. complete: with a value.
        ended: whether all its trainings have ended.
        configs: what it trained. left: of how many configs its controls were drawn.
    """

    index: int
    name: str
    stage: SearchStage
    trials: int | None
    complete: int
    ended: bool
    configs: Sequence[StagedConfig] = ()
    left: int = 0

    def numbers(self, *groups: str) -> list[int | None]:
        """The numbers, in the search, of the configs of these groups."""
        return [each.config.number for each in self.configs if each.group in groups]

    def to_json(self) -> dict[str, Any]:
        """The object under `stages` of `search status --json`."""
        return finite(
            {
                "study": self.name,
                "overrides": dict(self.stage.constants),
                "trials": self.trials,
                "complete": self.complete,
                "kept": self.numbers("kept"),
                "controls": self.numbers("control"),
            }
        )


def read_stages(search: Study) -> list[StageView]:
    """Every stage of `search` as it stands; none where it has no stages."""
    return [_view(search, index) for index in range(len(search.spec.study.stages))]


def made_stages(search: Study) -> list[Study]:
    """The studies of the later stages that have been made."""
    names = [stage_name(search, index) for index in range(1, len(search.spec.study.stages))]
    return [study for name in names if (study := find_study(search.url, name)) is not None]


def retrained(search: Study) -> dict[Kind, list[Study]]:
    """The studies that retrain configs of `search`, by kind, the oldest first.

    The last stage's is the last of the races, if it is one and has begun.
    """
    by_kind = retraining.retraining_studies(search)
    by_kind["confirm"] += [
        each for each in made_stages(search) if each.plan and each.plan.kind == "confirm"
    ]
    return by_kind


def read_promotions(search: Study, views: Sequence[StageView]) -> list[Promotion]:
    """For each later stage that has results: what it says about the choice of the stage before."""
    found = []
    for before, after in pairwise(views):
        values = {each.config.name: each.value for each in before.configs}
        configs = [
            PromotedConfig(
                name=each.config.name,
                number=each.config.number,
                group=each.group,  # type: ignore[arg-type]  # nothing is searched in a later stage
                before=values.get(each.config.name),
                after=each.value,
            )
            for each in after.configs
        ]
        if any(config.after is not None for config in configs):
            found.append(promotion(configs, after.left, search.spec.study.direction))
    return found


def next_stage(study: Study, data: Path | None) -> Study | None:
    """The study of the stage after that of `study`, made if need be.

    None where there is none, where the stage of `study` has not ended, or where it was asked to stop.

    Raises:
        SearchError: no config has a value to go on with. DataError: the data cannot be read.
    """
    search, index = _search_of(study)
    if search is None or index + 1 >= len(search.spec.study.stages):
        return None
    row = studies.find(study.engine, study.name)
    if row is None or row.stop is not None:
        return None
    view = _view(search, index)
    if not view.ended:
        return None
    name = stage_name(search, index + 1)
    made = find_study(search.url, name)
    if made is not None and made.plan is not None:
        return made
    return retraining.create(search, name, _plan(search, view), search.spec.stage(index + 1), data)


def stage_name(search: Study, index: int) -> str:
    """What the study of stage `index` is called: the search's own name for the first."""
    return search.name if index == 0 else f"{search.name}-stage-{index + 1}"


def _search_of(study: Study) -> tuple[Study | None, int]:
    """The search that `study` is a stage of, and which; None where it is none."""
    if study.plan is None:
        return study, 0
    if study.plan.stage is None:
        return None, 0
    return open_study(study.url, study.plan.of), study.plan.stage


def _view(search: Study, index: int) -> StageView:
    stage, name = search.spec.study.stages[index], stage_name(search, index)
    if index == 0:
        snapshot = read_snapshot(search)
        records = [each for each in read_records(search) if each.params and each.repeat_of is None]
        return StageView(
            index=0,
            name=name,
            stage=stage,
            trials=snapshot.budget.trials,
            complete=snapshot.budget.complete,
            ended=snapshot.budget.used_up,
            configs=[_searched(record) for record in records],
        )
    made = find_study(search.url, name, read_only=True)
    if made is None or made.plan is None:
        return StageView(index=index, name=name, stage=stage, trials=None, complete=0, ended=False)
    plan, results, ended = retraining.standing(made)
    made.engine.dispose()
    configs = []
    for config, group, row in zip(plan.configs, plan.groups, results.scores, strict=True):
        scores = row[np.isfinite(row)]
        value = float(scores.mean()) if scores.size else None
        configs.append(StagedConfig(config, cast(Group, group), value, sound=value is not None))
    return StageView(
        index=index,
        name=name,
        stage=stage,
        trials=results.planned,
        complete=int(np.isfinite(results.scores).sum()),
        ended=ended,
        configs=configs,
        left=plan.left,
    )


def _searched(record: Record) -> StagedConfig:
    """A trial of the search."""
    config = PlannedConfig.of(record)
    lost = record.state == "failed" or (record.reason is not None and record.reason.code in UNSOUND)
    return StagedConfig(config, "searched", config.value, sound=record.value is not None and not lost)


def _plan(search: Study, view: StageView) -> Plan:
    """What the stage after `view`, which has ended, trains."""
    index, settings = view.index + 1, search.spec.study
    stage, seed, sign = settings.stages[index], settings.sampler.seed, sign_of(settings.direction)
    with_value = [each for each in view.configs if each.value is not None]
    ranked = sorted(with_value, key=lambda each: -sign * (each.value or 0.0))
    if not ranked:
        raise SearchError(f"study {search.name!r}: stage {index} has no complete trial, so none goes on")
    kept = ranked[: stage.keep]
    known = [_of_known(each, view) for each in search.spec.known]
    if stage.seeds is not None:
        return _race(search, index, stage.seeds, [each.config for each in kept], known, ranked)
    chosen = [each.config for each in kept]
    baselines = [config for config in known if all(config.params != each.params for each in chosen)]
    going = [config.params for config in (*chosen, *baselines)]
    left = [each.config for each in view.configs if each.sound and each.config.params not in going]
    count = min(len(left), max(1, round(stage.controls * len(left)))) if stage.controls else 0
    draw = random.Random(f"{seed} controls of stage {index}")
    controls = draw.sample(left, count)
    return Plan(
        kind="stage",
        of=search.name,
        configs=(*baselines, *chosen, *controls),
        first=1,
        last=1,
        seed=seed,
        stage=index,
        groups=("known",) * len(baselines) + ("kept",) * len(chosen) + ("control",) * len(controls),
        left=len(left),
    )


def _race(
    search: Study,
    index: int,
    seeds: int,
    kept: Sequence[PlannedConfig],
    known: Sequence[PlannedConfig],
    ranked: Sequence[StagedConfig],
) -> Plan:
    """A confirmation: the best known config, or else the best of all, is what the others are compared with.

    Values of another stage are of other constants, so they are not shown beside those of the race.
    """
    order = [each.config.params for each in ranked]
    known = sorted(
        (config for config in known if config.params in order),
        key=lambda config: order.index(config.params),
    )
    baseline = known[0] if known else kept[0]
    contenders = [config for config in kept if config.params != baseline.params]
    configs = [replace(config, value=None) for config in (baseline, *contenders)]
    return Plan(
        kind="confirm",
        of=search.name,
        configs=configs,
        first=min(FIRST, seeds),
        last=seeds,
        seed=search.spec.study.sampler.seed,
        asked={"top": len(contenders), "against": None, "seeds": seeds, "splits": False},
        stage=index,
        groups=("known" if known else "kept",) + ("kept",) * len(contenders),
        errors="moderated",
        margin=margin_of(search.spec),
    )


def _of_known(known: KnownConfig, view: StageView) -> PlannedConfig:
    """A known config as the stage trained it; if it did not, as space.yaml has it."""
    for each in view.configs:
        if each.config.params == known.params:
            return each.config
    return PlannedConfig(name=known.name, number=None, params=dict(known.params), value=None)
