"""A network of a library, or of a file of the user's own, as a model of the registry.

`model.name` is in a study's document, which everybody who can write to the database can change. So nothing
is called but a class that derives from `nn.Module`, of a module that this machine may import.
"""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from search.errors import SpaceError, cause_of, did_you_mean
from search.loading import load_module
from search.mseg.models.model import SegmentationModel, padded
from search.objective import Value

SIDE_MULTIPLE = 32
"""What networks with up to five halvings need."""


class Imported(SegmentationModel):
    """An `nn.Module` that maps images (B, 3, H, W) to logits (B, C, h, w)."""

    def __init__(
        self,
        classes: int,
        *,
        name: Annotated[str, Field(description="MODULE.CLASS, such as my_nets.TinyUNet")] = "",
        arguments: Annotated[
            dict[str, Any] | None, Field(description="keyword arguments of the class by name")
        ] = None,
        classes_as: Annotated[
            str, Field(description="the argument that takes the number of classes")
        ] = "classes",
    ) -> None:
        super().__init__()
        self.name, self.classes = name, classes
        self.network = _construct(name, arguments or {}, classes_as, classes)

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) on the network's own grid.

        Raises:
            SpaceError: the network gives something else.
        """
        return padded(self._coarse, images, SIDE_MULTIPLE)

    def _coarse(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        wanted = f"({len(images)}, {self.classes}, h, w)"
        if not isinstance(logits, Tensor):
            raise _wrong(
                f"{self.name} returns a {type(logits).__name__}, not one tensor {wanted}; switch "
                "deep supervision off in model.arguments, or derive a class that returns its first output"
            )
        if not logits.is_floating_point():
            raise _wrong(f"{self.name} returns {logits.dtype}; a loss needs logits, which are floats")
        if logits.dim() != 4 or logits.shape[:2] != (len(images), self.classes) or not logits.numel():
            raise _wrong(
                f"{self.name} returns {tuple(logits.shape)} for {tuple(images.shape)}, not {wanted}; "
                "give model.classes_as the name of its argument for the number of classes"
            )
        return logits.to(images.dtype)

    def applied(self) -> dict[str, Value]:
        """`name`: that of the live network's class."""
        live = type(self.network)
        named = live is _load(self.name)
        return {"name": self.name if named else f"{live.__module__}.{live.__qualname__}"}


class WrappedNetwork(SegmentationModel):
    """The network of an `Imported` in an export, without this program."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) on the network's own grid."""
        return padded(self.network, images, SIDE_MULTIPLE).to(images.dtype)


def _wrong(text: str, setting: str = "model.name") -> SpaceError:
    return SpaceError(f"{setting}: {text}", parameter=setting)


def _load(name: str) -> type[nn.Module]:
    """The class `name`, which is MODULE.CLASS."""
    module_name, _, class_name = name.rpartition(".")
    if not module_name or not class_name:
        raise _wrong(f"{name!r} is not MODULE.CLASS; write it like my_nets.TinyUNet")
    module = load_module("model.name", module_name)
    found = getattr(module, class_name, None)
    if found is None:
        raise _wrong(f"{module_name} has no {class_name!r}{did_you_mean(class_name, dir(module))}")
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise _wrong(f"{name} is not a class that derives from torch.nn.Module; write one around it")
    return found


def _construct(name: str, arguments: Mapping[str, Any], classes_as: str, classes: int) -> nn.Module:
    """An instance of the class `name`; SpaceError if it cannot be made or not be trained."""
    kind = _load(name)
    _check_arguments(kind, name, arguments, classes_as)
    try:
        network = kind(**arguments, **{classes_as: classes})
    except (Exception, SystemExit) as error:
        raise _wrong(f"{name} cannot be built: {cause_of(error, 150)}; --debug shows where") from error
    weights = list(network.parameters())
    if any(is_lazy(weight) for weight in weights):
        raise _wrong(f"{name} has lazy layers, whose sizes are not known yet; give them their sizes")
    if not any(weight.requires_grad for weight in weights):
        raise _wrong(f"{name} has no parameters to train")
    return network


def _check_arguments(
    kind: type[nn.Module], name: str, arguments: Mapping[str, Any], classes_as: str
) -> None:
    """SpaceError for an argument that `kind` does not take, and for one that it needs and is not given."""
    if classes_as in arguments:
        given = f"model.arguments.{classes_as}"
        raise _wrong("is the number of classes, which the data say; leave it out", given)
    accepted = inspect.signature(kind).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in accepted.values())
    for argument in (*arguments, classes_as):
        if argument in accepted or takes_any:
            continue
        remedy = did_you_mean(argument, accepted) or f"; it takes {', '.join(accepted)}"
        if argument == classes_as:
            raise _wrong(
                f"{name} takes no {argument!r} for the number of classes{remedy}", "model.classes_as"
            )
        raise _wrong(f"{name} takes no such argument{remedy}", f"model.arguments.{argument}")
    missing = [
        each.name
        for each in accepted.values()
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and each.name not in (*arguments, classes_as)
    ]
    if missing:
        raise _wrong(f"{name} needs {', '.join(missing)}; give a value", "model.arguments")
