"""Building a study's sampler or pruner from its registry; every refusal names the line in space.yaml."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from search.document.options import complaint, options_of
from search.errors import SpaceError, unknown_name
from search.spec.spec import Spec

Built = TypeVar("Built")
Section = Literal["sampler", "pruner"]


def build(
    section: Section, registry: Mapping[str, Callable[..., Built]], spec: Spec, *arguments: Any
) -> Built:
    """Calls the entry for `study.<section>.kind` with `arguments` and the options beside `kind`.

    Raises SpaceError for an unknown kind, and for options that the entry refuses.
    """
    settings = getattr(spec.study, section)
    if settings.kind not in registry:
        name = f"study.{section}.kind"
        raise SpaceError(
            f"{spec.place(name)}: {unknown_name(name, settings.kind, registry)}", parameter=name
        )
    entry = registry[settings.kind]
    if settings.options:
        _check(spec, section, settings, options_of(entry))
    with options_located(spec, section):
        return entry(*arguments, **settings.options)


def _check(spec: Spec, section: Section, settings: Any, declared: Mapping[str, tuple[Any, Any]]) -> None:
    """Raises SpaceError for an option that the chosen entry does not declare, or not with this value."""
    for option, value in settings.options.items():
        name = f"study.{section}.{option}"
        if option not in declared:
            wrong = unknown_name(f"study.{section}", option, declared)
            if not declared:
                wrong = f"{name}: the {section} {settings.kind!r} has no options"
        elif text := complaint(value, declared[option][0]):
            wrong = f"{name}: {text}"
        else:
            continue
        raise SpaceError(f"{spec.place(name)}: {wrong}", parameter=name)


@contextmanager
def options_located(spec: Spec, section: Section) -> Iterator[None]:
    """Turns whatever is raised in this block into a SpaceError with the place of the options.

    Optuna checks few of its options: a wrong one shows as an AttributeError or a failed assertion.
    """
    try:
        yield
    except SpaceError:
        raise
    except Exception as error:
        name = f"study.{section}"
        # A TypeError begins with the constructor's name.
        message = " ".join(str(error).split()).split("() ")[-1]
        message = message or f"an option is refused ({type(error).__name__})"
        raise SpaceError(f"{spec.place(name)}: {name}: {message}", parameter=name) from error
