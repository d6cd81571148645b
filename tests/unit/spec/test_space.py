"""The space: what its section may say, what it suggests under its conditions, what it refuses."""

import json
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

import optuna
import pytest

from search.document.node import Node
from search.document.reading import parse_yaml
from search.errors import SpaceError
from search.spec.grid import configs, too_few_configs
from search.spec.parameter import Parameter
from search.spec.space import Space, read_space

SCHEDULE = """\
rate: {low: 2e-4, high: 3E-3, log: true}
schedule:
  restart:
    factor: {choices: [1, 2], when: {schedule.kind: restarts, schedule.restart.epochs: [20, 30]}}
    epochs: {choices: [20, 30, 50], when: {schedule.kind: restarts}}
  kind: {choices: [cosine, restarts, constant]}
  warmup: {low: 0, high: 15}
share: {low: 0, high: 0.3, step: 0.1}
epochs: 200
scale: [0.9, 1.1]
"""


def node(text: str) -> Node:
    return parse_yaml(text, lambda mark: f"f:{mark.line + 1}:{mark.column + 1}")


def read(text: str) -> Space:
    space, notes = read_space(node(text))
    assert not notes
    return space


# Reading ----------------------------------------------------------------------------------------------


def test_ranges_choices_and_constants_are_read() -> None:
    space = read(SCHEDULE)
    assert dict(space.constants) == {"epochs": 200, "scale": [0.9, 1.1]}
    assert space.by_name["rate"] == Parameter(name="rate", low=2e-4, high=3e-3, log=True)
    assert space.by_name["schedule.warmup"] == Parameter(name="schedule.warmup", low=0, high=15, step=1)
    assert space.by_name["share"] == Parameter(name="share", low=0.0, high=0.3, step=0.1)
    assert [name for name, parameter in space.by_name.items() if parameter.integer] == ["schedule.warmup"]


def test_a_list_among_choices_is_one_value_and_is_held_as_its_text() -> None:
    space = read("size: {choices: [64, [96, 64]]}\nb: {choices: [1, 2], when: {size: [[96, 64]]}}\n")
    assert space.by_name["size"].choices == (64, "[96, 64]")
    assert space.by_name["size"].cast([96, 64]) == space.by_name["size"].cast("[96, 64]") == "[96, 64]"
    assert space.by_name["b"].when == {"size": ("[96, 64]",)}
    document = json.loads(json.dumps(space.to_document()))
    assert read_space(Node.of(document, "stored"))[0] == space
    optuna.distributions.CategoricalDistribution(space.by_name["size"].choices)  # would warn of a list


def test_one_float_makes_a_range_of_floats() -> None:
    space = read("a: {low: 1, high: 9, step: 2}\nb: {low: 1, high: 9.0}\nc: {low: 1, high: 9, log: true}\n")
    types = {name: (type(p.low), type(p.high), p.step) for name, p in space.by_name.items()}
    assert types == {"a": (int, int, 2), "b": (float, float, None), "c": (int, int, None)}


def test_parents_come_before_their_children_otherwise_in_file_order() -> None:
    names = [parameter.name for parameter in read(SCHEDULE).parameters]
    assert names == [
        "rate",
        "schedule.kind",
        "schedule.restart.epochs",
        "schedule.restart.factor",
        "schedule.warmup",
        "share",
    ]


def test_a_condition_on_a_constant_is_resolved_on_reading() -> None:
    space = read("kind: restarts\nepochs: {choices: [20, 30], when: {kind: [cosine, restarts]}}\n")
    assert space.by_name["epochs"].when == {}


WRONG = [
    ("a: {low: 1e-2, high: 1e-5}", "f:1:1: a: low 0.01 is not below high 1e-05"),
    ("s:\n  a: {low: 3, high: 3}", "f:2:3: s.a: low and high are both 3; write 3 as the value"),
    ("a: {low: 1}", "f:1:1: a: has no high; a range needs low and high"),
    ("a: {high: 1}", "f:1:1: a: has no low; a range needs low and high"),
    (
        "a: {low: 0, high: 1, log: true}",
        "f:1:5: a: low 0 has no logarithm; raise it above 0 or omit log",
    ),
    (
        "a: {low: -1.0, high: 1, log: true}",
        "f:1:5: a: low -1.0 has no logarithm; raise it above 0 or omit log",
    ),
    (
        "a: {low: 1, high: 4, log: true, step: 1}",
        "f:1:33: a: log and step exclude each other; keep one of the two",
    ),
    ("a: {low: 1, high: 4, log: 1}", "f:1:22: a: log 1 is not true or false"),
    ("a: {low: 0, high: 4, step: 0}", "f:1:22: a: step 0 is not above 0"),
    ("a: {low: 0, high: 4, step: -0.5}", "f:1:22: a: step -0.5 is not above 0"),
    ("a: {low: 0, high: 4, step: 3}", "f:1:22: a: step 3 from 0 does not meet high 4; make high 3"),
    (
        "a: {low: 0, high: 1, step: 0.3}",
        "f:1:22: a: step 0.3 from 0.0 does not meet high 1.0; make high 0.9",
    ),
    ("a: {low: 0, high: 4, step: 5}", "f:1:22: a: step 5 is wider than 0 to 4"),
    ("a: {low: 0, high: 1, step: 1e-320}", "f:1:22: a: step 1e-320 is too fine for 0.0 to 1.0; omit it"),
    ("a: {low: 0, high: 1, step: x}", "f:1:22: a: step: 'x' is not a finite number"),
    ("a: {low: '1', high: 4}", "f:1:5: a: low: '1' is not a finite number"),
    ("a: {low: 1, high: true}", "f:1:13: a: high: true is not a finite number"),
    ("a: {low: 1, high: .inf}", "f:1:13: a: high: inf is not a finite number"),
    ("a: {low: .nan, high: 1}", "f:1:5: a: low: nan is not a finite number"),
    ("a: {low: 1, high: 1e999}", "f:1:13: a: high: inf is not a finite number"),
    ("a: {low: [1], high: 2}", "f:1:5: a: low: [1] is not a finite number"),
    ("a: {low: , high: 2}", "f:1:5: a: low: null is not a finite number"),
    (
        "a: {lo: 1, high: 4}",
        "f:1:5: a: 'lo' is not one of choices, high, log, low, step, when (did you mean 'low'?)",
    ),
    (
        "a: {low: 1, high: 4, b: {low: 1}}",
        "f:1:22: a: 'b' is not one of choices, high, log, low, step, when",
    ),
    ("a: {choices: [1, 2], low: 0}", "f:1:22: a: has choices and low; keep one of the two"),
    ("a: {choices: [1, 2], log: true}", "f:1:22: a: has choices and log; keep one of the two"),
    ("a: {choices: []}", "f:1:5: a: choices is empty; give at least two"),
    ("a: {choices: [x]}", "f:1:5: a: has the one choice 'x'; write it as the value"),
    ("a: {choices: 3}", "f:1:5: a: choices 3 is not a list; write [a, b]"),
    ("a: {choices: [x, y, x]}", "f:1:21: a: choice 'x' is given twice; keep one"),
    ("a: {choices: [1, true]}", "f:1:18: a: choice true is given twice; keep one"),
    ("a: {choices: [[[1]], 2]}", "f:1:16: a: choice: [1] is not a single value"),
    ("a: {choices: [[1, 2], 2, [1, 2]]}", "f:1:26: a: choice '[1, 2]' is given twice; keep one"),
    ("a: {choices: [.nan, 2]}", "f:1:15: a: choice: nan is not finite; use a finite number or null"),
    (
        "a: {choises: [1, 2]}",
        "f:1:5: a.choises: a list of values to choose from is called choices, not choises",
    ),
    ("a: .inf", "f:1:1: a: inf is not finite; use a finite number or null"),
    ("a: [1, {b: 2}]", "f:1:8: a: a section is not a single value"),
    ("a.b: 3", "f:1:1: 'a.b' is not a name: use letters, digits, _ and -; nest it in a section"),
    ("learning rate: 3", "f:1:1: 'learning rate' is not a name: use letters, digits, _ and -"),
    ("s:\n  '': 3", "f:2:3: '' is not a name: use letters, digits, _ and -"),
    ("study: {a: 3}", "f:1:1: study: is reserved; give the parameter or section another name"),
    ("name: {low: 0, high: 1}", "f:1:1: name: is reserved; give the parameter or section another name"),
    ("a: 3\nb: {c: 4}", "f:1:1: space: has no parameter to search; give one low and high, or choices"),
    ("", "f:1:1: space: has no parameter to search; give one low and high, or choices"),
    ("3", "f:1:1: space: 3 is not a section; write names and values below it"),
    ("[a, b]", "f:1:1: space: ['a', 'b'] is not a section; write names and values below it"),
    ("{low: 1, high: 2}", "f:1:1: space: a parameter is not a section; write names and values below it"),
]

KIND = "kind: {choices: [x, y]}\nn: {low: 0, high: 3}\nf: {low: 0.0, high: 1}\nc: 5\n"

WRONG_CONDITIONS = [
    ("a: {choices: [1, 2], when: 3}", "f:5:22: a: when 3 is not a condition; write {parent: value}"),
    (
        "a: {choices: [1, 2], when: {}}",
        "f:5:22: a: when a section is not a condition; write {parent: value}",
    ),
    ("a: {choices: [1, 2], when: {kind: []}}", "f:5:29: a: when kind is an empty list; give a value"),
    ("a: {choices: [1, 2], when: {kind: {z: 1}}}", "f:5:29: a: when kind: a section is not a single value"),
    (
        "a: {choices: [1, 2], when: {knd: x}}",
        "f:5:29: a: when knd: the space has no such name (did you mean 'kind'?)",
    ),
    ("a: {choices: [1, 2], when: {kind: z}}", "f:5:29: a: when kind: 'z' is not one of 'x', 'y'"),
    ("a: {choices: [1, 2], when: {kind: [x, z]}}", "f:5:29: a: when kind: 'z' is not one of 'x', 'y'"),
    ("a: {choices: [1, 2], when: {n: 4}}", "f:5:29: a: when n: 4 is not within 0 to 3"),
    ("a: {choices: [1, 2], when: {n: true}}", "f:5:29: a: when n: true is not a number"),
    ("a: {choices: [1, 2], when: {c: 6}}", "f:5:29: a: needs c 6, which is the constant 5"),
    (
        "a: {choices: [1, 2], when: {f: 0.5}}",
        "f:5:29: a: f is a range of floats; only choices or integers can be met",
    ),
    ("a: {choices: [1, 2], when: {a: 1}}", "f:5:1: a: its condition leads back to itself: a -> a"),
    (
        "a: {choices: [1, 2], when: {b: 1}}\n"
        "b: {choices: [1, 2], when: {d: 1}}\n"
        "d: {choices: [1, 2], when: {b: 1}}",
        "f:6:1: b: its condition leads back to itself: b -> d -> b",
    ),
    (
        "a: {choices: [1, 2], when: {kind: x}}\nb: {choices: [1, 2], when: {kind: y, a: 1}}",
        "f:6:22: b: its conditions exclude each other",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_space_is_refused_with_place_value_and_remedy(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        read_space(node(text))
    assert str(error.value) == message


@pytest.mark.parametrize(("text", "message"), WRONG_CONDITIONS)
def test_a_condition_that_can_never_be_met_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        read_space(node(KIND + text))
    assert str(error.value) == message


def test_lenient_reading_leaves_out_parameters_whose_condition_can_no_longer_be_met() -> None:
    frozen = SCHEDULE.replace("{choices: [cosine, restarts, constant]}", "cosine")
    space, notes = read_space(node(frozen), lenient=True)
    assert list(space.by_name) == ["rate", "schedule.warmup", "share"]
    frozen_kind = "needs schedule.kind 'restarts', which is the constant 'cosine'; left out"
    assert notes == [
        f"f:5:44: schedule.restart.epochs: {frozen_kind}",
        f"f:4:38: schedule.restart.factor: {frozen_kind}",
    ]
    fewer = SCHEDULE.replace("[20, 30, 50]", "[30, 70]").replace(
        "[cosine, restarts, constant]", "[a, restarts]"
    )
    space, notes = read_space(node(fewer), lenient=True)
    assert space.by_name["schedule.restart.factor"].when["schedule.restart.epochs"] == (30,)
    assert not notes


# Sampling ---------------------------------------------------------------------------------------------


class Recorder:
    """A trial that answers with the first value there is and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Any, ...]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.asked[name] = ("float", low, high, step, log)
        return low

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked[name] = ("int", low, high, step, log)
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = ("categorical", *choices)
        return choices[1]


def test_suggest_asks_optuna_for_active_parameters_only() -> None:
    trial = Recorder()
    params = read(SCHEDULE).suggest(trial)
    assert trial.asked == {
        "rate": ("float", 2e-4, 3e-3, None, True),
        "schedule.kind": ("categorical", "cosine", "restarts", "constant"),
        "schedule.restart.epochs": ("categorical", 20, 30, 50),
        "schedule.restart.factor": ("categorical", 1, 2),
        "schedule.warmup": ("int", 0, 15, 1, False),
        "share": ("float", 0.0, 0.3, 0.1, False),
    }
    assert params["epochs"] == 200
    assert params["schedule.restart.factor"] == 2


BRANCHES = [
    ({"schedule.kind": "cosine"}, set()),
    ({"schedule.kind": "constant"}, set()),
    ({"schedule.kind": "restarts", "schedule.restart.epochs": 50}, {"schedule.restart.epochs"}),
    (
        {"schedule.kind": "restarts", "schedule.restart.epochs": 20, "schedule.restart.factor": 2},
        {"schedule.restart.epochs", "schedule.restart.factor"},
    ),
]


@pytest.mark.parametrize(("branch", "conditional"), BRANCHES)
def test_a_fixed_trial_of_optuna_reaches_each_branch(branch: dict[str, Any], conditional: set[str]) -> None:
    space = read(SCHEDULE)
    common = {"rate": 1e-3, "schedule.warmup": 5, "share": 0.2}
    params = space.suggest(optuna.trial.FixedTrial({**common, **branch}))
    assert params == {**space.constants, **common, **branch}
    assert {parameter.name for parameter in space.active(params)} == {
        *common,
        "schedule.kind",
        *conditional,
    }
    space.check(params)


def test_sampled_configs_are_in_the_space_and_reach_every_branch() -> None:
    space = read(SCHEDULE)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(60):
        params = space.suggest(study.ask())
        space.check(params)
        seen.add(
            (
                params["schedule.kind"],
                "schedule.restart.epochs" in params,
                "schedule.restart.factor" in params,
            )
        )
    assert seen == {
        ("cosine", False, False),
        ("constant", False, False),
        ("restarts", True, False),
        ("restarts", True, True),
    }


# Checking ---------------------------------------------------------------------------------------------


GOOD = {"rate": 1e-3, "schedule.kind": "cosine", "schedule.warmup": 5, "share": 0.2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 5e-3}, "rate: 0.005 is not within 0.0002 to 0.003"),
        ({"rate": "fast"}, "rate: 'fast' is not a number"),
        ({"rate": True}, "rate: true is not a number"),
        ({"rate": float("nan")}, "rate: nan is not within 0.0002 to 0.003"),
        ({"share": 0.25}, "share: 0.25 is off the grid from 0.0 in steps of 0.1"),
        ({"schedule.warmup": 5.0}, "schedule.warmup: 5.0 is not an integer"),
        ({"schedule.warmup": 16}, "schedule.warmup: 16 is not within 0 to 15"),
        (
            {"schedule.kind": "cosin"},
            "schedule.kind: 'cosin' is not one of 'cosine', 'restarts', 'constant'",
        ),
        ({"schedule.kind": "restarts"}, "schedule.restart.epochs: has no value"),
        (
            {"schedule.restart.epochs": 20},
            "schedule.restart.epochs: is set, but exists only with schedule.kind",
        ),
        ({"epochs": 100}, "epochs: 100 is not the constant 200"),
        ({"dice": 1.0}, "dice: the space has no such name"),
        (
            {"schedule.warmups": 1},
            "schedule.warmups: the space has no such name (did you mean 'schedule.warmup'?)",
        ),
    ],
)
def test_a_config_outside_the_space_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    space = read(SCHEDULE)
    space.check(GOOD)
    space.check({**GOOD, "epochs": 200, "scale": [0.9, 1.1]})
    with pytest.raises(SpaceError) as error:
        space.check({**GOOD, **change})
    assert str(error.value).startswith(message)
    assert error.value.parameter == message.partition(":")[0]


def test_cast_converts_a_value_to_the_parameters_type() -> None:
    space = read("f: {low: 0, high: 1.5}\nc: {choices: [1, 2.5, x]}\n")
    value = space.by_name["f"].cast(1)
    assert (value, type(value)) == (1.0, float)
    assert space.by_name["c"].cast(1.0) == 1
    with pytest.raises(SpaceError, match=r"true is not one of 1, 2\.5, 'x'"):
        space.by_name["c"].cast(True)


def test_corners_are_valid_and_cover_every_end_and_choice() -> None:
    space = read(SCHEDULE)
    corners = list(space.corners())
    for params in corners:
        space.check(params)
    for parameter in space.parameters:
        for value in parameter.choices or parameter.probes:
            assert any(params.get(parameter.name) == value for params in corners), (parameter.name, value)
    lowest, highest = corners[:2]
    assert (lowest["rate"], lowest["schedule.kind"], lowest["share"]) == (2e-4, "cosine", 0.0)
    assert (highest["rate"], highest["schedule.kind"], highest["share"]) == (3e-3, "constant", 0.3)
    assert all(a != b for a, b in pairwise(corners))


def test_a_space_survives_a_round_trip_through_its_document() -> None:
    space = read(SCHEDULE)
    document = json.loads(json.dumps(space.to_document()))
    again, _ = read_space(Node.of(document, "study 's'"))
    assert again == space
    assert document["schedule"]["restart"]["epochs"] == {
        "choices": [20, 30, 50],
        "when": {"schedule.kind": "restarts"},
    }


def test_a_fine_grid_is_listed_value_by_value() -> None:
    space = read("a: {low: 0.0, high: 1.0, step: 1.0e-9}\nb: {low: 0, high: 9007199254740992}\n")
    first = list(islice(configs(space), 2))
    assert first == [{"a": 0.0, "b": 0}, {"a": 0.0, "b": 1}]
    assert "too few" not in (too_few_configs(space, 3) or "")
