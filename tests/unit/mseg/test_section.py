"""Sections of space.yaml that pick a registry's entry: whose options are valid, and with which default."""

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from search.errors import SpaceError
from search.mseg.section import Section, applied


def low(*, size: Annotated[int, Field(ge=0, le=9)] = 1, extra: Annotated[float, Field(gt=0)] = 0.5) -> str:
    return f"low {size}"


def high(*, size: Annotated[int, Field(ge=100)] = 200) -> str:
    return f"high {size}"


def plain() -> str:
    return "plain"


class ExampleConfig(Section):
    section: ClassVar = "example"
    registry: ClassVar = {"low": low, "high": high, "plain": plain}

    kind: str = "low"
    always: int = 3


@pytest.mark.parametrize(
    ("values", "result"),
    [({}, "low 1"), ({"size": 9}, "low 9"), ({"kind": "high"}, "high 200"), ({"kind": "plain"}, "plain")],
)
def test_an_option_that_two_entries_have_follows_the_chosen_one(
    values: dict[str, Any], result: str
) -> None:
    assert ExampleConfig.of(**values).bound()() == result


@pytest.mark.parametrize("values", [{"size": 100}, {"kind": "high", "size": 9}, {"extra": 0.0}])
def test_a_value_out_of_the_chosen_entrys_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExampleConfig.of(**values)


@pytest.mark.parametrize("size", [5, 100])
def test_an_option_of_other_entries_need_only_suit_one_of_them(size: int) -> None:
    config = ExampleConfig.of(kind="plain", size=size, extra=2.0)
    assert config.options == {} and config.bound()() == "plain"
    with pytest.raises(ValidationError):
        ExampleConfig.of(kind="plain", size=50)
    with pytest.raises(ValidationError):
        ExampleConfig.of(kind="high", extra=-1.0)


def test_what_is_applied_is_read_from_the_bound_entry() -> None:
    live = ExampleConfig.of(kind="high", size=300).bound()
    assert applied(ExampleConfig, live) == {"example.kind": "high", "example.size": 300}
    assert ExampleConfig.settings() == ("kind", "always", "size", "extra")


def test_an_unknown_entry_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpaceError, match=r"^example\.kind: 'hig' is not one of .*did you mean 'high'"):
        ExampleConfig.of(kind="hig")
