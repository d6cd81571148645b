"""What space.yaml says as a whole: objective, study, space, known configs, beliefs, report and profiles.

A `Spec` that was read is sound. Its `document` is kept in the study, and a worker that joins reads the
same Spec from that and needs no file.

The file must be consistent by itself, with each of its profiles. A profile or `--set` may narrow the
space: known configs, beliefs and conditional parameters that no longer fit are left out, and
`Spec.notes` says so.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from search.errors import SpaceError, one_of
from search.objective import Value
from search.spec.parameter import Parameter, read_number, read_scalar
from search.spec.settings import ReportSettings, StudySettings, read_report, read_study
from search.spec.source import Node, merge, override, read_yaml
from search.spec.space import Space, no_such, read_space

SECTIONS = ("objective", "study", "space", "known", "avoid", "report", "profiles")
LAYER = ("study", "space", "known", "avoid", "report")
"""What a profile may change."""
NARROWED = ("space", "known", "avoid")
"""Where something may be left out because a profile or an override no longer has room for it."""
COMPARISONS = ("above", "below", "equals", "one_of")

Said = TypeVar("Said")


@dataclass(frozen=True)
class Known:
    """A config to try first, as it stands: a value for every parameter that exists in it."""

    name: str
    params: Mapping[str, Value]

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, **self.params}


@dataclass(frozen=True)
class Belief:
    """What somebody advises against, to be tested: comparisons (`{"above": 1.5}`) that hold together."""

    name: str
    conditions: Mapping[str, Mapping[str, Any]]

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, **self.conditions}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A study as it is described.

    Attributes:
        objective: the module that is searched.
        known: tried first, in this order.
        avoid: beliefs; they limit nothing.
        profile: the one in use. profiles: the names of all.
        notes: sentences about what was left out because a profile or an override has no room for it.
        root: the document with its places.
    """

    objective: str
    study: StudySettings
    space: Space
    known: tuple[Known, ...]
    avoid: tuple[Belief, ...]
    report: ReportSettings
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    root: Node = field(repr=False, compare=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, origin: str) -> "Spec":
        """The Spec of a stored `document`; its places all read `origin` (`study 'mseg'`)."""
        body = {name: value for name, value in document.items() if name != "profile"}
        return replace(_read(Node.of(body, origin)), profile=document.get("profile"))

    @property
    def document(self) -> dict[str, Any]:
        """What the study stores, JSON-able: profile and overrides applied, every default written out."""
        return {
            "objective": self.objective,
            "profile": self.profile,
            "study": self.study.to_document(),
            "space": self.space.to_document(),
            "known": [known.to_document() for known in self.known],
            "avoid": [belief.to_document() for belief in self.avoid],
            "report": self.report.to_document(),
        }

    def overridden(self, overrides: Sequence[str]) -> "Spec":
        """The same with `NAME=VALUE` overrides laid over it; raises SpaceError like `load_spec`."""
        if not overrides:
            return self
        root = self.root
        for text in overrides:
            root = override(root, text)
        return replace(_read(root, NARROWED, self), profile=self.profile)

    def known_params(self) -> list[dict[str, Any]]:
        """The params of every known config: its own and the constants."""
        return [{**self.space.constants, **known.params} for known in self.known]

    def example(self) -> dict[str, Any]:
        """Params to try the objective with: the first known config's, or a corner of the space."""
        return next(iter(self.known_params() or self.space.corners()))

    def place(self, name: str) -> str:
        """Where `name` (`optimizer.learning_rate`, `study.sampler.kind`) was written: `space.yaml:12:17`.

        For a name that was written nowhere, where the section stands that it belongs to.
        """
        return self._node(name).place

    def located(self, error: SpaceError) -> SpaceError:
        """`error` of somebody who knew only the parameter's name, with the place before it."""
        return self._node(error.parameter).error(str(error), error.parameter) if error.parameter else error

    def _node(self, name: str) -> Node:
        path = name.split(".")
        return self.root.nearest(path if path[0] in ("objective", "study", "report") else ["space", *path])


def stock_space() -> Path:
    """The space.yaml of MicroSegFormer: beside this file where installed, else the checkout's own."""
    packaged = Path(__file__).parents[1] / "space.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "space.yaml"


def load_spec(path: Path, *, overrides: Sequence[str] = (), profile: str | None = None) -> Spec:
    """The Spec in the file `path`, a profile and then `NAME=VALUE` overrides laid over it.

    Raises SpaceError: place, value and remedy in one line. All profiles are checked, whichever is used.
    """
    written = read_yaml(path)
    layers = _profiles(written)
    sections = {name: item for name, item in written.entries().items() if name != "profiles"}
    base = Node(sections, written.place)
    specs: dict[str | None, Spec] = {None: _read(base)}
    for name, layer in layers.items():
        # What a profile says itself must fit; what it takes over from the file need not.
        forgive = [section for section in NARROWED if section == "space" or section not in layer.entries()]
        specs[name] = replace(_read(merge(base, layer), forgive, specs[None]), profile=name)
    if profile not in specs:
        if not layers:
            raise SpaceError(f"{path}: profile {profile!r}: the file has no profiles")
        raise written.nearest(["profiles"]).error(one_of("profile", profile, layers))
    return replace(specs[profile].overridden(overrides), profiles=tuple(layers))


def _profiles(root: Node) -> dict[str, Node]:
    layers = {}
    for name, node in root.entries().get("profiles", Node(None, root.place)).mapping("profiles").items():
        body = node.mapping(f"profiles.{name}")
        for section, item in body.items():
            if section not in LAYER:
                raise item.error(one_of(f"profiles.{name}", section, LAYER))
        layers[name] = Node({key: item for key, item in body.items() if item.value is not None}, node.place)
    return layers


def _read(root: Node, forgive: Collection[str] = (), before: Spec | None = None) -> Spec:
    """The Spec at `root`; what does not fit in the sections `forgive` is left out, with a note.

    `before` is the one that a profile or an override changed: where it had a constant that is searched
    now, that is the value of the known configs, which say nothing of it.
    """
    sections = root.entries()
    for name, item in sections.items():
        if name not in SECTIONS:
            raise item.error(one_of("top level", name, SECTIONS))
    for name in ("objective", "space"):
        if name not in sections:
            raise root.error(f"has no {name}; it needs objective: MODULE and space")
    nothing = Node(None, root.place)
    objective = sections["objective"]
    if not isinstance(objective.value, str) or not objective.value:
        raise objective.error(f"objective: {objective.show()} is not the name of a module")
    study = read_study(sections.get("study", nothing))
    space, notes = read_space(sections["space"], forgive="space" in forgive)
    constants = before.space.constants if before else {}
    params = partial(_params, space, {name: constants[name] for name in space.by_name if name in constants})
    known = _named("known", sections.get("known", nothing), params, notes, "known" in forgive)
    conditions = partial(_conditions, space)
    avoid = _named("avoid", sections.get("avoid", nothing), conditions, notes, "avoid" in forgive)
    return Spec(
        objective=objective.value,
        study=study,
        space=space,
        known=tuple(Known(name, params) for name, params in known.items()),
        avoid=tuple(Belief(name, conditions) for name, conditions in avoid.items()),
        report=read_report(sections.get("report", nothing)),
        notes=tuple(notes),
        root=root,
    )


# Known configs and beliefs ----------------------------------------------------------------------------


def _named(
    section: str,
    node: Node,
    read: Callable[[str, Node, dict[str, Node]], Said],
    notes: list[str],
    forgive: bool,
) -> dict[str, Said]:
    """What each entry of a list says, by its name; one that does not fit is an error, or a note."""
    if node.value is None:
        return {}
    if not isinstance(node.value, list):
        raise node.error(f"{section}: {node.show()} is not a list; write - {{name: ..., ...}}")
    said: dict[str, Said] = {}
    for item in node.value:
        written = dict(item.entries())
        if "name" not in written:
            raise item.error(f"{section}: an entry has no name; write - {{name: ..., ...}}")
        title = written.pop("name")
        name = title.value
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) > 1:
            raise title.error(f"{section}: name {title.show()} is not a line of text")
        if name in said:
            raise title.error(f"{section}: two are called {name!r}; rename one")
        label = f"{section} {name!r}"
        try:
            entry = read(label, item, written)
        except SpaceError as error:
            if not forgive:
                raise
            notes.append(f"{error}; left out")
            continue
        for other, same in said.items():
            if entry == same:
                raise item.error(f"{label}: says the same as {other!r}; keep one")
        said[name] = entry
    return said


def _params(
    space: Space, implied: Mapping[str, Value], label: str, item: Node, written: dict[str, Node]
) -> dict[str, Value]:
    """The parameters of a known config; constants that it repeats are left out."""
    for name, node in written.items():
        if node.entries():
            raise node.error(f"{label}: {name} is a section; write its names with dots, {name}.x: value")
    params = {**implied, **{name: read_scalar(f"{label}: {name}", node) for name, node in written.items()}}
    try:
        space.check(params)
    except SpaceError as error:
        here = written.get(error.parameter or "", item)
        raise here.error(f"{label}: {error}", error.parameter) from error
    return {parameter.name: parameter.cast(params[parameter.name]) for parameter in space.active(params)}


def _conditions(
    space: Space, label: str, item: Node, written: dict[str, Node]
) -> dict[str, dict[str, Any]]:
    """The comparisons of a belief by parameter."""
    if not written:
        raise item.error(f"{label}: compares nothing; write a parameter and {{above: value}}")
    conditions = {}
    for name, node in written.items():
        if name not in space.names:
            raise node.error(f"{label}: {no_such(name, space.names)}")
        if not node.entries():
            found = node.show()
            raise node.error(f"{label}: {name}: {found} is no comparison; write {{equals: {found}}}")
        conditions[name] = {
            word: _operand(f"{label}: {name}", word, operand, space.by_name.get(name))
            for word, operand in node.entries().items()
        }
    return conditions


def _operand(label: str, word: str, node: Node, parameter: Parameter | None) -> Any:
    if word not in COMPARISONS:
        raise node.error(one_of(label, word, COMPARISONS))
    if word in ("above", "below"):
        if parameter and parameter.choices:
            raise node.error(f"{label}: has choices, which have no order; use equals or one_of")
        return read_number(f"{label}: {word}", node)
    if word == "equals":
        return _possible(label, node, parameter)
    if not isinstance(node.value, list) or not node.value:
        raise node.error(f"{label}: one_of {node.show()} is not a list of values")
    return [_possible(label, value, parameter) for value in node.value]


def _possible(label: str, node: Node, parameter: Parameter | None) -> Value:
    value = read_scalar(label, node)
    try:
        return parameter.cast(value) if parameter else value
    except SpaceError as error:
        raise node.error(f"{label.partition(':')[0]}: {error}") from error
