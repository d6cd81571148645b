"""The options of a registry's entry, as a document sets them: the entry's keyword-only parameters."""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from search.document.node import show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Entry = Callable[..., Any]


def options_of(entry: Entry) -> dict[str, tuple[Any, Any]]:
    """The options of an entry by name: annotation and default."""
    declared = declaring(entry)
    hints = get_type_hints(
        declared.__init__ if inspect.isclass(declared) else declared, include_extras=True
    )
    return {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(declared).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def declaring(entry: Entry) -> Entry:
    """What has the options as keyword-only parameters: the entry, or what it names as `options_from`."""
    declared: Entry = getattr(entry, "options_from", entry)
    return declared


def complaint(value: Any, annotation: Any) -> str | None:
    """What is wrong with the value of an option, and the remedy; None where it is as annotated."""
    from pydantic import ValidationError  # 0.1 s, which a study without options does not need

    try:
        _adapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        return in_one_line(error.errors())
    return None


def in_one_line(complaints: "Sequence[ErrorDetails]") -> str:
    """Pydantic's complaints about one value: the value, and what it should be."""
    texts = [each["msg"].removeprefix("Input ").removeprefix("Value error, ") for each in complaints]
    return f"{show(complaints[0]['input'])} {' '.join(' or '.join(texts).split())}"


@cache
def _adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)
