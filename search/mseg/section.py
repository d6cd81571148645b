"""Registries whose entries declare their own options, and the sections of space.yaml that pick from them.

An entry is a function or class. Its keyword-only parameters are its options, each with type, range and
default:

    def polynomial(done: float, epochs: int, *, power: Annotated[float, Field(gt=0)] = 0.9) -> float: ...

That signature is all there is to declare: the option is a setting of the section (`schedule.power`), is
checked, reaches the entry, is read back from the live object and written to config.yaml. A section accepts
the options of its other entries too and ignores them, so that a document can give `power: 0.9` while a
study searches `schedule.kind`.
"""

from collections.abc import Mapping
from functools import cache, partial, reduce
from operator import or_
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from search.document.options import Entry, options_of
from search.errors import SpaceError, unknown_name
from search.objective import Value

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A section of space.yaml: its own settings, the chosen entry's options, and those of other entries.

    `of` builds one. `ScheduleConfig.of(kind="polynomial").power` is 0.9, but type checkers do not know the
    options: code reads them from `options`.

    Attributes:
        section: its name in space.yaml.
        registry: its entries by name.
        selector: the setting that names the entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    section: ClassVar[str]
    registry: ClassVar[Mapping[str, Entry]]
    selector: ClassVar[str] = "kind"

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The section with these settings; what is absent has its default.

        Raises:
            SpaceError: no entry of that name. ValidationError: an unknown setting, or a value out of range.
        """
        kind = values.get(cls.selector, cls.model_fields[cls.selector].default)
        if isinstance(kind, str) and kind not in cls.registry:
            name = f"{cls.section}.{cls.selector}"
            raise SpaceError(unknown_name(name, kind, cls.registry), parameter=name)
        return with_options(cls, kind if isinstance(kind, str) else None).model_validate(
            values, strict=True
        )

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """The names of all settings, options of every entry included."""
        return tuple(with_options(cls, None).model_fields)

    @property
    def entry(self) -> Entry:
        return self.registry[self.chosen]

    @property
    def chosen(self) -> str:
        return str(getattr(self, self.selector))

    @property
    def options(self) -> dict[str, Value]:
        return {name: getattr(self, name) for name in options_of(self.entry)}

    def bound(self) -> partial[Any]:
        """The chosen entry with its options, ready to be called: a live object that `applied` can read."""
        return partial(self.entry, **self.options)


def applied(section: type[Section], live: partial[Any]) -> dict[str, Value]:
    """The entry and options that a `bound` object really has, by parameter name."""
    names = {entry: name for name, entry in section.registry.items()}
    found = {section.selector: names.get(live.func, live.func.__name__), **live.keywords}
    return {f"{section.section}.{name}": value for name, value in found.items()}


@cache
def with_options(section: type[S], kind: str | None) -> type[S]:
    """`section` with the options of all entries; those of the entry `kind` have its ranges and defaults."""
    declared: dict[str, list[tuple[Any, Any]]] = {}
    for entry in section.registry.values():
        for name, option in options_of(entry).items():
            declared.setdefault(name, []).append(option)
    fields: dict[str, Any] = {
        # An option that several entries have, but not the chosen one, need only suit one of them.
        name: (reduce(or_, (annotation for annotation, _ in options)), options[0][1])
        for name, options in declared.items()
    }
    if kind is not None:
        fields |= options_of(section.registry[kind])
    return create_model(section.__name__, __base__=section, **fields)
