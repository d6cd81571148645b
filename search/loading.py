"""Importing the modules that space.yaml names, and asking an objective for what it may leave out."""

import contextlib
import importlib
import math
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from search.errors import ObjectiveError, SpaceError, cause_of, unknown_name
from search.objective import Constraint, Description, EpochResult, Params, Run, Value, Vocabulary

Item = TypeVar("Item")

MOST_EPOCHS = 2**31 - 1
"""What a column of the database holds."""

STOCK = "search.mseg"
"""The objective whose names recorded runs have if no study says otherwise."""

ALLOWED = "SEARCH_OBJECTIVE"
"""The variable with the only modules that a study may have this machine import, by commas."""

OUR_PACKAGES = ("search", "storage")
OUR_FOLDER = Path(__file__).resolve().parents[1]


def load_objective(name: str) -> Any:
    """The module `name`; raises SpaceError if it cannot be imported or has no `train`."""
    module = load_module("objective", name)
    if not callable(getattr(module, "train", None)):
        raise SpaceError(f"objective: {name} has no function train(config, run)", parameter="objective")
    return module


def load_module(setting: str, name: str) -> ModuleType:
    """The module `name`, which `setting` of a study's document asks for.

    The working folder is searched last, so that no folder in it shadows an installed package.

    Raises:
        SpaceError: it cannot be imported, or may not be on this machine.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    wrong = partial(SpaceError, parameter=setting)
    allowed = [each.strip() for each in os.environ.get(ALLOWED, "").split(",") if each.strip()]
    if allowed and name not in allowed:  # whoever can write the database chooses the name
        raise wrong(
            f"{setting}: {name} is not {' or '.join(allowed)}, which --objective or {ALLOWED} allows here"
        )
    if name.startswith(".") or name.endswith(".py") or "/" in name or "\\" in name:
        raise wrong(f"{setting}: {name!r} is a path; name the module as `import` does, like my_file")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a script without a guard may exit when it is imported
        raise wrong(f"{setting}: {_reason(name, error)}") from error


def _reason(name: str, error: BaseException) -> str:
    """Why importing `name` failed, and what to do about it, in one line."""
    missing = (error.name or "") if isinstance(error, ImportError) else ""
    source = error.obj if isinstance(error, AttributeError) else None
    package = (source.__name__ if isinstance(source, ModuleType) else missing).partition(".")[0]
    folder = Path.cwd() / package
    # `from storage import mine` gets this program's package: the working folder is searched last.
    if package in OUR_PACKAGES and folder.is_dir() and not folder.samefile(OUR_FOLDER / package):
        return (
            f"{name} needs the folder {folder}, but this program has a package {package!r} of its own, "
            "which is found first; rename the folder"
        )
    if not isinstance(error, ModuleNotFoundError):
        return f"importing {name} fails with {cause_of(error)}; --debug shows where"
    # The missing name tells a module that is absent from one that lacks something it imports.
    if name == missing or name.startswith(f"{missing}."):
        return f"no module named {name!r}; run in its folder, or put that on PYTHONPATH"
    return f"{name} needs {missing!r}, which is not installed"


def configure(objective: Any, params: Params) -> Any:
    """The objective's own config for `params`; `params` itself if it has no `configure`."""
    build = getattr(objective, "configure", None)
    return build(params) if build else params


def train(objective: Any, config: Any, run: Run) -> Generator[EpochResult, None, None]:
    """The epochs of a training; closing it closes the objective's own generator.

    Raises:
        ObjectiveError: what `train` returns or yields is not what the contract says, in one line.
    """
    results = objective.train(config, run)
    if not isinstance(results, Iterator):
        kind = type(results).__name__
        raise ObjectiveError(f"objective: train returned {kind}; it must yield an EpochResult per epoch")
    try:
        last = 0
        for result in results:
            if not isinstance(result, EpochResult):
                kind = type(result).__name__
                raise ObjectiveError(f"objective: train yielded {kind}; it must yield an EpochResult")
            normal = _normalised(result)
            if normal.epochs > MOST_EPOCHS:
                raise ObjectiveError(f"objective: epochs is {normal.epochs}, above {MOST_EPOCHS}")
            if normal.epoch <= last:
                raise ObjectiveError(f"objective: train yielded epoch {normal.epoch} after epoch {last}")
            last = normal.epoch
            yield normal
    finally:
        if close := getattr(results, "close", None):  # an iterator that is no generator may have none
            close()


def _normalised(result: EpochResult) -> EpochResult:
    """The same with Python's own numbers: a database stores no NumPy scalars and no tensors."""
    return replace(
        result,
        epoch=_whole("epoch", result.epoch),
        epochs=_whole("epochs", result.epochs),
        score=_number("score", result.score),
        lr=None if result.lr is None else _number("lr", result.lr),
        metrics=_each("metrics", result.metrics, _number),
        parameters=None if result.parameters is None else _whole("parameters", result.parameters),
        forward_ms=None if result.forward_ms is None else _number("forward_ms", result.forward_ms),
        applied=_each("applied", result.applied, _scalar),
        images=_each("images", result.images, _number),
    )


def _each(name: str, values: Any, read: Callable[[str, Any], Item]) -> dict[str, Item]:
    """What `read` makes of each of the `values` by name."""
    if not isinstance(values, Mapping):
        raise ObjectiveError(f"objective: {name} is {_short(values)}; it must be a dict by name")
    return {str(key): read(str(key), value) for key, value in values.items()}


def _whole(name: str, value: Any) -> int:
    """An int of any library's whole number, such as a NumPy scalar or a tensor with one element."""
    number = _number(name, value)
    if not number.is_integer():
        raise ObjectiveError(f"objective: {name} {value!r} is not a whole number")
    return int(number)


def _number(name: str, value: Any) -> float:
    """A float of any library's number."""
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # PyTorch's, for several elements
        pass
    raise ObjectiveError(f"objective: {name} is {_short(value)}; it must be a number")


def _scalar(name: str, value: Any) -> Value:
    """A parameter's value of any library's scalar."""
    try:
        scalar: Value = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError) as error:
        raise ObjectiveError(f"objective: {name} is {_short(value)}; it must be one value") from error
    return scalar


def _short(value: Any) -> str:
    return f"{' '.join(repr(value).split())[:60]} ({type(value).__name__})"


def check_each(objective: Any, configs: Sequence[Any], description: Description | None) -> None:
    """Has the objective check configs against its data; raises SpaceError if one does not fit."""
    function = getattr(objective, "check", None)
    if function and description is not None:
        for config in configs:
            function(config, description)


def constraints_of(
    objective: Any, description: Description | None
) -> Callable[[Params], Sequence[Constraint]]:
    """The constraints that the objective holds params against; none if it has no such function.

    What is returned raises SpaceError for params that the objective cannot configure.
    """
    function = getattr(objective, "constraints", None)
    if function is None:
        return lambda params: ()

    def checked(params: Params) -> Sequence[Constraint]:
        given = function(configure(objective, params), description)
        for each in given if isinstance(given, Sequence) else [given]:
            if not isinstance(each, Constraint) or not math.isfinite(_number(each.name, each.violation)):
                text = f"objective: constraints returned {_short(each)}; it must be a finite Constraint"
                raise SpaceError(text, parameter="objective")
        return tuple(given)

    return checked


def check_score(name: str, score: str | None) -> None:
    """Raises SpaceError if the objective `name` has no such score."""
    scores = vocabulary_of(name).scores
    if score is None or score in scores:
        return
    if not scores:
        message = f"study.score: {score!r}: objective {name} has one score, which has no name; omit it"
    else:
        message = unknown_name("study.score", score, scores)
    raise SpaceError(message, parameter="study.score")


def describe(objective: Any, config: Any, data: Path | None) -> Description | None:
    """What the objective says about its data; None if it says nothing."""
    function = getattr(objective, "describe", None)
    description = function(config, data) if function else None
    if description is not None and not isinstance(description, Description):
        text = f"objective: describe returned {_short(description)}; it must be a Description"
        raise SpaceError(text, parameter="objective")
    return description


@lru_cache
def vocabulary_of(name: str = STOCK, score: str | None = None) -> Vocabulary:
    """The vocabulary of the objective `name`; the default one if it has none or cannot be imported here.

    Args:
        score: `study.score`, where a study is meant.

    Reading a study must work on a machine that lacks the objective, so no failure is reported. Whatever the
    import prints goes to stderr: stdout may be a command's JSON.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            vocabulary = getattr(load_objective(name), "vocabulary", None)
    except SpaceError:
        vocabulary = None
    known = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary()
    return known.scored_by(score)
