"""The space that is searched: parameters, the conditions between them, and constants.

A `Space` that was read is valid: every condition can be met, a condition's parent comes before its
children, and no name is used twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from search.document.node import Node, is_section, show
from search.errors import SpaceError, did_you_mean
from search.objective import Params, Value
from search.spec.parameter import Parameter, SuggestingTrial, read_parameter, read_value, same
from search.spec.source import RESERVED, check_name

LOW_WORDS = ("low", "lo", "min", "minimum", "lower", "from", "start", "begin")
HIGH_WORDS = ("high", "hi", "max", "maximum", "upper", "to", "stop", "end")
LIST_WORDS = ("choices", "choice", "values", "options", "categories", "range")
OTHER_WORDS = ("step", "log", "when", "type", "distribution", "scale", "q")
MAX_NAME = 512
"""Characters of a parameter's name that the database holds."""


@dataclass(frozen=True)
class Space:
    """Parameters, each after those that its condition names, and constants by dotted name."""

    parameters: tuple[Parameter, ...]
    constants: Mapping[str, Any]

    @cached_property
    def by_name(self) -> Mapping[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @property
    def names(self) -> list[str]:
        """Names of parameters and constants."""
        return [*self.by_name, *self.constants]

    def replaced(self, constants: Mapping[str, Any]) -> "Space":
        """The same space with other values of some constants."""
        return replace(self, constants={**self.constants, **constants})

    def suggest(self, trial: SuggestingTrial) -> dict[str, Any]:
        """A complete config: the constants, and a sample of every parameter that is active in it."""
        params = dict(self.constants)
        for parameter in self.parameters:
            if parameter.active(params):
                params[parameter.name] = parameter.suggest(trial)
        return params

    def active(self, params: Params) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.active(params))

    def check(self, params: Params) -> None:
        """Raise SpaceError unless `params` is a complete config of this space; constants may be omitted."""
        for name, value in params.items():
            if name in self.by_name:
                self.by_name[name].cast(value)
            elif name not in self.constants:
                raise SpaceError(not_in_space(name, self.names), parameter=name)
            elif not same(value, self.constants[name]):
                text = f"{name}: {show(value)} is not the constant {show(self.constants[name])}"
                raise SpaceError(text, parameter=name)
        for parameter in self.parameters:
            name, active = parameter.name, parameter.active(params)
            if active and name not in params:
                raise SpaceError(f"{name}: has no value", parameter=name)
            if not active and name in params:
                text = f"{name}: is set, but exists only with {condition(parameter.when)}"
                raise SpaceError(text, parameter=name)

    def corners(self) -> Iterator[dict[str, Any]]:
        """Complete configs at the bounds: all low, all high, and each end or choice of every parameter.

        Of a grid also its second value, which is off where only multiples of something are allowed. An
        objective that accepts each of these accepts the space, which is found out before anything trains.
        """
        corners: list[tuple[int, dict[str, Value]]] = [(0, {}), (-1, {})]
        for parameter in self.parameters:
            parents = {
                name: values[0] for name, values in _required_ancestors(parameter, self.by_name).items()
            }
            corners += [
                (0, {**parents, parameter.name: value}) for value in parameter.choices or parameter.probes
            ]
        seen: list[dict[str, Any]] = []
        for side, fixed in corners:
            params = dict(self.constants)
            for parameter in self.parameters:
                if parameter.active(params):
                    params[parameter.name] = fixed.get(parameter.name, parameter.ends[side])
            if params not in seen:
                seen.append(params)
                yield params

    def to_document(self) -> dict[str, Any]:
        """The `space` of a space.yaml that reads as this one."""
        document: dict[str, Any] = {}
        parameters = {parameter.name: parameter.to_document() for parameter in self.parameters}
        for name, leaf in {**self.constants, **parameters}.items():
            *sections, last = name.split(".")
            section = document
            for part in sections:
                section = section.setdefault(part, {})
            section[last] = leaf
        return document


def not_in_space(name: str, names: Iterable[str]) -> str:
    """The message for a name that the space does not have, with the nearest one that it has."""
    return f"{name}: the space has no such name{did_you_mean(name, names)}"


def check_spelling(name: str, node: Node) -> None:
    """Raise SpaceError for a section that reads like a parameter in the words of another program.

    `{min: 0, max: 1}` would be two constants, which an objective of the user's own may well accept.
    """
    if not is_section(node):
        return
    entries = {word.lower(): item for word, item in node.entries().items()}
    numbers = [word for word, item in entries.items() if isinstance(item.value, int | float)]
    lows, highs = ([word for word in numbers if word in words] for words in (LOW_WORDS, HIGH_WORDS))
    lists = [word for word, item in entries.items() if isinstance(item.value, list) and word in LIST_WORDS]
    meant = "low and high" if (lows and highs) or lists == ["range"] else "choices" if lists else None
    if meant and not entries.keys() - {*lows, *highs, *lists, *OTHER_WORDS}:
        words = " and ".join(show(word) for word in (*lows, *highs, *lists))
        raise node.error(
            f"{name}: a parameter is written with {meant}, not {words}; constants need other names"
        )
    for word, item in node.entries().items():
        check_spelling(f"{name}.{word}" if name else word, item)


def condition(when: Mapping[str, tuple[Value, ...]]) -> str:
    """A condition in words: `schedule.kind 'cosine' or 'constant'`."""
    return " and ".join(f"{parent} {' or '.join(map(show, values))}" for parent, values in when.items())


# Reading ----------------------------------------------------------------------------------------------


def read_space(node: Node, *, lenient: bool = False) -> tuple[Space, list[str]]:
    """The space written at `node`, and notes; raises SpaceError that names the place.

    With `lenient`, a parameter whose condition can no longer be met is left out, with a note: setting
    `schedule.kind` on the command line drops the parameters of the other schedules.
    """
    leaves = dict(_leaves(node.mapping("space"), ()))
    written = {
        name: read_parameter(name, leaf) for name, leaf in leaves.items() if isinstance(leaf.value, dict)
    }
    constants = {name: _constant(name, leaf) for name, leaf in leaves.items() if name not in written}
    parameters: dict[str, Parameter] = {}
    notes: list[str] = []
    for name in _parents_first(written, leaves):
        try:
            parameters[name] = _resolve(written[name], leaves[name], parameters, constants, lenient)
        except SpaceError as error:
            if not lenient:
                raise
            notes.append(f"{error}; left out")
    if not parameters:
        raise node.error("space: has no parameter to search; give one low and high, or choices")
    return Space(tuple(parameters.values()), constants), notes


def _leaves(section: Mapping[str, Node], path: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    """Every parameter and constant in a section, by dotted name, in the order of the file."""
    for name, item in section.items():
        check_name(name, item)
        if not path and name in RESERVED:
            raise item.error(f"{name}: is reserved; give the parameter or section another name")
        if is_section(item):
            yield from _leaves(item.entries(), (*path, name))
            continue
        dotted = ".".join((*path, name))
        if len(dotted) > MAX_NAME:
            raise item.error(f"{show(dotted)}: has {len(dotted)} characters; use at most {MAX_NAME}")
        yield dotted, item


def _constant(name: str, node: Node) -> Any:
    last = name.rpartition(".")[2]
    if isinstance(node.value, list) and get_close_matches(last, ["choices"], cutoff=0.8):
        raise node.error(f"{name}: a list of values to choose from is called choices, not {last}")
    return read_value(name, node)


def _parents_first(written: Mapping[str, Parameter], leaves: Mapping[str, Node]) -> list[str]:
    """Names in the order of the file, except that each comes after those its condition names."""
    order: list[str] = []

    def visit(name: str, children: tuple[str, ...]) -> None:
        if name in children:
            cycle = " -> ".join((*children[children.index(name) :], name))
            raise leaves[name].error(f"{name}: its condition leads back to itself: {cycle}")
        for parent in written[name].when:
            if parent not in leaves:
                condition_node = leaves[name].nearest(("when", parent))
                raise condition_node.error(f"{name}: when {not_in_space(parent, leaves)}")
            if parent in written:
                visit(parent, (*children, name))
        if name not in order:
            order.append(name)

    for name in written:
        visit(name, ())
    return order


def _resolve(
    parameter: Parameter,
    leaf: Node,
    parents: Mapping[str, Parameter],
    constants: Mapping[str, Any],
    lenient: bool,
) -> Parameter:
    """`parameter` without conditions that always hold; raises SpaceError for one that never does."""
    name = parameter.name
    when: dict[str, tuple[Value, ...]] = {}
    for parent, values in parameter.when.items():
        node = leaf.nearest(("when", parent))
        needs = f"{name}: needs {condition({parent: values})}"
        if parent in constants:
            if not any(same(value, constants[parent]) for value in values):
                raise node.error(f"{needs}, which is the constant {show(constants[parent])}")
        elif parent not in parents:
            raise node.error(f"{needs}, which is left out itself")
        else:
            when[parent] = _values_of(parents[parent], values, name, node, lenient)
            if not when[parent]:
                raise node.error(f"{needs}, which is not among its choices")
    resolved = replace(parameter, when=when)
    if not all(_required_ancestors(resolved, parents).values()):
        raise leaf.nearest(("when",)).error(f"{name}: its conditions exclude each other")
    return resolved


def _values_of(
    parent: Parameter, values: tuple[Value, ...], name: str, node: Node, lenient: bool
) -> tuple[Value, ...]:
    """Those of the condition's `values` that `parent` can have; without `lenient` that must be all."""
    if not parent.choices and not parent.integer:
        raise node.error(f"{name}: {parent.name} is a range of floats; only choices or integers can be met")
    possible = []
    for value in values:
        try:
            possible.append(parent.cast(value))
        except SpaceError as error:
            if not lenient:
                raise node.error(f"{name}: when {error}") from error
    return tuple(possible)


def _required_ancestors(parameter: Parameter, parents: Mapping[str, Parameter]) -> dict[str, list[Value]]:
    """For each ancestor the values with which `parameter` can exist; an empty list: it never can."""
    required: dict[str, list[Value]] = {}
    lineage = [parameter]
    while lineage:
        for parent, values in lineage.pop().when.items():
            required[parent] = [value for value in required.get(parent, values) if value in values]
            lineage.append(parents[parent])
    return required
