"""The settings and dataset.yaml as JSON Schema (draft 7), from their Configs and registries."""

from typing import Any

from pydantic import BaseModel

from search.document.options import options_of
from search.mseg.config import SECTIONS
from search.mseg.data.description import DatasetDescription
from search.mseg.naming import FORMER
from search.mseg.section import Section, with_options

Schema = dict[str, Any]


def settings_schema() -> Schema:
    """Every section as an object of plain values, with what each entry of its registry narrows."""
    sections = {name: _section(section) for name, section in SECTIONS.items()}
    for setting, value in FORMER.items():
        name, _, leaf = setting.partition(".")
        sections[name]["properties"][leaf] = {"const": value, "description": "of older versions; omit it"}
    return {"type": "object", "properties": sections, "additionalProperties": False}


def dataset_schema() -> Schema:
    """The whole of dataset.yaml."""
    schema = _properties(DatasetDescription)
    return {**schema, "title": "dataset.yaml", "required": ["classes"]}


def _section(section: type[BaseModel]) -> Schema:
    if not issubclass(section, Section):
        return _properties(section)
    schema = _properties(with_options(section, None))
    every = schema["properties"]
    every[section.selector]["enum"] = sorted(section.registry)
    narrower = []
    for kind, entry in section.registry.items():
        own = _properties(with_options(section, kind))["properties"]
        differs = {name: own[name] for name in options_of(entry) if own[name] != every[name]}
        if differs:
            chosen = {"properties": {section.selector: {"const": kind}}, "required": [section.selector]}
            narrower.append({"if": chosen, "then": {"properties": differs}})
    return {**schema, "allOf": narrower} if narrower else schema


def _properties(model: type[BaseModel]) -> Schema:
    fields = model.model_json_schema()["properties"]
    properties = {name: _described_once(field) for name, field in fields.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _described_once(field: Schema) -> Schema:
    """A field without pydantic's titles; alternatives that differ in their description are one."""
    field = {word: value for word, value in field.items() if word != "title"}
    if "anyOf" not in field:
        return field
    alternatives: list[Schema] = []
    for each in field.pop("anyOf"):
        plain = {word: value for word, value in each.items() if word != "description"}
        alternatives += [] if plain in alternatives else [plain]
    return {**field, **(alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives})}
