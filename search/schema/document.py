"""space.yaml and dataset.yaml as JSON Schema (draft 7): what an editor can know of them.

The settings of the stock objective are listed; those of another objective may have any name. What JSON
Schema cannot say (`low` is below `high`, a known config is inside the space) `search check` finds.
"""

from search.loading import STOCK, load_objective, vocabulary_of
from search.schema.searched import (
    VALUE,
    Schema,
    any_section,
    conditions,
    reference,
    searched,
    words_of_a_range,
)
from search.schema.settings import choices, report_schema, stage_schema, study_schema
from search.spec.known import COMPARISONS
from search.spec.spec import MAX_PROFILE_NAME, SECTIONS

DRAFT = "http://json-schema.org/draft-07/schema#"
DESCRIPTIONS = {
    "objective": "a module with train(config, run); it may be your own",
    "study": "how the space is searched",
    "space": "a plain value is a constant; low and high, or choices, make a parameter",
    "known": "configs that are tried first, in this order",
    "avoid": "what somebody advises against: the report tests it, and it limits nothing",
    "report": "what search report and search compare show",
    "profiles": "changes of all this by name; --profile applies one",
}


def schema_of(document: str) -> Schema:
    """The schema of `space` or `dataset`."""
    body = space_schema() if document == "space" else load_objective(STOCK).dataset_schema()
    return {"$schema": DRAFT, "title": f"{document}.yaml", **body}


def space_schema() -> Schema:
    """The schema of space.yaml."""
    sections = load_objective(STOCK).settings_schema()["properties"]
    settings: dict[str, Schema] = {
        f"{section}.{name}": setting
        for section, body in sections.items()
        for name, setting in body["properties"].items()
    }
    values = _by_name({name: reference(name) for name in settings}, settings)
    nested: dict[str, Schema] = {name: {"type": "object"} for name in sections}
    space = {name: _section(name, body) for name, body in sections.items()}
    top: dict[str, Schema] = {name: {"description": DESCRIPTIONS[name]} for name in SECTIONS}
    top["objective"] |= {"type": "string", "minLength": 1}
    top["space"] |= {"type": "object", "minProperties": 1}
    stock = _sections("", [*vocabulary_of(STOCK).scores, None])
    return {
        "type": "object",
        "properties": top,
        "required": ["objective", "space"],
        "additionalProperties": False,
        "if": {"properties": {"objective": {"const": STOCK}}},
        "then": {"properties": stock},
        "else": {"properties": _sections("any ", None)},
        "definitions": {
            **settings,
            "space": {"type": ["object", "null"], "properties": space, "additionalProperties": False},
            "when": conditions(settings, values),
            "known": _named(values, 1),
            "avoid": _named(_by_name(dict.fromkeys(settings, reference("comparison")), settings), 2),
            "stage": stage_schema({**values, "properties": {**nested, **values["properties"]}}),
            "comparison": _comparison(),
            **words_of_a_range(),
            **choices(),
            "any space": any_section(),
            "any when": conditions({}, {"additionalProperties": VALUE}),
            "any known": _named({"additionalProperties": VALUE}, 1),
            "any avoid": _named({"additionalProperties": reference("comparison")}, 2),
            "any stage": stage_schema({}),
        },
    }


def _sections(prefix: str, scores: list[str | None] | None) -> dict[str, Schema]:
    """Each section but `objective`, of definitions that have this prefix to their names."""

    def written(whole: bool) -> dict[str, Schema]:
        study = study_schema(reference(f"{prefix}stage"), whole=whole)
        if scores is not None:
            study["properties"]["score"]["enum"] = scores
        lists = {name: _list_of(reference(f"{prefix}{name}")) for name in ("known", "avoid")}
        return {"study": study, "space": reference(f"{prefix}space"), **lists, "report": report_schema()}

    layer = {"type": ["object", "null"], "properties": written(False), "additionalProperties": False}
    profiles = {"propertyNames": {"maxLength": MAX_PROFILE_NAME}, "additionalProperties": layer}
    return {**written(True), "profiles": {"type": ["object", "null"], **profiles}}


def _section(name: str, body: Schema) -> Schema:
    """A section of the stock objective, each setting of which may be searched."""

    def properties(of: Schema, prefix: str | None) -> Schema:
        return {
            leaf: searched(setting, reference(f"{prefix}.{leaf}") if prefix else setting)
            for leaf, setting in of["properties"].items()
        }

    narrower = [
        {"if": each["if"], "then": {"properties": properties(each["then"], None)}}
        for each in body.get("allOf", ())
    ]
    whole = {"type": "object", "properties": properties(body, name), "additionalProperties": False}
    return {**whole, "allOf": narrower} if narrower else whole


def _by_name(properties: dict[str, Schema], settings: dict[str, Schema]) -> Schema:
    """Entries by dotted name, whatever names are below a setting that takes any."""
    takes_any = [name for name, setting in settings.items() if "additionalProperties" in str(setting)]
    patterns: Schema = {f"^{name.replace('.', '[.]')}[.]": {} for name in takes_any}
    return {"properties": properties, "patternProperties": patterns, "additionalProperties": False}


def _named(entry: Schema, least: int) -> Schema:
    line = {"type": "string", "pattern": r"^[^\n]*\S[^\n]*$", "description": "what it is called"}
    properties = {"name": line, **entry.get("properties", {})}
    return {
        **entry,
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "minProperties": least,
    }


def _comparison() -> Schema:
    operands = (
        {"type": "number"},
        {"type": "number"},
        VALUE,
        {"type": "array", "items": VALUE, "minItems": 1},
    )
    words = dict(zip(COMPARISONS, operands, strict=True))
    return {"type": "object", "properties": words, "minProperties": 1, "additionalProperties": False}


def _list_of(items: Schema) -> Schema:
    return {"type": ["array", "null"], "items": items}
