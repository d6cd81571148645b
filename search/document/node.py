"""A value and where it was written.

A profile or `--set` moves whole nodes, so a value keeps its place, and a mistake in it is
reported with the line it was written on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import SpaceError, unknown_name
from search.objective import Value


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it was written.

    Attributes:
        value: a scalar, a mapping by name, or a list.
        place: `space.yaml:12:17` (line and column from 1; of the key, where the value has one),
            `--set NAME`, or the name of a document that has no text (`study 'mseg'`).
    """

    value: "Value | dict[str, Node] | list[Node]"
    place: str

    @classmethod
    def of(cls, value: Any, place: str) -> "Node":
        """A node of plain data that all has one place."""
        if isinstance(value, dict):
            return cls({name: cls.of(item, place) for name, item in value.items()}, place)
        if isinstance(value, list):
            return cls([cls.of(item, place) for item in value], place)
        return cls(value, place)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def show(self) -> str:
        """The value as YAML writes it, on one line and cut where it is long."""
        return show(self.plain())

    def entries(self) -> "dict[str, Node]":
        """The entries of a mapping; none for a value or a list."""
        return self.value if isinstance(self.value, dict) else {}

    def mapping(self, name: str, allowed: Collection[str] | None = None) -> "dict[str, Node]":
        """The entries of a section called `name`, none for null.

        Raises SpaceError for anything else, and for an entry that is not `allowed`.
        """
        if self.value is not None and not is_section(self):
            what = "a parameter" if self.entries() else self.show()
            raise self.error(f"{name}: {what} is not a section; write names and values below it")
        if allowed is not None:
            self.check_names(name, allowed)
        return self.entries()

    def check_names(self, label: str, allowed: Collection[str]) -> None:
        """Raise SpaceError for the first entry that is not `allowed`."""
        for name, item in self.entries().items():
            if name not in allowed:
                raise item.error(unknown_name(label, name, allowed))

    def nearest(self, path: Sequence[str]) -> "Node":
        """The node at `path`, or the last one on the way to it."""
        inside = self.entries().get(path[0]) if path else None
        return inside.nearest(path[1:]) if inside else self

    def error(self, sentence: str, parameter: str | None = None) -> SpaceError:
        """`place: sentence`, on one line; a name that is in the place (`--set NAME`) is not repeated."""
        text = sentence.removeprefix(f"{self.place.removeprefix('--set ')}: ")
        return SpaceError(f"{self.place}: {' '.join(text.split())}", parameter=parameter)


def is_section(node: Node) -> bool:
    """Whether a mapping groups names; one with any of these words is a single parameter."""
    return isinstance(node.value, dict) and not {"low", "high", "choices"} & node.value.keys()


def show(value: object) -> str:
    """A value as YAML writes it, on one line and cut where it is long."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        text = f"[{', '.join(map(show, value))}]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
