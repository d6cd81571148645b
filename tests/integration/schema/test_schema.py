"""The JSON Schemas: true of our own files, and as strict as the program that reads them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from search.document.node import Node
from search.document.reading import read_document
from search.errors import DataError, SpaceError
from search.launcher.creation import check_search
from search.loading import STOCK, check_score, configure, load_objective
from search.mseg.data.description import read_description
from search.spec.known import COMPARISONS
from search.spec.parameter import WORDS
from search.spec.spec import load_spec, stock_space

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "search" / "schema"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json.loads((FOLDER / "space.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize(
    "path", [stock_space(), ROOT / "benchmarks" / "real_faces.yaml", ROOT / "docs" / "real_faces.yaml"]
)
def test_our_own_files_name_their_schema_and_follow_it(validator: Draft7Validator, path: Path) -> None:
    named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == FOLDER / "space.schema.json"
    document = read_document(path).plain()
    validator.validate(document)
    for profile in (None, *document.get("profiles", ())):  # the resolved document, too
        resolved = load_spec(path, profile=profile).document
        validator.validate({name: value for name, value in resolved.items() if name != "profile"})


def test_every_setting_has_a_description_and_every_word_its_place(validator: Draft7Validator) -> None:
    definitions = validator.schema["definitions"]
    settings = load_objective(STOCK).vocabulary.settings()
    assert [name for name in settings if not described(definitions, *name.split("."))] == []
    rate = definitions["space"]["properties"]["optimizer"]["properties"]["learning_rate"]
    words = {word for form in rate["anyOf"] for word in form.get("properties", ())}
    assert words == set(WORDS)
    assert definitions["comparison"]["properties"].keys() == set(COMPARISONS)
    chosen = [
        each["then"]["properties"] for name in ("sampler", "pruner") for each in definitions[name]["allOf"]
    ]
    options = [option for each in chosen for option in each.items()]
    assert len(options) >= 20 and [name for name, option in options if "description" not in option] == []


def described(definitions: Any, section: str, name: str) -> bool:
    body = definitions["space"]["properties"][section]
    narrower = [each["then"]["properties"] for each in body.get("allOf", ())]
    return any(
        each.get(name, {}).get("description") or definitions[f"{section}.{name}"].get("description")
        for each in [body["properties"], *narrower]
    )


HEAD = "objective: search.mseg\n"
RATE = "optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-3}}"

RIGHT = [
    "space: {optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-3, log: true}}}",
    "space: {data: {image_size: {choices: [64, [64, 96]]}}}",
    "space: {data: {eval_size: {choices: [train, 64]}}}",
    "space: {model: {kind: {choices: [unet, deeplab]}, depth: {low: 1, high: 4, "
    "when: {model.kind: unet}}}}",
    f"space: {{{RATE}}}\nstudy: {{stages: [{{trials: 4}}, {{keep: 2, seeds: 3}}]}}",
    f"space: {{{RATE}, trainer: {{epochs: 9}}, data: {{image_size: 64}}, schedule: {{warmup_epochs: 2}}}}\n"
    "study: {stages: [{data.image_size: 32, trainer: {epochs: 3}}, {keep: 2}]}",
    f"space: {{{RATE}}}\nstudy: {{stop: {{target: 0.84, after: 20}}}}",
    f"space: {{{RATE}}}\nstudy:\nknown:\navoid:\nreport:\nprofiles:",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{kind: tpe}}}}\n"
    "profiles: {q: {study: {sampler: {seed: 3}}}}",
    f"space: {{{RATE}, model: {{kind: import, name: my.Net, arguments: {{depth: 3, any: [1]}}}}}}",
    f"space: {{{RATE}, loss: {{kind: ce_dice}}}}",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{kind: tpe, n_startup_trials: 0, group: null}}, "
    "pruner: {kind: hyperband, max_resource: auto}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: percentile, percentile: 25}}}}\n"
    "profiles: {q: {study: {pruner: {percentile: 50.0}}}}",
]

WRONG = [
    f"space: {{{RATE}}}\nstudy: {{stop: {{after: 0}}}}",
    f"space: {{{RATE}}}\nstudy: {{stop: {{}}}}",
    f"space: {{{RATE}}}\nstudy: {{stop: {{target: high}}}}",
    "space: {}",
    "space: [1]",
    f"spaces: {{{RATE}}}",
    f"space: {{{RATE}}}\nobjectives: 3",
    f"space: {{{RATE}, optimiser: {{kind: sgd}}}}",
    f"space: {{{RATE}, trainer: {{epoch: 3}}}}",
    f"space: {{{RATE}, trainer: {{epochs: 0}}}}",
    f"space: {{{RATE}, trainer: {{epochs: 2.5}}}}",
    f"space: {{{RATE}, trainer: {{ema: 1.0}}}}",
    f"space: {{{RATE}, trainer: {{precision: float16}}}}",
    f"space: {{{RATE}, data: {{image_size: 100}}}}",
    f"space: {{{RATE}, data: {{image_size: [64, 65]}}}}",
    f"space: {{{RATE}, data: {{eval_size: natve}}}}",
    f"space: {{{RATE}, data: {{val_share: 1}}}}",
    f"space: {{{RATE}, augment: {{flip: 1.5}}}}",
    f"space: {{{RATE}, augment: {{fill: black}}}}",
    f"space: {{{RATE}, model: {{kind: unett}}}}",
    f"space: {{{RATE}, model: {{kind: unet, depth: 6}}}}",
    f"space: {{{RATE}, model: {{lmsa: 1}}}}",
    f"space: {{{RATE}, model: {{dropout: 0.8}}}}",
    f"space: {{{RATE}, loss: {{dice_weight: -1}}}}",
    f"space: {{{RATE}, schedule: {{kind: cosin}}}}",
    "space: {optimizer: {learning_rate: {low: 1.0e-4}}}",
    "space: {optimizer: {learning_rate: {low: 0, high: 1.0e-3}}}",
    "space: {optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-3, log: true, step: 1.0e-4}}}",
    "space: {optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-3, log: 1}}}",
    "space: {optimizer: {weight_decay: {low: 0, high: 0.1, log: true}}}",
    "space: {optimizer: {learning_rate: {min: 1.0e-4, max: 1.0e-3}}}",
    "space: {trainer: {epochs: {low: 1, high: 9, step: 0}}}",
    "space: {schedule: {kind: {choices: [cosine]}}}",
    "space: {schedule: {kind: {choices: [cosine, cosine]}}}",
    "space: {schedule: {kind: {choices: [cosine, ramp]}}}",
    "space: {schedule: {kind: {choices: [cosine, constant], when: {}}}}",
    "space: {schedule: {kind: {choices: [cosine, constant], when: {optimizer.kin: sgd}}}}",
    f"space: {{{RATE}}}\nstudy: {{trials: 0}}",
    f"space: {{{RATE}}}\nstudy: {{score: val_f}}",
    f"space: {{{RATE}}}\nstudy: {{direction: up}}",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{kind: bayes}}}}",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{seed: 1}}}}",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{kind: gp, n_startup_trials: -1}}}}",
    f"space: {{{RATE}}}\nstudy: {{sampler: {{kind: random, scramble: true}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: median, control: [1]}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: median, control: 1.5}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: median, patience: 2.5}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: median, smooth: 3}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: percentile}}}}",
    f"space: {{{RATE}}}\nstudy: {{pruner: {{kind: hyperband, max_resource: all}}}}",
    f"space: {{{RATE}}}\nstudy: {{stages: [{{trials: 4}}]}}",
    f"space: {{{RATE}}}\nstudy: {{stages: [{{trials: 4}}, {{trials: 3}}]}}",
    f"space: {{{RATE}}}\nreport: {{stages: [5, 30]}}",
    f"space: {{{RATE}}}\nknown: [{{optimizer.learning_rate: 5.0e-4}}]",
    f"space: {{{RATE}}}\nknown: [{{name: a, optimizer: {{learning_rate: 5.0e-4}}}}]",
    f"space: {{{RATE}}}\nknown: [{{name: a, optimizer.rate: 5.0e-4}}]",
    f"space: {{{RATE}}}\navoid: [{{name: a, optimizer.learning_rate: {{over: 1}}}}]",
    f"space: {{{RATE}}}\nprofiles: {{q: {{objective: toy}}}}",
    f"space: {{{RATE}}}\nprofiles: {{q: {{space: {{trainer: {{epochs: 0}}}}}}}}",
]


def refused_by_the_program(path: Path) -> bool:
    """Whether `search check` would refuse the document, whichever profile is used."""
    try:
        names = load_spec(path).profiles
        for profile in (None, *names):
            spec = load_spec(path, profile=profile)
            check_search(spec)
            check_score(spec.objective, spec.study.score)
            for params in [*spec.space.corners(), *spec.known_params()]:
                configure(load_objective(spec.objective), params)
    except SpaceError:
        return True
    return False


@pytest.mark.parametrize("text", RIGHT)
def test_what_the_program_takes_is_right(validator: Draft7Validator, tmp_path: Path, text: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(HEAD + text)
    assert not refused_by_the_program(path)
    validator.validate(read_document(path).plain())


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_refused_by_schema_and_program(
    validator: Draft7Validator, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(HEAD + text)
    assert not validator.is_valid(read_document(path).plain())
    assert refused_by_the_program(path)


def test_settings_of_another_objective_may_have_any_name(validator: Draft7Validator) -> None:
    space = {"net": {"width": {"low": 1, "high": 9, "when": {"kind": ["a"]}}, "size": [1, 2]}, "k": 3}
    document = {"objective": "mine", "space": space, "known": [{"name": "a", "net.width": 3}]}
    validator.validate(document)
    space["net"]["width"] = {"low": 1}
    assert not validator.is_valid(document)


DESCRIPTIONS = [
    ("classes: [sky, road]", True),
    ("classes: [sky, road]\nignore: 255\nmirror_pairs: []", True),
    ("classes: [sky, road]\nignore: [0, 0, 0]\ncolours: [[1, 2, 3], [4, 5, 6]]", True),
    ("classes: [sky, road, car]\nmirror_pairs: [[1, 2]]", True),
    ("classes: [sky]", False),
    ("classes: [sky, sky]", False),
    ("classes: [sky, 3]", False),
    ("names: [sky, road]", False),
    ("classes: [sky, road]\nignore: -1", False),
    ("classes: [sky, road]\nignore: [0, 0, 256]\ncolours: [[1, 2, 3], [4, 5, 6]]", False),
    ("classes: [sky, road]\ncolours: [[1, 2], [4, 5, 6]]", False),
    ("classes: [sky, road]\nmirror_pairs: [[1, 1]]", False),
]


@pytest.mark.parametrize(("text", "right"), DESCRIPTIONS)
def test_descriptions_of_data_are_judged_alike(tmp_path: Path, text: str, right: bool) -> None:
    validator = Draft7Validator(json.loads((FOLDER / "dataset.schema.json").read_text()))
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    try:
        read_description(path)
        taken = True
    except DataError:
        taken = False
    node: Node = read_document(path)
    assert (taken, validator.is_valid(node.plain())) == (right, right)
