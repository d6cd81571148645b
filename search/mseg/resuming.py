"""What a checkpoint of a training holds, and training on from it, also from one of an older version."""

from collections.abc import Callable
from typing import Any

from search.errors import SpaceError
from search.mseg import checkpoint
from search.mseg.config import Config
from search.mseg.data.dataset import SegmentationData
from search.mseg.learner import Learner
from search.mseg.recording import History, Row, empty_history
from search.objective import Run


def saver(
    learner: Learner, data: SegmentationData, history: History, trained: Row, run: Run
) -> Callable[[], None]:
    """What writes the checkpoint of a trained epoch, and its weights beside the best ones, in any thread.

    A GPU begins at once to send both. They may be written while the learner predicts, not while it trains.
    """
    about = {
        "epoch": len(history["lr"]) + 1,
        "model": learner.config.model.model_dump(),
        "classes": list(data.classes),
        "mirror_pairs": [list(pair) for pair in data.mirror_pairs],
        "image_size": learner.config.data.image_size,
        "fit": learner.config.data.fit,
        "colours": data.colours.tolist(),
    }
    state = {
        "params": learner.config.to_params(),
        "seed": run.seed,
        "history": history,
        "trained": trained,
        "about": about,
    }
    learnt = checkpoint.to_host(learner.state(), learner.device)

    def save() -> None:
        now = learnt()
        checkpoint.save(run.dir, {**state, **now})
        checkpoint.write_weights(run.dir, (now["average"] or now)["model"], about)

    return save


def resume(learner: Learner, run: Run) -> tuple[History, Row | None]:
    """Restore `learner` from the checkpoint in `run.dir`, if there is one.

    Returns:
        The history before the checkpoint's epoch, and that epoch's columns of training. Its scores are not
        in the checkpoint, so it is validated again. Without a checkpoint: an empty history, and None.
    """
    state = checkpoint.load(run.dir)
    if state is None:
        return empty_history(), None
    now = learner.config.to_params() | {"seed": run.seed}
    before = _params(state, run) | {"seed": state["seed"]}
    for name in now:
        if before.get(name) != now[name]:
            raise SpaceError(
                f"{run.dir}: its checkpoint is of {name} {before.get(name)}, not {now[name]}; "
                f"remove the folder or train in another",
                parameter=name,
            )
    learner.restore(state)
    saved = state["history"]
    history = {  # a version that did not have a column does not know its values
        column: saved.get(column, [None] * len(saved["lr"])) for column in empty_history()
    }
    return history, dict.fromkeys(history) | state["trained"]


def _params(state: dict[str, Any], run: Run) -> dict[str, Any]:
    """A checkpoint's config; a setting that its version did not have was what is now the default."""
    try:
        return Config.from_params(state["params"]).to_params()
    except SpaceError as error:
        raise SpaceError(
            f"{run.dir}: its checkpoint is of another version ({error}); "
            "remove the folder or train in another"
        ) from error
