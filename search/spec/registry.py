"""Building a study's sampler or pruner from its registry; every refusal names the line in space.yaml."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

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
    with options_located(spec, section):
        return registry[settings.kind](*arguments, **settings.options)


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
