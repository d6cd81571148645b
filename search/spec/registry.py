"""Looking a kind up: what a registry does not know is said with the line it stands on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from search.errors import SpaceError, one_of
from search.spec.spec import Spec

Entry = TypeVar("Entry")


def registered(section: str, kind: str, registry: Mapping[str, Entry], spec: Spec) -> Entry:
    """The entry called `kind`; SpaceError with the place of `study.<section>.kind` where there is none."""
    name = f"study.{section}.kind"
    if kind not in registry:
        raise SpaceError(f"{spec.place(name)}: {one_of(name, kind, registry)}", parameter=name)
    return registry[kind]


@contextmanager
def options_at(spec: Spec, section: str) -> Iterator[None]:
    """Says where in the document the options stand that a constructor refused."""
    try:
        yield
    except SpaceError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        name = f"study.{section}"
        said = str(error).split("() ")[-1]  # TypeError begins with the constructor's name
        raise SpaceError(f"{spec.place(name)}: {name}: {said}", parameter=name) from error
