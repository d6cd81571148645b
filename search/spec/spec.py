"""space.yaml as a whole: objective, study, space, known configs, beliefs, report and profiles.

A `Spec` that was read is valid. Its `document` is stored with the study, and a worker that joins reads the
same Spec from that and needs no file.

The file must be consistent by itself and with each of its profiles. A profile or `--set` may narrow the
space: known configs, beliefs and conditional parameters that no longer fit are left out, with a note in
`Spec.notes`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.document.node import Node, show
from search.errors import SearchError, SpaceError, cause_of, did_you_mean, unknown_name
from search.loading import vocabulary_of
from search.objective import Value, Vocabulary
from search.spec.grid import too_few_configs
from search.spec.known import Belief, KnownConfig, check_known_names, read_beliefs, read_known
from search.spec.parameter import read_value
from search.spec.settings import ReportSettings, StudySettings, read_report, read_study
from search.spec.source import assign, assignment, merge, override, read_yaml
from search.spec.space import Space, check_spelling, read_space
from search.spec.stages import resolve_stages, too_many_kept

MAX_INTEGER = 2**53
"""The database holds a parameter's value as a double, which has every integer up to this one."""

SECTIONS = ("objective", "study", "space", "known", "avoid", "report", "profiles")
LAYER = ("study", "space", "known", "avoid", "report")
"""What a profile may change."""
MAX_PROFILE_NAME = 64
"""Characters that the database holds."""
NARROWED = ("space", "known", "avoid")
"""Where entries may be left out because they no longer fit after a profile or an override."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A study as space.yaml describes it.

    Attributes:
        objective: the name of the module that trains.
        known: configs that are tried first, in this order.
        avoid: beliefs; they limit nothing.
        profile: the one in use.
        profiles: the names of all.
        notes: sentences about entries that were left out because of a profile or an override.
        root: the document with its places.
    """

    objective: str
    study: StudySettings
    space: Space
    known: tuple[KnownConfig, ...]
    avoid: tuple[Belief, ...]
    report: ReportSettings
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    root: Node = field(repr=False, compare=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, origin: str) -> "Spec":
        """The Spec of a stored `document`; all its places are `origin` (`study 'mseg'`)."""
        body = {name: value for name, value in document.items() if name != "profile"}
        return replace(_read(Node.of(body, origin)), profile=document.get("profile"))

    @property
    def document(self) -> dict[str, Any]:
        """What the study stores, ready for JSON: profile and overrides applied, all defaults included."""
        return {
            "objective": self.objective,
            "profile": self.profile,
            "study": self.study.to_document(),
            "space": self.space.to_document(),
            "known": [known.to_document() for known in self.known],
            "avoid": [belief.to_document() for belief in self.avoid],
            "report": self.report.to_document(),
        }

    @property
    def vocabulary(self) -> Vocabulary:
        """The objective's words, for this study's score."""
        return vocabulary_of(self.objective, self.study.score)

    def overridden(self, overrides: Sequence[str]) -> "Spec":
        """This Spec with `NAME=VALUE` overrides applied; raises SpaceError like `load_spec`."""
        if not overrides:
            return self
        root = self.root
        for text in overrides:
            root = override(root, text)
        check_spelling("", root.nearest(["space"]))
        return replace(_read(root, NARROWED, self), profile=self.profile)._checked()

    def with_constants(self, overrides: Sequence[str]) -> "Spec":
        """This Spec, without stages, with `NAME=VALUE` for some of its constants.

        Raises:
            SpaceError: an override is of anything else.
        """
        constants = {}
        for text in overrides:
            name, node = assignment(text)
            if name not in self.space.constants:
                hint = did_you_mean(name, self.space.constants)
                what = "is searched" if name in self.space.by_name else f"is not in the space{hint}"
                raise node.error(f"{what}; only constants can be replaced")
            constants[name] = read_value(name, node)
        return replace(self, study=replace(self.study, stages=()), space=self.space.replaced(constants))

    def stage(self, index: int) -> "Spec":
        """What stage `index` (0: the search itself) trains, as a document of its own without stages."""
        stage = self.study.stages[index]
        settings = replace(self.study, stages=(), stop=None, trials=stage.trials or self.study.trials)
        return replace(self, study=settings, space=self.space.replaced(stage.constants))

    def budget_notes(self, trials: int) -> list[str]:
        """Sentences for the user on what does not go with a budget of `trials`."""
        notes = too_few_configs(self.space, trials), too_many_kept(self.study.stages, trials)
        return [note for note in notes if note]

    def known_params(self) -> list[dict[str, Any]]:
        """The params of every known config, constants included."""
        return [{**self.space.constants, **known.params} for known in self.known]

    def example(self) -> dict[str, Any]:
        """Params to try the objective with: those of the first known config, or a corner of the space."""
        return next(iter(self.known_params() or self.space.corners()))

    def place(self, name: str) -> str:
        """Where `name` (`optimizer.learning_rate`, `study.sampler.kind`) was written: `space.yaml:12:17`.

        For a name that was not written, the place of the section that it belongs to.
        """
        return self._node(name).place

    def located(self, error: SpaceError) -> SpaceError:
        """`error`, raised with only the parameter's name known, with the place in front."""
        return self._node(error.parameter).error(str(error), error.parameter) if error.parameter else error

    @contextmanager
    def locating(self) -> Iterator[None]:
        """In this block the objective is tried: its errors get a place, its mistakes are one line, too."""
        try:
            yield
        except SpaceError as error:
            raise self.located(error) from error
        except (SearchError, OSError):
            raise
        except (Exception, SystemExit) as error:
            text = f"objective: {self.objective} fails with {cause_of(error, 150)}; --debug shows where"
            raise self.located(SpaceError(text, parameter="objective")) from error

    def check_goal(self) -> None:
        """Raises SpaceError where the study wants what its score cannot be, or the worst of it."""
        settings, words = self.study, self.vocabulary
        if words.direction not in (None, settings.direction):
            name = "study.direction"
            text = f"{name}: {settings.direction} would look for the worst {words.score_words}"
            raise self.located(SpaceError(f"{text}; write {words.direction}", parameter=name))
        targets = {"study.target": settings.target}
        if settings.stop is not None:
            targets["study.stop.target"] = settings.stop.target
        for name, target in targets.items():
            if target is not None and (problem := words.impossible(target)):
                raise self.located(SpaceError(f"{name}: {problem}", parameter=name))

    def _checked(self) -> "Spec":
        """This Spec. Not asked of a stored one: studies with longer ranges and any names must open."""
        check_known_names(self.root.nearest(["known"]))
        for each in self.space.parameters:
            if each.integer and max(abs(each.low), abs(each.high)) > MAX_INTEGER:
                raise self._node(each.name).error(
                    f"{each.name}: {each.low} to {each.high} goes beyond {MAX_INTEGER}; "
                    f"write low as a float, {each.low}.0"
                )
        return self

    def _node(self, name: str) -> Node:
        path = name.split(".")
        return self.root.nearest(path if path[0] in ("objective", "study", "report") else ["space", *path])


def stock_space() -> Path:
    """The space.yaml of the stock objective: in the installed package, else in the checkout."""
    packaged = Path(__file__).parents[1] / "space.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "space.yaml"


def load_spec(path: Path, *, overrides: Sequence[str] = (), profile: str | None = None) -> Spec:
    """The Spec in the file `path`, with a profile and then `NAME=VALUE` overrides applied.

    All profiles are checked, whichever is used. Raises SpaceError: place, value and remedy in one line.
    """
    written = read_yaml(path)
    for part in (written, *written.nearest(["profiles"]).entries().values()):
        check_spelling("", part.entries().get("space", Node(None, part.place)))
    layers = _profiles(written)
    sections = {name: item for name, item in written.entries().items() if name != "profiles"}
    base = Node(sections, written.place)
    specs: dict[str | None, Spec] = {None: _read(base)}
    for name, layer in layers.items():
        # What a profile writes itself must fit; what it takes over from the file need not.
        lenient = [section for section in NARROWED if section == "space" or section not in layer.entries()]
        specs[name] = replace(_read(merge(base, layer), lenient, specs[None]), profile=name)
    if profile not in specs:
        if not layers:
            raise SpaceError(f"{path}: profile {profile!r}: the file has no profiles")
        raise written.nearest(["profiles"]).error(unknown_name("profile", profile, layers))
    return replace(specs[profile].overridden(overrides), profiles=tuple(layers))._checked()


def _profiles(root: Node) -> dict[str, Node]:
    layers = {}
    for name, node in root.entries().get("profiles", Node(None, root.place)).mapping("profiles").items():
        if len(name) > MAX_PROFILE_NAME:
            raise node.error(
                f"profiles: {show(name)} is too long; use at most {MAX_PROFILE_NAME} characters"
            )
        body = node.mapping(f"profiles.{name}", LAYER)
        layers[name] = Node({key: item for key, item in body.items() if item.value is not None}, node.place)
    return layers


def _read(root: Node, lenient: Collection[str] = (), before: Spec | None = None) -> Spec:
    """The Spec at `root`; entries of the sections `lenient` that do not fit are left out, with a note.

    `before` is the Spec that a profile or an override changed. A parameter that was not searched there
    keeps its value in known configs that do not name it: the constant's, or the objective's default.
    """
    root.check_names("top level", SECTIONS)
    sections = root.entries()
    for name in ("objective", "space"):
        if name not in sections:
            raise root.error(f"has no {name}; it needs objective: MODULE and space")
    objective = sections["objective"]
    if not isinstance(objective.value, str) or not objective.value:
        raise objective.error(f"objective: {objective.show()} is not the name of a module")
    nothing = Node(None, root.place)
    settings = sections.get("study", nothing)
    study = read_study(settings)
    space, notes = read_space(sections["space"], lenient="space" in lenient)
    if study.stages:

        def reread(constants: Mapping[str, Any]) -> Space:
            return read_space(assign(sections["space"], constants), lenient=True)[0]

        stages = resolve_stages(study.stages, space, settings.nearest(["stages"]), reread)
        trials = stages[0].trials or study.trials
        study = replace(study, trials=trials, stages=(replace(stages[0], trials=trials), *stages[1:]))
        space = space.replaced(stages[0].constants)
    implied = _values_before(before, space, objective.value) if before and before.known else {}
    known, avoid = sections.get("known", nothing), sections.get("avoid", nothing)
    return Spec(
        objective=objective.value,
        study=study,
        space=space,
        known=read_known(known, space, implied, notes if "known" in lenient else None),
        avoid=read_beliefs(avoid, space, notes if "avoid" in lenient else None),
        report=read_report(sections.get("report", nothing)),
        notes=tuple(notes),
        root=root,
    )


def _values_before(before: Spec, space: Space, objective: str) -> Mapping[str, Value]:
    """The values in `before` of the parameters that only `space` searches, where it had any."""
    values = before.space.constants
    searched = space.by_name.keys() - before.space.by_name.keys()
    if searched - values.keys():
        with suppress(SpaceError):  # wrong constants are reported where configs are checked
            values = {**vocabulary_of(objective).defaults(values), **values}
    return {name: values[name] for name in searched & values.keys()}
