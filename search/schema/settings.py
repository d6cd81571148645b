"""`study` and `report` of space.yaml as JSON Schema, from the dataclasses that hold them."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from search.document.options import Entry, declaring, options_of
from search.pruners.registry import PRUNERS
from search.samplers.registry import SAMPLERS
from search.schema.searched import Schema, reference
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
    special: dict[str, Schema] = {
        "stages": _stages(stage),
        "stop": _stop_rule(),
        **{
            name: {"allOf": [reference(name)], "required": ["kind"] if whole else []}
            for name in ("sampler", "pruner")
        },
    }
    limits = {name.removeprefix("study."): limit for name, limit in LIMITS.items()}
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


def choices() -> dict[str, Schema]:
    """Definitions that `study_schema` refers to."""
    return {
        "sampler": _choice(SamplerSettings, SAMPLERS),
        "pruner": _choice(PrunerSettings, PRUNERS),
    }


def _choice(settings: Any, registry: Mapping[str, Entry]) -> Schema:
    """A section that names an entry of a registry as its `kind`, and sets the options of that entry."""
    own = _fields(settings, {"seed": LIMITS["study.sampler.seed"]})
    del own["options"]
    own["kind"] = {"enum": sorted(registry), "default": settings().kind}
    options = {kind: _options(entry) for kind, entry in registry.items()}
    return {
        "type": "object",
        "properties": {**own, **{name: {} for each in options.values() for name in each}},
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {
                    "properties": each,
                    "propertyNames": {"enum": [*own, *each]},
                    "required": [name for name, option in each.items() if "default" not in option],
                },
            }
            for kind, each in options.items()
        ],
    }


def _options(entry: Entry) -> dict[str, Schema]:
    """The options of an entry with what its docstring says of them."""
    return {
        name: {**_typed(annotation, default), **_about(declaring(entry), name)}
        for name, (annotation, default) in options_of(entry).items()
    }


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
        schema = _typed(hints[each.name], each.default)
        if each.name in limits:
            schema = _limited(schema, *limits[each.name])
        found[each.name] = {**schema, **_about(settings, each.name)}
    return found


def _typed(annotation: Any, default: Any) -> Schema:
    schema: Schema = _inlined(TypeAdapter(annotation).json_schema())
    plain = default is None or isinstance(default, bool | int | float | str)
    return {**schema, "default": default} if plain else schema


def _limited(schema: Schema, low: float, high: float) -> Schema:
    number = next((each for each in schema.get("anyOf", []) if each["type"] != "null"), schema)
    kept = {word: value for word, value in schema.items() if word != "anyOf"}
    return {**kept, "type": number["type"], "minimum": low, "maximum": high}


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
