"""Importing the objective that `objective:` in space.yaml names, and asking for what it may leave out."""

import contextlib
import importlib
import sys
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from search.errors import SpaceError
from search.objective import Description, Params, Vocabulary

STOCK = "search.mseg"
"""The objective whose names recorded runs have if no study says otherwise."""

OUR_PACKAGES = ("search", "storage")
OUR_FOLDER = Path(__file__).resolve().parents[1]


def load_objective(name: str) -> Any:
    """The module `name`; raises SpaceError if it cannot be imported or has no `train`.

    The working folder is searched last, so that no folder in it shadows an installed package.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    wrong = partial(SpaceError, parameter="objective")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise wrong(f"objective: {_reason(name, error)}") from error
    if not callable(getattr(module, "train", None)):
        raise wrong(f"objective: {name} has no function train(config, run)")
    return module


def _reason(name: str, error: Exception) -> str:
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
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return f"importing {name} fails with {cause}; --debug shows where"
    # The missing name tells a module that is absent from one that lacks something it imports.
    if name == missing or name.startswith(f"{missing}."):
        return f"no module named {name!r}; run in its folder, or put that on PYTHONPATH"
    return f"{name} needs {missing!r}, which is not installed"


def configure(objective: Any, params: Params) -> Any:
    """The objective's own config for `params`; `params` itself if it has no `configure`."""
    build = getattr(objective, "configure", None)
    return build(params) if build else params


def check(objective: Any, config: Any, description: Description) -> None:
    """Has the objective check a config against its data; raises SpaceError if they do not fit."""
    function = getattr(objective, "check", None)
    if function:
        function(config, description)


def describe(objective: Any, config: Any, data: Path | None) -> Description | None:
    """What the objective says about its data; None if it says nothing."""
    function = getattr(objective, "describe", None)
    return function(config, data) if function else None


@lru_cache
def vocabulary_of(name: str = STOCK) -> Vocabulary:
    """The vocabulary of the objective `name`; the default one if it has none or cannot be imported here.

    Reading a study must work on a machine that lacks the objective, so no failure is reported. Whatever the
    import prints goes to stderr: stdout may be a command's JSON.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            vocabulary = getattr(load_objective(name), "vocabulary", None)
    except SpaceError:
        vocabulary = None
    return vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary()
