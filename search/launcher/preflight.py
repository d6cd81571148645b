"""`search check`: what a search would do on this machine, before anything trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from search import formatting
from search.launcher.creation import QUICK, StartOptions, choose, probe
from search.launcher.estimate import (
    BudgetEstimate,
    StageEstimate,
    expected_saving,
    measure,
    measure_faster,
    trainings_of_stages,
)
from search.launcher.preview import Preview, check_picture, preview
from search.launcher.profile import Trace, trace
from search.loading import constraints_of, load_objective
from search.objective import Description
from search.records import Snapshot
from search.render.output import say
from search.runtime.devices import Device
from search.samplers.feasibility import FeasibleShare, feasible_share
from search.spec.spec import Spec
from search.study.open import find_study
from search.study.read import read_snapshot


@dataclass(frozen=True)
class Preflight:
    """Document, data and device as a search would find them."""

    spec: Spec
    description: Description | None
    device: str
    trace: Trace | None = None
    plan: BudgetEstimate | None = None
    preview: Preview | None = None
    feasible: FeasibleShare | None = None
    stages: Sequence[StageEstimate] = ()

    @property
    def problems(self) -> Sequence[str]:
        found = [*self.spec.notes, *self.spec.budget_notes(self.spec.study.trials)]
        return [*found, *(self.description.problems if self.description else ())]

    def to_json(self) -> dict[str, Any]:
        """The object of `search check --json`; parameters are the model's trainable ones."""
        data, shown = self.description, ("train", "val", "classes", "image_size", "source")
        measured: dict[str, Any] = {"trace": self.trace.to_json()} if self.trace else {}
        stages = [stage.to_json() for stage in self.stages]
        measured |= {"plan": {**self.plan.to_json(), "stages": stages}} if self.plan else {}
        measured |= {"augmentation": self.preview.to_json()} if self.preview else {}
        return {
            "parameters": data.parameters if data else None,
            "device": self.device,
            "data": data and {name: getattr(data, name) for name in shown},
            "feasible": self.feasible and self.feasible.to_json(),
            "problems": list(self.problems),
            **measured,
        }


def preflight(
    options: StartOptions,
    device: Device,
    trace_to: Path | None = None,
    plan_for: Sequence[int] | None = None,
    like: Snapshot | None = None,
    preview_to: Path | None = None,
) -> Preflight:
    """Reads everything a search would read; raises what a search would raise.

    Args:
        trace_to: train two epochs and write the second one's trace to this file; nothing else is written.
        plan_for: measure what the budget costs, and predict the end for these numbers of workers.
        like: a study whose trials show what pruning saves.
        preview_to: draw training images before and after augmentation into this PNG file.
    """
    if preview_to is not None:
        check_picture(preview_to)
    spec, _, _ = choose(options)
    description = probe(spec, options.data)
    drawn = preview(spec, options.data, preview_to) if preview_to else None
    traced = trace(spec, options.data, device.name, trace_to) if trace_to else None
    plan, stages = None, []
    if plan_for is not None:
        say(f"--plan: training three epochs{' of each stage' * bool(spec.study.stages)} on {device.label}")
        measured = measure(spec, options.data, device.name)
        trials = options.trials or spec.study.trials
        stages = [
            StageEstimate(trainings, measure(spec.stage(index), options.data, device.name))
            for index, trainings in enumerate(trainings_of_stages(spec, trials), 1)
        ]
        faster = (
            measure_faster(spec, options.data, device.name, measured)
            if device.name.startswith("cuda")
            else []
        )
        saving = expected_saving(spec, like)
        plan = BudgetEstimate(measured, saving, trials, len(spec.known), plan_for, faster)
    constraints = constraints_of(load_objective(spec.objective), description)
    feasible = feasible_share(spec, constraints) if constraints(spec.example()) else None
    return Preflight(spec, description, device.label, traced, plan, drawn, feasible, stages)


def study_like(url: str, name: str) -> Snapshot | None:
    """The study `name` or its quick twin as it is now; None where neither exists."""
    for each in (name, f"{name}-{QUICK}"):
        if (study := find_study(url, each, read_only=True)) is not None:
            return read_snapshot(study)
    return None


def check_table(report: Preflight) -> RenderableType:
    """What `search check` shows on a terminal: a row for each thing it found."""
    table = Table.grid(padding=(0, 2))
    for row in _rows(report):
        table.add_row(*row)
    return table


def _rows(report: Preflight) -> Iterator[tuple[str, str]]:
    spec, data = report.spec, report.description
    yield "objective", spec.objective
    if spec.profile:
        yield "profile", spec.profile
    yield "searched", ", ".join(parameter.name for parameter in spec.space.parameters)
    yield "known", "; ".join(known.name for known in spec.known) or "none"
    yield "trials", str(spec.study.trials)
    if data is not None:
        counts = f"{data.train} to train, {data.val} to validate, {data.classes} classes"
        yield "data", f"{data.source}: {counts}, {formatting.image_size(data.image_size)} px"
        if data.parameters is not None:
            yield "model", f"{data.parameters:,} parameters"
    if (share := report.feasible) is not None:
        yield "feasible", _feasible(share)
    yield "device", report.device
    for problem in report.problems:
        yield "problem", problem
    if report.preview is not None:
        yield "augmentation", report.preview.sentence
    if report.trace is not None:
        yield from _trace_rows(report.trace)
    if report.plan is not None:
        yield from _plan_rows(report.plan)
    for number, stage in enumerate(report.stages, 2):
        cost = f"{stage.trainings} trainings of {stage.measured.epochs} epochs"
        epoch = formatting.seconds(stage.measured.epoch_seconds)
        yield (
            f"stage {number}",
            f"{cost} of {epoch}: {formatting.hours(stage.gpu_hours)} device-hours at most",
        )


def _feasible(share: FeasibleShare) -> str:
    """What share of the space the constraints allow."""
    rate = share.rate
    if share.whole:
        return (
            f"{rate.count} of the {rate.trials} configs of the space: {formatting.percent(rate.share, 1)}"
        )
    drawn = f"{rate.count} of {rate.trials} uniform draws"
    low, middle, high = (formatting.percent(each, 1) for each in (rate.low, rate.share, rate.high))
    return f"{drawn}: {middle} of the space ({low} to {high})"


def _trace_rows(trace: Trace) -> Iterator[tuple[str, str]]:
    """Where the trace is, and what the epoch spent its time on."""
    yield "trace", f"{trace.file}: epoch {trace.epoch}; open it in ui.perfetto.dev or chrome://tracing"
    for cost in trace.costs:
        share = formatting.percent(cost.share, 1)
        yield "cost", f"{share:>6}  {cost.seconds:8.3f} s  {cost.calls:7,} x  {cost.name}"


def _plan_rows(plan: BudgetEstimate) -> Iterator[tuple[str, str]]:
    """What a budget costs, and what was measured."""
    measured, saving = plan.measured, plan.saving
    epoch, trial, worker = (
        formatting.seconds(seconds)
        for seconds in (measured.epoch_seconds, measured.trial_seconds, measured.worker_seconds)
    )
    begin = f"{trial} to start a trial, {worker} more to start a worker"
    yield "measured", f"{measured.config}: {measured.epochs} epochs of {epoch}; {begin}"
    for each in plan.faster:
        pays = "does not pay"
        if each.pays_after is not None:
            pays = f"pays for a worker that trains more than {each.pays_after} epochs"
        seconds, start = formatting.seconds(each.seconds), formatting.seconds(each.start_seconds)
        yield "faster", f"{each.setting} {each.value}: epochs of {seconds}, {start} more to start; {pays}"
    most, likely = formatting.hours(plan.gpu_hours_at_most), formatting.hours(plan.gpu_hours)
    yield "cost", f"{plan.trials} trials: {most} device-hours at most, {likely} expected"
    yield "pruning", f"expected to save {formatting.percent(saving.share)} of the epochs: {saving.source}"
    kept = formatting.size(measured.checkpoint_bytes)
    disk = formatting.size(plan.disk_bytes(max(plan.workers)))
    yield "disk", f"about {disk}; {kept} for each trial that runs, is known or is among the five best"
    for count in plan.workers:
        who = "1 worker" if count == 1 else f"{count} workers with one such device each"
        yield "ends", f"{who}: {formatting.roughly(plan.seconds(count))}"
    draws = "one random draw" if plan.draws == 1 else f"one of {plan.draws} random draws"
    yield "chance", f"{formatting.percent(plan.chance, 1)} that {draws} is among the best 5 % of the space"
