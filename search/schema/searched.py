"""What `space` may have for a setting, as JSON Schema: a value, a range of numbers, or choices."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

SCALAR: Schema = {"type": ["boolean", "number", "string", "null"]}
VALUE: Schema = {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]}
"""Of an objective that does not say what its settings are."""


def reference(name: str) -> Schema:
    """The schema of that name in `definitions`."""
    return {"$ref": f"#/definitions/{name}"}


def searched(setting: Schema, value: Schema, when: str = "when") -> Schema:
    """A value of `setting`, or a parameter whose values are.

    Args:
        value: what a value must be: the setting itself, or a reference to it.
        when: the name of the schema of conditions.
    """
    about: Schema = {word: setting[word] for word in ("description", "default") if word in setting}
    choices = {"choices": {"type": "array", "items": value, "minItems": 2, "uniqueItems": True}}
    forms = [value, _parameter(choices, when)]
    if (numbers := _numbers(setting)) is not None:
        forms.append(_range(numbers, when))
    return {**about, "anyOf": forms}


def conditions(settings: Mapping[str, Schema], values: Schema) -> Schema:
    """`when`: for each of these names the value, or the list of values, with which a parameter exists."""
    names = {name: {"anyOf": [reference(name), _list_of(reference(name), 1)]} for name in settings}
    return {"type": "object", "minProperties": 1, **values, "properties": names}


def any_section() -> Schema:
    """A section whose settings may have any name."""
    parameter = {"anyOf": [{"required": [word]} for word in ("low", "high", "choices")]}
    below = {
        "if": {"type": "object"},
        "then": {
            "if": parameter,
            "then": searched(SCALAR, VALUE, "any when"),
            "else": reference("any space"),
        },
        "else": VALUE,
    }
    names = {"pattern": r"^[\w-]+$"}
    return {"type": ["object", "null"], "propertyNames": names, "additionalProperties": below}


def _parameter(words: Schema, when: str) -> Schema:
    return {
        "type": "object",
        "properties": {**words, "when": reference(when)},
        "required": [word for word in ("choices", "low", "high") if word in words],
        "additionalProperties": False,
    }


def _range(numbers: Schema, when: str) -> Schema:
    """Both ends are values of the setting, too."""
    step = "whole step" if _types(numbers) == {"integer"} else "step"
    words = {"low": numbers, "high": numbers, "step": reference(step), "log": reference("log")}
    return {**_parameter(words, when), "allOf": [reference("range")]}


def words_of_a_range() -> dict[str, Schema]:
    """Definitions that all ranges share."""
    about = "width of the grid from low to high"
    return {
        "step": {"type": "number", "exclusiveMinimum": 0, "description": about},
        "whole step": {"type": "integer", "exclusiveMinimum": 0, "description": about},
        "log": {"type": "boolean", "description": "sampled uniformly in its logarithm; excludes step"},
        "range": {
            "properties": {
                "low": {"description": "lowest value, included"},
                "high": {"description": "highest value, included"},
            },
            "if": {"properties": {"log": {"const": True}}, "required": ["log"]},
            "then": {"properties": {"low": {"exclusiveMinimum": 0}}, "not": {"required": ["step"]}},
        },
    }


def _numbers(setting: Schema) -> Schema | None:
    """The numbers among the values of a setting; None if it has none."""
    if "anyOf" in setting:
        found = [each for each in map(_numbers, setting["anyOf"]) if each is not None]
        return None if not found else found[0] if len(found) == 1 else {"anyOf": found}
    kinds = _types(setting) & {"integer", "number"}
    if not kinds:
        return None
    words = {word: value for word, value in setting.items() if word not in ("description", "default")}
    return {**words, "type": "number" if "number" in kinds else "integer"}


def _types(setting: Schema) -> set[str]:
    if "anyOf" in setting:
        return set().union(*map(_types, setting["anyOf"]))
    given = setting.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def _list_of(items: Schema, least: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least}
