"""The known configs and the beliefs of space.yaml: lists of named entries about parameters of the space."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from search.document.node import Node
from search.errors import SpaceError
from search.objective import Value
from search.spec.parameter import Parameter, read_number, read_value
from search.spec.space import Space, not_in_space

BEST = "best"
"""What the best trial is called on the command line."""

COMPARISONS = ("above", "below", "equals", "one_of")

Entry = TypeVar("Entry", "KnownConfig", "Belief")


@dataclass(frozen=True)
class KnownConfig:
    """A config to try first as it is: a value for every parameter that is active in it."""

    name: str
    params: Mapping[str, Value]

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, **self.params}


@dataclass(frozen=True)
class Belief:
    """What somebody advises against, to be tested: comparisons (`{"above": 1.5}`) that all apply."""

    name: str
    conditions: Mapping[str, Mapping[str, Any]]

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, **self.conditions}


def same_name(first: str, second: str) -> bool:
    """Whether two names are the same but for case and Unicode's form (é, or e with an accent: NFC, NFD)."""
    return _folded(first) == _folded(second)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def read_known(
    node: Node, space: Space, implied: Mapping[str, Value], notes: list[str] | None
) -> tuple[KnownConfig, ...]:
    """The known configs at `node`; raises SpaceError that names the place.

    Args:
        implied: values of parameters that a known config need not name, where they exist in it.
        notes: where given, an entry that does not fit the space is left out and noted here.
    """

    def read(name: str, label: str, item: Node, entries: dict[str, Node]) -> KnownConfig:
        return KnownConfig(name, _params(space, implied, label, item, entries))

    return _read_list("known", node, read, notes)


def check_known_names(node: Node) -> None:
    """SpaceError for a known config at `node` that no command could tell from a trial or another one."""
    titles = [item.entries()["name"] for item in node.value or ()] if isinstance(node.value, list) else []
    for index, title in enumerate(titles):
        name = str(title.value)
        if name.strip().isdigit() or same_name(name.strip(), BEST):
            raise title.error(f"known: {title.show()} is what a trial is called; use another name")
        for other in titles[:index]:
            if same_name(name, str(other.value)):
                raise title.error(f"known: {title.show()} and {other.show()} read the same; rename one")


def read_beliefs(node: Node, space: Space, notes: list[str] | None) -> tuple[Belief, ...]:
    """The beliefs at `node`; `notes` and errors as of `read_known`."""

    def read(name: str, label: str, item: Node, entries: dict[str, Node]) -> Belief:
        return Belief(name, _conditions(space, label, item, entries))

    return _read_list("avoid", node, read, notes)


def _read_list(
    section: str,
    node: Node,
    read: Callable[[str, str, Node, dict[str, Node]], Entry],
    notes: list[str] | None,
) -> tuple[Entry, ...]:
    if node.value is None:
        return ()
    if not isinstance(node.value, list):
        raise node.error(f"{section}: {node.show()} is not a list; write - {{name: ..., ...}}")
    read_entries: list[Entry] = []
    for item in node.value:
        entries = dict(item.entries())
        if "name" not in entries:
            raise item.error(f"{section}: an entry has no name; write - {{name: ..., ...}}")
        title = entries.pop("name")
        name = title.value
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) > 1:
            raise title.error(f"{section}: name {title.show()} is not a line of text")
        if name in [other.name for other in read_entries]:
            raise title.error(f"{section}: two are called {name!r}; rename one")
        label = f"{section} {name!r}"
        try:
            entry = read(name, label, item, entries)
        except SpaceError as error:
            if notes is None:
                raise
            notes.append(f"{error}; left out")
            continue
        for other in read_entries:
            if replace(entry, name=other.name) == other:
                raise item.error(f"{label}: says the same as {other.name!r}; keep one")
        read_entries.append(entry)
    return tuple(read_entries)


def _params(
    space: Space, implied: Mapping[str, Value], label: str, item: Node, entries: dict[str, Node]
) -> dict[str, Value]:
    """The parameters of a known config, without constants that it repeats."""
    for name, node in entries.items():
        if node.entries():
            raise node.error(f"{label}: {name} is a section; write its names with dots, {name}.x: value")
    params = {name: read_value(f"{label}: {name}", node) for name, node in entries.items()}
    for parameter in space.parameters:
        if parameter.name in implied and parameter.active(params):
            params.setdefault(parameter.name, implied[parameter.name])
    try:
        space.check(params)
    except SpaceError as error:
        node = entries.get(error.parameter or "", item)
        raise node.error(f"{label}: {error}", error.parameter) from error
    return {parameter.name: parameter.cast(params[parameter.name]) for parameter in space.active(params)}


def _conditions(
    space: Space, label: str, item: Node, entries: dict[str, Node]
) -> dict[str, dict[str, Any]]:
    """The comparisons of a belief by parameter."""
    if not entries:
        raise item.error(f"{label}: compares nothing; write a parameter and {{above: value}}")
    conditions = {}
    for name, node in entries.items():
        if name not in space.names:
            raise node.error(f"{label}: {not_in_space(name, space.names)}")
        if not node.entries():
            value = node.show()
            raise node.error(f"{label}: {name}: {value} is no comparison; write {{equals: {value}}}")
        node.check_names(f"{label}: {name}", COMPARISONS)
        conditions[name] = {
            word: _operand(f"{label}: {name}", word, operand, space.by_name.get(name))
            for word, operand in node.entries().items()
        }
    return conditions


def _operand(label: str, word: str, node: Node, parameter: Parameter | None) -> Any:
    if word in ("above", "below"):
        if parameter and parameter.choices:
            raise node.error(f"{label}: has choices, which have no order; use equals or one_of")
        return read_number(f"{label}: {word}", node)
    if word == "equals":
        return _cast(label, node, parameter)
    if not isinstance(node.value, list) or not node.value:
        raise node.error(f"{label}: one_of {node.show()} is not a list of values")
    return [_cast(label, value, parameter) for value in node.value]


def _cast(label: str, node: Node, parameter: Parameter | None) -> Value:
    """The value at `node` as `parameter` holds it; as it is for a constant."""
    value: Value = read_value(label, node)
    try:
        return parameter.cast(value) if parameter else value
    except SpaceError as error:
        raise node.error(f"{label.partition(':')[0]}: {error}") from error
