"""What can go wrong that is not a bug.

    SearchError              exit code 1: a command failed
    ├── NoDevice             exit code 0: other workers have this machine's GPUs
    ├── MachineError         the disk is full or broken, which is no trial's fault
    │   └── BrokenDevice     the GPU, its driver or the torch for it does not work
    ├── DeviceLost           a trial has cost this process its GPU, which works for the next process
    ├── ObjectiveError       the objective breaks the contract in search/objective/__init__.py
    └── UserError            exit code 2: the user's input is wrong
        ├── SpaceError       space.yaml, --set, a parameter or its value
        ├── DataError        the data folder, an image, a mask
        └── StudyError       no such study, or one that differs from the options
            └── NoFeasibleConfig  the study's constraints leave nothing to train

A message is one line: place, value, remedy. `search.cli.app` prints it without a traceback (`--debug`
shows one). `storage.errors.StorageError` is for a URL that does not work; the command line treats it like
a UserError.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class SearchError(Exception):
    """A command failed for a known reason, which the message gives in one line."""

    exit_code = 1


class NoDevice(SearchError):
    """This worker has no device to train on, and nothing is broken: other workers use the GPUs."""

    exit_code = 0


class MachineError(SearchError):
    """This machine cannot train: its disk is full, broken or read-only. The study loses nothing by it."""


class BrokenDevice(MachineError):
    """This worker's device does not work: no kernel runs on it, in a new process neither."""


class DeviceLost(SearchError):
    """A trial has ended with an error after which this process cannot use its device any more."""


class ObjectiveError(SearchError):
    """The objective breaks its contract: it yields or returns something else than `train` should."""


class UserError(SearchError):
    """The user's input cannot be used: place, value, remedy."""

    exit_code = 2


class SpaceError(UserError):
    """`space.yaml`, an override or a parameter is wrong: `space.yaml:12:17: what, and what to do`.

    An objective's `configure` knows only the parameter's name. It is kept here, so that the caller who has
    the document can add the line.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class DataError(UserError):
    """A data folder or a file in it is missing, unreadable or inconsistent; names the file."""


class StudyError(UserError):
    """No study of that name, or one whose stored document differs from the options."""


class NoFeasibleConfig(StudyError):
    """The constraints of a study leave it nothing to train."""


def unknown_name(label: str, value: object, known: Iterable[str]) -> str:
    """The message for a name that is not among the `known` ones, with the nearest one that is.

    >>> unknown_name("schedule.kind", "cosin", ["cosine", "constant"])
    "schedule.kind: 'cosin' is not one of constant, cosine (did you mean 'cosine'?)"
    """
    names, text = sorted(known), repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"{label}: {text} is not one of {', '.join(names)}{did_you_mean(value, names)}"


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """` (did you mean 'cosine'?)`, or nothing where no name is similar."""
    near = get_close_matches(str(value), list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 74 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def printable(text: str) -> str:
    """The text on one line: a file's name, say, may hold line breaks and what commands a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def text_of(error: BaseException) -> str:
    """An error's message; empty where even that fails, as it may with an error of other people's code."""
    try:
        return str(error)
    except Exception:
        return ""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type where it has none."""
    return (text_of(error).strip().splitlines() or [type(error).__name__])[0]


def cause_of(error: BaseException, most: int | None = None) -> str:
    """An error on one line, `ValueError: what it says`, cut after `most` characters of its message."""
    return f"{type(error).__name__}: {' '.join(text_of(error).split())[:most]}"


def no_trial(source: str, number: object, study: str) -> UserError:
    """For a number that no trial of `study` has; `source` is the command or flag it was given to."""
    return UserError(f"{source}: {number} is not a trial of study {study!r}; search trials lists them")


def none_complete(study: str) -> SearchError:
    """For what needs a complete trial, of a study that has none."""
    return SearchError(f"study {study!r} has no complete trial yet; search status shows how far it is")
