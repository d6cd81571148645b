"""The configs of a space as points: a name for each, and a list of all where they can be counted.

Equal configs have equal names, however their values were computed: a value on a grid is named by its
index, so that 0.1 + 0.2 is 0.3.
"""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from search.objective import Params, Value
from search.spec.parameter import Parameter
from search.spec.space import Space


def point(space: Space, params: Params) -> str:
    """The name of a config, 64 characters; constants and parameters inactive in it make no difference."""
    parts = (f"{p.name}={_value_name(p, params[p.name])}" for p in space.parameters if p.name in params)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def configs(space: Space) -> Iterator[Mapping[str, Value]]:
    """Every config, without the constants; none where a range without a step has infinitely many."""
    if not any(_is_infinite(parameter) for parameter in space.parameters):
        yield from _branches(space, {}, 0)


def too_few_configs(space: Space, trials: int) -> str | None:
    """A sentence for the user where the space has fewer configs than the budget has trials."""
    count = sum(1 for _ in islice(configs(space), trials))
    if count in (0, trials):
        return None
    return (
        f"the space has {count} configs: the other {trials - count} of {trials} trials will repeat the "
        f"best with other seeds; --trials {count} tries each once"
    )


def _branches(space: Space, chosen: dict[str, Any], depth: int) -> Iterator[Mapping[str, Value]]:
    """Configs with the values `chosen` for the first `depth` parameters."""
    if depth == len(space.parameters):
        yield chosen
        return
    parameter = space.parameters[depth]
    if not parameter.active({**space.constants, **chosen}):
        yield from _branches(space, chosen, depth + 1)
        return
    for value in _values(parameter):
        yield from _branches(space, {**chosen, parameter.name: value}, depth + 1)


def _is_infinite(parameter: Parameter) -> bool:
    """Whether it is a range of floats without a step."""
    return not parameter.choices and not parameter.integer and parameter.step is None


def _values(parameter: Parameter) -> Iterator[Value]:
    """Its values, ascending or as they were written; one by one, for a fine grid has billions."""
    if parameter.choices:
        yield from parameter.choices
    elif parameter.integer:
        yield from range(int(parameter.low), int(parameter.high) + 1, int(parameter.step or 1))
    elif parameter.step is not None:
        steps = round((parameter.high - parameter.low) / parameter.step)
        for step in range(steps + 1):
            yield min(parameter.low + step * parameter.step, parameter.high)


def _value_name(parameter: Parameter, value: Any) -> str:
    if parameter.choices:
        return str(parameter.choices.index(parameter.cast(value)))
    if parameter.step is not None and not parameter.integer:
        return str(round((value - parameter.low) / parameter.step))
    return repr(value)
