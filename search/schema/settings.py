"""`study` and `report` of space.yaml as JSON Schema, from the dataclasses that hold them."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from search.pruners.registry import PRUNERS
from search.samplers.registry import SAMPLERS
from search.schema.searched import SCALAR, Schema
from search.spec import stages
from search.spec.settings import (
    LIMITS,
    STAGES,
    PrunerSettings,
    ReportSettings,
    SamplerSettings,
    StopRule,
    StudySettings,
)


def study_schema(stage: Schema, *, whole: bool) -> Schema:
    """The section `study`.

    Args:
        stage: the schema of any stage.
        whole: whether it is complete; a profile only changes parts of another.
    """
    kinds = {"sampler": (SamplerSettings, SAMPLERS), "pruner": (PrunerSettings, PRUNERS)}
    special: dict[str, Schema] = {"stages": _stages(stage), "stop": _stop_rule()}
    limits = {name.removeprefix("study."): limit for name, limit in LIMITS.items()}
    for name, (settings, registry) in kinds.items():
        properties = _fields(settings, {"seed": LIMITS["study.sampler.seed"]})
        del properties["options"]
        properties["kind"] = {"enum": sorted(registry), "default": settings().kind}
        special[name] = {
            "type": "object",
            "properties": properties,
            "required": ["kind"] if whole else [],
            "additionalProperties": SCALAR,
        }
    properties = {
        name: {**special.get(name, field), **_about(StudySettings, name)}
        for name, field in _fields(StudySettings, limits).items()
    }
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def report_schema() -> Schema:
    """The section `report`."""
    count = len(STAGES) - 1
    ends = {"type": "array", "items": {"type": "integer", "minimum": 0}, "uniqueItems": True}
    stages_ = {"anyOf": [{**ends, "minItems": count, "maxItems": count}, {"type": "null"}]}
    properties = {"stages": {**stages_, **_about(ReportSettings, "stages")}}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def stage_schema(constants: Schema) -> Schema:
    """A stage, which has words of its own and can replace `constants`."""
    words = _fields(stages.SearchStage, {**stages.LIMITS, "controls": (0, 1)})
    del words["constants"]
    return {**constants, "type": "object", "properties": {**constants.get("properties", {}), **words}}


def _stop_rule() -> Schema:
    rule = _fields(StopRule, {"after": LIMITS["study.stop.after"]})
    return {
        "type": ["object", "null"],
        "properties": rule,
        "additionalProperties": False,
        "minProperties": 1,
    }


def _stages(stage: Schema) -> Schema:
    """The first stage has a budget, each later one says how many go on to it."""

    def without(*words: list[str]) -> Schema:
        return {"not": {"anyOf": [{"required": each} for each in words]}}

    first = {"allOf": [stage, without(["keep"], ["controls"], ["seeds"])]}
    later = {"allOf": [stage, {"required": ["keep"]}, without(["trials"], ["controls", "seeds"])]}
    several = {"type": "array", "items": [first], "additionalItems": later, "minItems": 2}
    return {"anyOf": [several, {"type": "array", "maxItems": 0}, {"type": "null"}]}


def _fields(settings: Any, limits: Mapping[str, tuple[float, float]]) -> dict[str, Schema]:
    """The fields of a dataclass with what its docstring says of them."""
    hints = get_type_hints(settings)
    found = {}
    for each in fields(settings):
        schema = _inlined(TypeAdapter(hints[each.name]).json_schema())
        if each.name in limits:
            schema = _limited(schema, *limits[each.name])
        if each.default is None or isinstance(each.default, bool | int | float | str):
            schema["default"] = each.default
        found[each.name] = {**schema, **_about(settings, each.name)}
    return found


def _limited(schema: Schema, low: float, high: float) -> Schema:
    number = next((each for each in schema.get("anyOf", []) if each["type"] != "null"), schema)
    return {"type": number["type"], "minimum": low, "maximum": high}


def _about(settings: Any, name: str) -> dict[str, str]:
    """What the docstring's Attributes say of a field."""
    text = inspect.getdoc(settings) or ""
    found = re.search(rf"^    (?:\w+, )*{name}(?:, \w+)*: (.+(?:\n {{8}}.+)*)", text, re.MULTILINE)
    return {"description": " ".join(found[1].split())} if found else {}


def _inlined(schema: Any, definitions: Any = None) -> Any:
    """A schema of pydantic without its titles, with what it refers to in its place."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    definitions = schema.get("$defs", definitions)
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    kept = {word: value for word, value in schema.items() if word not in ("$defs", "title")}
    return {word: _inlined(value, definitions) for word, value in kept.items()}
