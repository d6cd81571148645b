"""`search train`: train one config without a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.groups import OneDevice, Place
from search.errors import UserError
from search.render.output import say, write_json
from search.runtime.collector import paused_collector

if TYPE_CHECKING:
    from search.study.study import Study
    from search.training.request import TrainingRequest

Out = Annotated[Path, flag.path_option("--out", "Folder for what it writes; continues there.")]
Config = Annotated[
    Path | None, flag.path_option("--config", "A run's config.yaml, or settings as YAML.", "FILE")
]
Trial = Annotated[
    int | None, flag.number_option("--trial", "With --study: which trial; by default the best.", min=0)
]
AllData = Annotated[
    bool,
    typer.Option(
        "--all-data",
        help="Train on training and validation data together, until the trial's best epoch or --epochs.",
    ),
]
Epochs = Annotated[
    int | None, flag.number_option("--epochs", "Another number of epochs; the schedule keeps its shape.")
]
Seeds = Annotated[
    int | None,
    flag.number_option("--seeds", "So many fresh seeds; by default the recorded seed, once.", max=1000),
]


def train(
    out: Out,
    place: Place,
    one: OneDevice,
    config: Config = None,
    study: flag.OptionalStudy = None,
    trial: Trial = None,
    all_data: AllData = False,
    epochs: Epochs = None,
    seeds: Seeds = None,
    data: flag.Data = None,
    objective: flag.Objective = None,
    as_json: flag.Json = False,
) -> int:
    """Train the config of a trial or of a file, without a study.

    The same command continues where it stopped.
    """
    from search.runtime.signals import interruptible

    if config is not None and trial is not None:
        raise UserError("train: --config and --trial name two configs; omit one")
    with interruptible() as interrupt:
        with interrupt.at_once(), paused_collector():
            from search.render.terminal import RichBlocks, show
            from search.study.fingerprint import data_differences
            from search.training.folder import claimed
            from search.training.result import TrainedSeeds
            from search.training.run import Trainer
            from search.ui.live import follow

            opened = None
            if config is None and study is not None:
                opened = place.open(study, read_only=True)
            source = config or opened
            if source is None:
                raise UserError("train: no config; give --config FILE, or --study NAME with --trial N")
            request = _request(source, trial, epochs, all_data=all_data)
            device = one.find()
            device.confine()
            trainer = Trainer(request, request.seeds(seeds), device, data, out, f"train {out.name}")
            if request.left_out:
                say(f"{request.source}: left out: {request.left_out}")
            for name, here, there in data_differences(opened, trainer.description) if opened else ():
                say(f"--data: {name} is {here} here; the study has {there}")
        with claimed(out, request):
            follow(trainer.run(interrupt))
        result = TrainedSeeds(request=request, out=out, trainings=trainer.trainings)
        if as_json:
            write_json(result.to_json())
        elif not interrupt:
            show(RichBlocks(result.blocks()))
        if not interrupt:
            return 0 if result.ended else 1
        say(f"the same command continues in {out}")
    return interrupt.code


def _request(
    source: "Path | Study", trial: int | None, epochs: int | None, *, all_data: bool
) -> "TrainingRequest":
    """What to train: the settings in a file, or those of a study's trial, with what the flags change."""
    from search.training.request import request_of_file, request_of_trial, until_best_epoch

    if isinstance(source, Path):
        request = request_of_file(source)
        if all_data and epochs is None:
            raise UserError(
                "--all-data: nothing is left to choose an epoch by, and a file has no best one; "
                "give --epochs"
            )
    else:
        request, record = request_of_trial(source, trial)
        if all_data and epochs is None:
            request = until_best_epoch(request, record)
    if all_data:
        request = request.on_all_data()
    return request if epochs is None else request.over(epochs)
