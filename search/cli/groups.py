"""Flags that travel together: a group is one parameter of a command, and each of its fields a flag."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from search.cli import options as flag
from search.errors import UserError
from search.render.output import say
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.results.weights import ChosenWeights
    from search.runtime.devices import Device
    from search.study.study import Study

Trial = Annotated[
    int | None,
    flag.number_option(
        "--trial",
        "With --study: which trial; by default the best, or the one that a confirmation settled on.",
        min=0,
    ),
]
Model = Annotated[Path | None, flag.path_option("--model", "A file with weights, or the folder it is in.")]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where studies are: their database, and the folder of what their trials wrote."""

    storage: flag.Storage = None
    runs: flag.Runs = Path("runs")

    @property
    def url(self) -> str:
        return storage_url(self.storage, self.runs)

    def open(self, study: str, *, read_only: bool = False) -> "Study":
        """See `search.study.resolve.resolve_study`."""
        return resolve_study(self.url, study, read_only=read_only)


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    """What a command computes on."""

    gpus: flag.Gpus = "auto"
    device: flag.Device = None

    def find(self) -> "Device":
        """The first device that these flags mean."""
        from search.runtime.devices import find_devices

        return find_devices(self.gpus, None, self.device)[0]


@dataclass(frozen=True, kw_only=True)
class Machine(OneDevice, Place):
    """How this machine trains for a study."""

    artifacts: flag.Artifacts = None
    workers: flag.Workers = None
    on_end: flag.OnEnd = None

    def find_all(self) -> "Sequence[Device]":
        """A device for each worker; none where the study is only to be made."""
        from search.runtime.devices import find_devices

        return () if self.workers == 0 else find_devices(self.gpus, self.workers, self.device)


@dataclass(frozen=True, kw_only=True)
class NamedWeights(Place):
    """Which trained model a command works with."""

    study: flag.OptionalStudy = None
    trial: Trial = None
    model: Model = None
    artifacts: flag.Artifacts = None
    objective: flag.Objective = None

    @contextmanager
    def load(self) -> "Iterator[ChosenWeights]":
        """The weights that these flags mean, for as long as this block lasts.

        Raises:
            UserError: they mean none, or two.
        """
        from search.results.weights import named_weights, trial_weights

        if self.model is not None:
            if self.trial is not None:
                raise UserError("--trial: is a trial's number in a study; omit --model, or --trial")
            yield named_weights(self.model, self.objective)
        elif self.study is None:
            raise UserError("no model; give --study NAME, perhaps with --trial N, or --model PATH")
        else:
            opened = self.open(self.study, read_only=True)
            with trial_weights(opened, self.trial, self.runs, self.artifacts) as weights:
                if weights.why:
                    say(f"{weights.title}: {weights.why}")
                yield weights


def with_flags(command: Callable[..., int]) -> Callable[..., int]:
    """The command with its groups' flags as parameters behind its own: Typer reads them off a function."""
    own = list(signature(command).parameters.values())
    groups: dict[str, Any] = {each.name: each.annotation for each in own if is_dataclass(each.annotation)}
    parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in own if each.name not in groups]
    parameters += [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for group in groups.values()
        for field in fields(group)
    ]

    @wraps(command)
    def called(**given: Any) -> int:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called
