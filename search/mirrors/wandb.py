"""Weights & Biases, offline: a run for each trial that has ended, in DIR/wandb, for `wandb sync`."""

import shutil
from pathlib import Path

import wandb

from search.mirrors.trial import SCORE, MirroredTrial

WHOLE = "mirrored"
"""A file in the folder of a run that was written to its end."""


class Wandb:
    """The runs of a study below the folder `place`.

    An offline run cannot be gone on with, so a trial is written once it has ended. What a killed mirror
    left unfinished is written again.
    """

    def __init__(self, place: str, study: str) -> None:
        self.folder = Path(place).expanduser().absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.study = study
        self._whole = {path.parent.name for path in self.folder.glob(f"wandb/offline-run-*/{WHOLE}")}

    def add(self, trial: MirroredTrial) -> int:
        if trial.ended is None or any(name.endswith(f"-{trial.key}") for name in self._whole):
            return 0
        for unfinished in self.folder.glob(f"wandb/offline-run-*-{trial.key}"):
            shutil.rmtree(unfinished)
        run = wandb.init(
            mode="offline",
            dir=str(self.folder),
            project=self.study,
            id=trial.key,
            name=trial.name,
            config={**trial.params, **{f"search.{name}": note for name, note in trial.notes.items()}},
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, disable_git=True),
        )
        for epoch in sorted(set().union(*trial.series.values())):
            run.log({name: at[epoch] for name, at in trial.series.items() if epoch in at}, step=epoch)
        if trial.figure is not None:
            run.log({"overlay": wandb.Image(str(trial.figure))}, step=trial.last)
        run.summary.update(dict(trial.results))
        folder = Path(run.dir).parent
        run.finish(exit_code=int(trial.ended == "failed"))
        (folder / WHOLE).touch()
        self._whole.add(folder.name)
        return len(trial.series[SCORE])
