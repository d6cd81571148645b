"""One searched parameter: a range of numbers or a list of choices, and how space.yaml writes it.

`low`, `high`, `step`, `log` and `choices` are Optuna's own words and mean what they mean there; `when`
adds the condition under which the parameter exists. Optuna is not imported here: `suggest` calls
methods of the trial that it is given.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from search.document.node import Node, show
from search.errors import SpaceError
from search.objective import NOTHING, Params, Value

WORDS = ("choices", "high", "log", "low", "step", "when")

MOST_STEPS = 1e27
"""Of a grid: Optuna divides a range by its step in 28 decimal digits."""


class SuggestingTrial(Protocol):
    """The part of an Optuna trial that `suggest` calls."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A range of numbers, or choices.

    Attributes:
        name: dotted, `optimizer.learning_rate`.
        low, high: both included; both integers in a range of integers; 0 and 0 beside choices.
        step: of the grid from `low` on; 1 for integers unless said otherwise; None: no grid.
        log: whether it is sampled uniformly in its logarithm.
        choices: the values to choose from; empty for a range. A list among them is held as its text,
            `[360, 480]`, and reaches the objective so: a database and samplers have single values.
        when: for each parent, the values with which this parameter exists; all must be met.
    """

    name: str
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=lambda: NOTHING)

    @property
    def integer(self) -> bool:
        return not self.choices and isinstance(self.low, int)

    @property
    def ends(self) -> tuple[Value, Value]:
        """The lowest and the highest value; of choices the first and the last."""
        return (self.choices[0], self.choices[-1]) if self.choices else (self.low, self.high)

    @property
    def probes(self) -> tuple[float, ...]:
        """Of a range both ends, and where it has a step the value after the lowest."""
        inside = () if self.step is None else (self.low + self.step,)
        return (self.low, *inside, self.high)

    def active(self, params: Params) -> bool:
        """Whether it exists in the config `params`, which holds its parents where those exist."""
        return all(parent in params and params[parent] in values for parent, values in self.when.items())

    def suggest(self, trial: SuggestingTrial) -> Value:
        if self.choices:
            choice: Value = trial.suggest_categorical(self.name, choices=self.choices)
            return choice
        if self.integer:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(self.name, low=low, high=high, step=step, log=self.log)
        return trial.suggest_float(self.name, low=self.low, high=self.high, step=self.step, log=self.log)

    def cast(self, value: object) -> Value:
        """`value` as this parameter holds it: 1 is 1.0 in a range of floats.

        Raises SpaceError for a value outside the parameter's range.
        """
        if self.choices:
            value = _held(value)
            for choice in self.choices:
                if same(choice, value):
                    return choice
            raise self._error(f"{show(value)} is not one of {', '.join(map(show, self.choices))}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(f"{show(value)} is not a number")
        if self.integer and not isinstance(value, int):
            raise self._error(f"{show(value)} is not an integer")
        if not self.low <= value <= self.high:
            raise self._error(f"{show(value)} is not within {self.low} to {self.high}")
        if self.step is not None:
            steps = (value - self.low) / self.step
            if abs(steps - round(steps)) > 1e-8:  # Optuna's own tolerance
                raise self._error(f"{show(value)} is off the grid from {self.low} in steps of {self.step}")
        return value if self.integer else float(value)

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it."""
        body: dict[str, Any] = {}
        if self.choices:
            body["choices"] = list(self.choices)
        else:
            body |= {"low": self.low, "high": self.high}
            body |= {"step": self.step} if self.step is not None else {}
            body |= {"log": True} if self.log else {}
        if self.when:
            body["when"] = {
                parent: values[0] if len(values) == 1 else list(values)
                for parent, values in self.when.items()
            }
        return body

    def _error(self, text: str) -> SpaceError:
        return SpaceError(f"{self.name}: {text}", parameter=self.name)


def same(a: object, b: object) -> bool:
    """Equality of values in which true is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


# Reading ----------------------------------------------------------------------------------------------


def read_parameter(name: str, node: Node) -> Parameter:
    """The parameter written at `node`; its condition is not yet checked against the rest of the space.

    Raises SpaceError that names the place.
    """
    words = node.entries()
    node.check_names(name, WORDS)
    when = _read_when(name, words["when"]) if "when" in words else {}
    if "choices" not in words:
        return _read_range(name, node, when)
    for word in ("low", "high", "step", "log"):
        if word in words:
            raise words[word].error(f"{name}: has choices and {word}; keep one of the two")
    return Parameter(name=name, choices=_read_choices(name, words["choices"]), when=when)


def read_scalar(name: str, node: Node) -> Value:
    """A single value: no list, no section, not NaN or infinite."""
    if isinstance(node.value, dict | list):
        raise node.error(f"{name}: {node.show()} is not a single value")
    if isinstance(node.value, float) and not math.isfinite(node.value):
        raise node.error(f"{name}: {node.show()} is not finite; use a finite number or null")
    return node.value


def read_value(name: str, node: Node) -> Any:
    """A single value, or a list of such."""
    if isinstance(node.value, list):
        return [read_scalar(name, item) for item in node.value]
    return read_scalar(name, node)


def _held(value: Any) -> Any:
    """A list as choices hold it."""
    return json.dumps(list(value)) if isinstance(value, list | tuple) else value


def read_number(name: str, node: Node) -> float:
    """A finite number; an integer stays one."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise node.error(f"{name}: {node.show()} is not a finite number")
    return value


def _read_range(name: str, node: Node, when: Mapping[str, tuple[Value, ...]]) -> Parameter:
    words = node.entries()
    for word in ("low", "high"):
        if word not in words:
            raise node.error(f"{name}: has no {word}; a range needs low and high")
    low, high = (read_number(f"{name}: {word}", words[word]) for word in ("low", "high"))
    step = read_number(f"{name}: step", words["step"]) if "step" in words else None
    log = words["log"].value if "log" in words else False
    if not isinstance(log, bool):
        raise words["log"].error(f"{name}: log {words['log'].show()} is not true or false")
    if not all(isinstance(number, int | None) for number in (low, high, step)):
        low, high, step = float(low), float(high), None if step is None else float(step)
    if low == high:
        raise node.error(f"{name}: low and high are both {low}; write {low} as the value")
    if low > high:
        raise node.error(f"{name}: low {low} is not below high {high}")
    if log and low <= 0:
        raise words["low"].error(f"{name}: low {low} has no logarithm; raise it above 0 or omit log")
    if log and step is not None:
        raise words["step"].error(f"{name}: log and step exclude each other; keep one of the two")
    if step is not None:
        _check_grid(name, words["step"], low, high, step)
    elif isinstance(low, int) and not log:
        step = 1
    return Parameter(name=name, low=low, high=high, step=step, log=log, when=when)


def _check_grid(name: str, node: Node, low: float, high: float, step: float) -> None:
    if step <= 0:
        raise node.error(f"{name}: step {step} is not above 0")
    if (high - low) / step > MOST_STEPS:
        raise node.error(f"{name}: step {step} is too fine for {low} to {high}; omit it")
    # Decimal fractions count as written: 0.1 divides 0 to 0.3, though its binary value does not.
    start, end, width = (Fraction(repr(number)) for number in (low, high, step))
    last = start + (end - start) // width * width
    if last == start:
        raise node.error(f"{name}: step {step} is wider than {low} to {high}")
    if last != end:
        meets = type(low)(last)
        raise node.error(f"{name}: step {step} from {low} does not meet high {high}; make high {meets}")


def _read_choices(name: str, node: Node) -> tuple[Value, ...]:
    if not isinstance(node.value, list):
        raise node.error(f"{name}: choices {node.show()} is not a list; write [a, b]")
    choices: list[Value] = []
    for item in node.value:
        choice = _held(read_value(f"{name}: choice", item))
        # 1, 1.0 and true are equal in Python, so Optuna could not tell them apart.
        if choice in choices:
            raise item.error(f"{name}: choice {show(choice)} is given twice; keep one")
        choices.append(choice)
    if not choices:
        raise node.error(f"{name}: choices is empty; give at least two")
    if len(choices) == 1:
        raise node.error(f"{name}: has the one choice {show(choices[0])}; write it as the value")
    return tuple(choices)


def _read_when(name: str, node: Node) -> dict[str, tuple[Value, ...]]:
    if not isinstance(node.value, dict) or not node.value:
        raise node.error(f"{name}: when {node.show()} is not a condition; write {{parent: value}}")
    when = {}
    for parent, item in node.value.items():
        values = item.value if isinstance(item.value, list) else [item]
        if not values:
            raise item.error(f"{name}: when {parent} is an empty list; give a value")
        when[parent] = tuple(read_value(f"{name}: when {parent}", value) for value in values)
    return when
