"""What `search predict`, `export` and `submit` share: which trained model they work with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from search.cli import options as flag
from search.errors import UserError
from search.render.output import say
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.results.weights import ChosenWeights

Trial = Annotated[
    int | None,
    flag.number_option(
        "--trial",
        "With --study: which trial; by default the best, or the one that a confirmation settled on.",
        min=0,
    ),
]
Model = Annotated[Path | None, flag.path_option("--model", "A file with weights, or the folder it is in.")]


@contextmanager
def chosen(
    study: str | None,
    trial: int | None,
    model: Path | None,
    storage: str | None,
    runs: Path,
    artifacts: str | None,
    objective: str | None,
) -> "Iterator[ChosenWeights]":
    """The weights that these flags mean, for as long as this block lasts.

    Raises:
        UserError: they mean none, or two.
    """
    from search.results.weights import named_weights, trial_weights

    if model is not None:
        if trial is not None:
            raise UserError("--trial: is a trial's number in a study; omit --model, or --trial")
        yield named_weights(model, objective)
    elif study is None:
        raise UserError("no model; give --study NAME, perhaps with --trial N, or --model PATH")
    else:
        opened = resolve_study(storage_url(storage, runs), study, read_only=True)
        with trial_weights(opened, trial, runs, artifacts) as weights:
            if weights.why:
                say(f"{weights.title}: {weights.why}")
            yield weights
