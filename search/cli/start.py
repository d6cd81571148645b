"""`search start`: create or join a study and train on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Machine
from search.errors import UserError
from search.render.output import say
from search.runtime.collector import paused_collector

if TYPE_CHECKING:
    from search.records import Snapshot
    from search.study.study import Study


def start(
    study: flag.StudyName,
    machine: Machine,
    data: flag.Data = None,
    space: flag.Space = None,
    overrides: flag.Overrides = None,
    profile: flag.Profile = None,
    trials: flag.Trials = None,
    gpu_hours: flag.GpuHours = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            "--stage",
            metavar="{...}",
            help="A stage of the search, as in study.stages, once for each: "
            "--stage '{trials: 40, data.image_size: 128}' --stage '{keep: 8}'",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        flag.number_option(
            "--seeds", "Seeds that the trials take turns with; by default the document's.", max=1000
        ),
    ] = None,
    origin: flag.Origin = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Change sampler, pruner, target, stop rule or report.stages of an existing study.",
        ),
    ] = False,
    per_gpu: flag.PerGpu = "1",
    objective: flag.Objective = None,
) -> int:
    """Create or join a study, and train until its budget is used up.

    One worker for every GPU of this machine; without a GPU, as many as its cores are good for. The same
    command goes on where it stopped.
    """
    if per_gpu != "1" and machine.workers is not None:
        raise UserError("--per-gpu: --workers already sets the number of workers; omit one of the two")
    with paused_collector():
        from search.launcher import gpu_sharing
        from search.launcher.at_end import announce, read_at_end
        from search.launcher.creation import StartOptions, open_or_create
        from search.launcher.start import divide_cores, run_stages
        from search.launcher.supervisor import LocalWorkers
        from search.runtime.signals import interruptible
        from search.study.read import read_snapshot

        options = StartOptions(
            study=study,
            url=machine.url,
            runs=machine.runs,
            data=data,
            artifacts=machine.artifacts,
            space=space,
            overrides=[*(overrides or ()), *stages_override(stage or ()), *seeds_override(seeds)],
            profile=profile,
            trials=trials,
            gpu_hours=gpu_hours,
            origin=origin,
            update=update,
        )
        devices = machine.find_all()
        gpu_sharing.check(per_gpu, devices)
        at_end = read_at_end(machine.on_end)
        opened, notes = open_or_create(options)
    for line in notes:
        say(line)
    if not devices:
        say(f"study {opened.name!r} is ready; search worker --study {opened.name} works on it")
        return 0
    if machine.workers is None and not read_snapshot(opened).budget.used_up:
        if per_gpu == "1":
            devices = divide_cores(devices, opened)
        else:
            with interruptible() as interrupt, interrupt.at_once():
                devices = gpu_sharing.share_gpus(devices, per_gpu, opened, data, interrupt)
            if interrupt:
                return interrupt.code
    try:
        snapshot, code = run_stages(opened, LocalWorkers(devices, machine.runs, data, machine.artifacts))
    finally:  # also where bugs have stopped it
        with interruptible() as interrupt, interrupt.at_once():
            announce(opened, at_end)
    if interrupt:
        return interrupt.code
    _show_end(opened, snapshot, machine.runs, data)
    return code


def _show_end(study: "Study", snapshot: "Snapshot", runs: Path, data: Path | None) -> None:
    """The stages of a search that has them, how it ended, the best trial, and what to do next."""
    from search.render.terminal import RichBlocks, show
    from search.results.next_commands import result_commands
    from search.results.winner import fresh_verdict
    from search.retraining.stage_blocks import stage_blocks
    from search.study.folder import trial_name
    from search.study.read import read_snapshot
    from search.ui.best import closing

    if study.spec.study.stages:
        snapshot = read_snapshot(study)
        show(RichBlocks(stage_blocks(study)))
    best = snapshot.best
    folder = runs / study.name / trial_name(best.number) if best else None
    commands = result_commands(study.spec.objective, study.name, data) if best else []
    show(closing(snapshot, folder, commands, fresh_verdict(study)))


def stages_override(stages: Sequence[str]) -> list[str]:
    """--stage as a `--set`; none without it."""
    return [f"study.stages=[{', '.join(stages)}]"] if stages else []


def seeds_override(seeds: int | None) -> list[str]:
    """--seeds as a `--set`; none without it."""
    return [] if seeds is None else [f"study.seeds={seeds}"]
