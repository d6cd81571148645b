"""space.yaml as a whole: settings, known configs, beliefs, profiles, overrides, and the stock file."""

import json
from pathlib import Path

import pytest

from search.errors import SpaceError
from search.loading import load_objective
from search.spec.known import Belief, KnownConfig
from search.spec.settings import PrunerSettings, ReportSettings, SamplerSettings, StopRule, StudySettings
from search.spec.spec import Spec, load_spec, stock_space

STOCK = Path(__file__).parents[3] / "space.yaml"

TOY = """\
objective: toy
study: {trials: 20, pruner: {kind: median, control: 0.1}}
space:
  rate: {low: 1e-4, high: 1e-2, log: true}
  schedule:
    kind: {choices: [cosine, restarts]}
    period: {choices: [20, 30], when: {schedule.kind: restarts}}
  trainer: {epochs: 200, patience: 20}
known:
  - {name: by hand, rate: 8e-4, schedule.kind: cosine, trainer.epochs: 200}
  - {name: C, rate: 8e-4, schedule.kind: restarts, schedule.period: 30}
avoid:
  - {name: lower rate, rate: {below: 8e-4}}
  - {name: short periods, schedule.period: {equals: 20}, schedule.kind: {one_of: [restarts]}}
profiles:
  quick:
    study: {trials: 5}
    space:
      schedule: {period: {choices: [2, 3], when: {schedule.kind: restarts}}}
      trainer: {epochs: 8}
    known:
      - {name: by hand, rate: 8e-4, schedule.kind: cosine}
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(TOY)
    return Path("space.yaml")


def refusal(*, overrides: tuple[str, ...] = (), profile: str | None = None) -> str:
    """The message with which ./space.yaml is refused."""
    with pytest.raises(SpaceError) as error:
        load_spec(Path("space.yaml"), overrides=overrides, profile=profile)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


# What a file says -------------------------------------------------------------------------------------


def test_a_whole_file_is_read(toy: Path) -> None:
    spec = load_spec(toy)
    assert spec.objective == "toy"
    assert spec.study == StudySettings(trials=20, pruner=PrunerSettings("median", {"control": 0.1}))
    assert spec.study.sampler == SamplerSettings("tpe", 42, {})
    assert spec.known == (
        KnownConfig("by hand", {"rate": 8e-4, "schedule.kind": "cosine"}),
        KnownConfig("C", {"rate": 8e-4, "schedule.kind": "restarts", "schedule.period": 30}),
    )
    assert spec.avoid == (
        Belief("lower rate", {"rate": {"below": 8e-4}}),
        Belief(
            "short periods", {"schedule.period": {"equals": 20}, "schedule.kind": {"one_of": ["restarts"]}}
        ),
    )
    assert (spec.profile, spec.profiles, spec.notes) == (None, ("quick",), ())


def test_every_name_has_a_place(toy: Path) -> None:
    spec = load_spec(toy, overrides=["study.sampler={kind: random}", "trainer.epochs=9"])
    assert spec.place("objective") == "space.yaml:1:1"
    assert spec.place("study.pruner.kind") == "space.yaml:2:30"
    assert spec.place("study.sampler.kind") == "--set study.sampler"
    assert spec.place("schedule.period") == "space.yaml:7:5"
    assert spec.place("trainer.epochs") == "--set trainer.epochs"
    assert spec.place("trainer.batch_size") == "space.yaml:8:3"
    assert spec.place("model.dropout") == "space.yaml:3:1"


def test_an_objectives_error_is_given_its_line(toy: Path) -> None:
    spec = load_spec(toy, overrides=["trainer.epochs=9"])
    fault = SpaceError("schedule.period: 20 is above 9", parameter="schedule.period")
    assert str(spec.located(fault)) == "space.yaml:7:5: schedule.period: 20 is above 9"
    fault = SpaceError("trainer.epochs: 9 is too few", parameter="trainer.epochs")
    assert str(spec.located(fault)) == "--set trainer.epochs: 9 is too few"
    fault = SpaceError("something else")
    assert spec.located(fault) is fault


@pytest.mark.parametrize(("profile", "overrides"), [(None, []), ("quick", []), ("quick", ["rate.high=1"])])
def test_the_stored_document_reads_as_the_same_spec(
    toy: Path, profile: str | None, overrides: list[str]
) -> None:
    spec = load_spec(toy, profile=profile, overrides=overrides)
    document = json.loads(json.dumps(spec.document))
    again = Spec.from_document(document, origin="study 'mseg'")
    for part in ("objective", "study", "space", "known", "avoid", "report", "profile", "document"):
        assert getattr(again, part) == getattr(spec, part), part
    assert again.document == document
    assert again.place("schedule.period") == "study 'mseg'"


def test_report_stages_come_from_file_profile_override_or_study(toy: Path) -> None:
    assert load_spec(toy).report == ReportSettings(None)
    toy.write_text(TOY + "    report: {stages: [0, 2, 4, 6]}\nreport: {stages: [5, 30, 90, 120]}\n")
    assert load_spec(toy).report.stages == (5, 30, 90, 120)
    assert load_spec(toy, profile="quick").report.stages == (0, 2, 4, 6)
    spec = load_spec(toy, profile="quick", overrides=["report.stages=[1, 3, 5, 7]"])
    assert spec.report.stages == (1, 3, 5, 7)
    assert spec.place("report.stages") == "--set report.stages"
    stored = json.loads(json.dumps(spec.document))
    assert Spec.from_document(stored, origin="study 'mseg'").report == spec.report
    del stored["report"]  # as a study has it that was made before there were any
    assert Spec.from_document(stored, origin="study 'mseg'").report.stages is None


def test_a_stop_rule_is_stored_only_where_there_is_one(toy: Path) -> None:
    """So the documents of older studies and of newer ones without a rule are the same."""
    assert "stop" not in load_spec(toy).document["study"]
    spec = load_spec(toy, overrides=["study.stop={target: 0.84, after: 20}"])
    assert spec.study.stop == StopRule(target=0.84, after=20)
    assert Spec.from_document(spec.document, origin="study 'mseg'").study == spec.study
    assert spec.overridden(["study.stop={target: null, after: null}"]).study.stop is None


def test_an_invalid_stored_document_names_its_study(toy: Path) -> None:
    document = load_spec(toy).document
    document["study"]["trials"] = 0
    with pytest.raises(SpaceError, match=r"^study 'mseg': study\.trials: 0 is below 1$"):
        Spec.from_document(document, origin="study 'mseg'")


def test_a_minimal_file_gets_all_defaults(toy: Path) -> None:
    toy.write_text("objective: toy\nspace: {x: {low: 0, high: 1}}\n")
    spec = load_spec(toy)
    assert spec.study == StudySettings()
    assert (spec.known, spec.avoid, spec.profiles) == ((), (), ())


# What is wrong with a file ----------------------------------------------------------------------------

HEAD = (
    "objective: toy\n"
    "space: {x: {low: 0.0, high: 1}, n: {low: 0, high: 9, step: 3}, k: {choices: [a, b]}, c: 5}\n"
)
INNER = "{low: 0, high: 1, when: {k: a}}"

WRONG = [
    ("", "space.yaml: is empty; it needs at least objective and space"),
    ("objective: toy", "space.yaml:1:1: has no space; it needs objective: MODULE and space"),
    (
        "space: {x: {low: 0, high: 1}}",
        "space.yaml:1:1: has no objective; it needs objective: MODULE and space",
    ),
    (
        "objective: 3\nspace: {x: {low: 0, high: 1}}",
        "space.yaml:1:1: objective: 3 is not the name of a module",
    ),
    (
        "objective:\nspace: {x: {low: 0, high: 1}}",
        "space.yaml:1:1: objective: null is not the name of a module",
    ),
    (
        "objective: toy\nspace:\n",
        "space.yaml:2:1: space: has no parameter to search; give one low and high, or choices",
    ),
    (
        HEAD + "studdy: {}",
        "space.yaml:3:1: top level: 'studdy' is not one of avoid, known, objective, profiles, report, "
        "space, study (did you mean 'study'?)",
    ),
    (
        HEAD + "profile: quick",
        "space.yaml:3:1: top level: 'profile' is not one of avoid, known, objective, profiles",
    ),
    (HEAD + "space: {}", "space.yaml:3:1: 'space' is given twice (first at space.yaml:2:1); keep one"),
    (HEAD + "study: 3", "space.yaml:3:1: study: 3 is not a section; write names and values below it"),
    (
        HEAD + "study: {trails: 3}",
        "space.yaml:3:9: study: 'trails' is not one of direction, pruner, sampler, score, seeds, smooth, "
        "stages, stop, target, trials (did you mean 'trials'?)",
    ),
    (HEAD + "study: {trials: 0}", "space.yaml:3:9: study.trials: 0 is below 1"),
    (HEAD + "study: {trials: 2147483648}", "space.yaml:3:9: study.trials: 2147483648 is above 2147483647"),
    (HEAD + "study: {trials: 1e30}", "space.yaml:3:9: study.trials: 1e+30 is not an integer"),
    (HEAD + "study: {smooth: 9999999999}", "space.yaml:3:9: study.smooth: 9999999999 is above 2147483647"),
    (HEAD + "study: {trials: 2.5}", "space.yaml:3:9: study.trials: 2.5 is not an integer"),
    (HEAD + "study: {trials: true}", "space.yaml:3:9: study.trials: true is not an integer"),
    (HEAD + "study: {trials: many}", "space.yaml:3:9: study.trials: 'many' is not an integer"),
    (HEAD + "study: {smooth: 0}", "space.yaml:3:9: study.smooth: 0 is below 1"),
    (HEAD + "study: {target: high}", "space.yaml:3:9: study.target: 'high' is not a finite number"),
    (HEAD + "study: {target: .nan}", "space.yaml:3:9: study.target: nan is not a finite number"),
    (
        HEAD + "study: {direction: maximise}",
        "space.yaml:3:9: study.direction: 'maximise' is not one of maximize, minimize "
        "(did you mean 'maximize'?)",
    ),
    (
        HEAD + "study: {direction: [maximize]}",
        "space.yaml:3:9: study.direction: ['maximize'] is not one of",
    ),
    (HEAD + "study: {sampler: tpe}", "space.yaml:3:9: study.sampler: 'tpe' has no kind; write {kind: ...}"),
    (HEAD + "study: {sampler: {seed: 1}}", "space.yaml:3:9: study.sampler: has no kind; write {kind: ...}"),
    (HEAD + "study: {sampler: {kind: 3}}", "space.yaml:3:19: study.sampler.kind: 3 is not a name"),
    (
        HEAD + "study: {sampler: {kind: tpe, seed: x}}",
        "space.yaml:3:30: study.sampler.seed: 'x' is not an integer",
    ),
    (
        HEAD + "study: {sampler: {kind: tpe, seed: -1}}",
        "space.yaml:3:30: study.sampler.seed: -1 is below 0",
    ),
    (
        HEAD + "study: {sampler: {kind: tpe, seed: 4294967296}}",
        "space.yaml:3:30: study.sampler.seed: 4294967296 is above 4294967295",
    ),
    (
        HEAD + "study: {pruner: {control: 0.1}}",
        "space.yaml:3:9: study.pruner: has no kind; write {kind: ...}",
    ),
    (
        HEAD + "study: {pruner: [median]}",
        "space.yaml:3:9: study.pruner: ['median'] has no kind; write {kind: ...}",
    ),
    (
        HEAD + "study: {pruner: {kind: median, control: [1]}}",
        "space.yaml:3:32: study.pruner.control: [1] is not a single value",
    ),
    (HEAD + "report: [5]", "space.yaml:3:1: report: [5] is not a section; write names and values below it"),
    (
        HEAD + "report: {stage: [5, 30, 90, 120]}",
        "space.yaml:3:10: report: 'stage' is not one of stages (did you mean 'stages'?)",
    ),
    *(
        (
            HEAD + f"report: {{stages: {wrong}}}",
            f"space.yaml:3:10: report.stages: {wrong} is not 4 ascending",
        )
        for wrong in ("5", "[5, 30]", "[5, 30, 30, 90]", "[-1, 5, 30, 90]", "[5, 30, 90, 120.0]", "[]")
    ),
    (HEAD + "known: {name: a}", "space.yaml:3:1: known: a section is not a list; write - {name: ..., ...}"),
    (
        HEAD + "known:\n  - {x: 0.5}",
        "space.yaml:4:5: known: an entry has no name; write - {name: ..., ...}",
    ),
    (HEAD + "known:\n  - best", "space.yaml:4:5: known: an entry has no name; write - {name: ..., ...}"),
    (HEAD + "known:\n  - {name: 3, x: 0.5}", "space.yaml:4:6: known: name 3 is not a line of text"),
    (HEAD + 'known:\n  - {name: "a\\nb"}', "space.yaml:4:6: known: name 'a\\nb' is not a line of text"),
    (
        HEAD + "known:\n  - {name: A, x: 0.5, n: 3, k: a}\n  - {name: A, x: 0.6, n: 3, k: a}",
        "space.yaml:5:6: known: two are called 'A'; rename one",
    ),
    (
        HEAD + "known:\n  - {name: A, x: 0.5, n: 3, k: a}\n  - {name: B, x: 5e-1, n: 3, k: a}",
        "space.yaml:5:5: known 'B': says the same as 'A'; keep one",
    ),
    (
        HEAD + "known:\n  - {name: A, x: 1.5, n: 3, k: a}",
        "space.yaml:4:15: known 'A': x: 1.5 is not within 0.0 to 1.0",
    ),
    (
        HEAD + "known:\n  - {name: A, x: 0.5, n: 4, k: a}",
        "space.yaml:4:23: known 'A': n: 4 is off the grid from 0 in steps of 3",
    ),
    (HEAD + "known:\n  - {name: A, x: 0.5, k: a}", "space.yaml:4:5: known 'A': n: has no value"),
    (
        HEAD + "known:\n  - {name: A, x: 0.5, n: 3, k: a, c: 6}",
        "space.yaml:4:35: known 'A': c: 6 is not the constant 5",
    ),
    (
        HEAD + "known:\n  - {name: A, xx: 0.5, n: 3, k: a}",
        "space.yaml:4:15: known 'A': xx: the space has no such name (did you mean 'x'?)",
    ),
    (
        HEAD + "known:\n  - {name: A, x: [1], n: 3, k: a}",
        "space.yaml:4:15: known 'A': x: [1] is not a number",
    ),
    (
        HEAD + "known:\n  - {name: A, m: {x: 1}}",
        "space.yaml:4:15: known 'A': m is a section; write its names with dots, m.x: value",
    ),
    (
        f"objective: toy\nspace: {{k: {{choices: [a, b]}}, y: {INNER}}}\nknown: [{{name: A, k: a}}]",
        "space.yaml:3:9: known 'A': y: has no value",
    ),
    (
        f"objective: toy\nspace: {{k: {{choices: [a, b]}}, y: {INNER}}}\nknown: [{{name: A, k: b, y: 1}}]",
        "space.yaml:3:25: known 'A': y: is set, but exists only with k 'a'",
    ),
    (HEAD + "avoid: 3", "space.yaml:3:1: avoid: 3 is not a list; write - {name: ..., ...}"),
    (
        HEAD + "avoid: [{x: {above: 1}}]",
        "space.yaml:3:9: avoid: an entry has no name; write - {name: ..., ...}",
    ),
    (
        HEAD + "avoid: [{name: A}]",
        "space.yaml:3:9: avoid 'A': compares nothing; write a parameter and {above: value}",
    ),
    (
        HEAD + "avoid: [{name: A, z: {above: 1}}]",
        "space.yaml:3:19: avoid 'A': z: the space has no such name",
    ),
    (
        HEAD + "avoid: [{name: A, x: 1.5}]",
        "space.yaml:3:19: avoid 'A': x: 1.5 is no comparison; write {equals: 1.5}",
    ),
    (
        HEAD + "avoid: [{name: A, x: {over: 1.5}}]",
        "space.yaml:3:23: avoid 'A': x: 'over' is not one of above, below, equals, one_of",
    ),
    (
        HEAD + "avoid: [{name: A, x: {above: b}}]",
        "space.yaml:3:23: avoid 'A': x: above: 'b' is not a finite number",
    ),
    (
        HEAD + "avoid: [{name: A, k: {above: 1}}]",
        "space.yaml:3:23: avoid 'A': k: has choices, which have no order; use equals or one_of",
    ),
    (
        HEAD + "avoid: [{name: A, k: {equals: z}}]",
        "space.yaml:3:23: avoid 'A': k: 'z' is not one of 'a', 'b'",
    ),
    (
        HEAD + "avoid: [{name: A, k: {one_of: [a, z]}}]",
        "space.yaml:3:35: avoid 'A': k: 'z' is not one of 'a', 'b'",
    ),
    (
        HEAD + "avoid: [{name: A, k: {one_of: a}}]",
        "space.yaml:3:23: avoid 'A': k: one_of 'a' is not a list of values",
    ),
    (HEAD + "profiles: 3", "space.yaml:3:1: profiles: 3 is not a section; write names and values below it"),
    (
        HEAD + "profiles: {q: 3}",
        "space.yaml:3:12: profiles.q: 3 is not a section; write names and values below it",
    ),
    (
        HEAD + "profiles: {q: {objective: m}}",
        "space.yaml:3:16: profiles.q: 'objective' is not one of avoid, known, report, space, study",
    ),
    (HEAD + "study: {stop: {after: 0}}", "space.yaml:3:16: study.stop.after: 0 is below 1"),
    (
        HEAD + "study: {stop: {target: high}}",
        "space.yaml:3:16: study.stop.target: 'high' is not a finite number",
    ),
    (HEAD + "study: {stop: {at: 1}}", "space.yaml:3:16: study.stop: 'at' is not one of after, target"),
    (HEAD + "study: {stop: {}}", "space.yaml:3:9: study.stop: has neither target nor after"),
    (HEAD + "profiles: {q: {study: {trials: 0}}}", "space.yaml:3:24: study.trials: 0 is below 1"),
    (
        HEAD + "profiles: {q: {space: {x: {low: 3, high: 2}}}}",
        "space.yaml:3:24: x: low 3 is not below high 2",
    ),
    (
        HEAD + "profiles: {q: {space: {x: {a: 3}}}}",
        "space.yaml:3:24: x: a section cannot replace a parameter",
    ),
    (
        HEAD + "profiles: {q: {known: [{name: A, x: 0.5, n: 4, k: a}]}}",
        "space.yaml:3:42: known 'A': n: 4 is off the grid from 0 in steps of 3",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_file_is_refused_with_place_value_and_remedy(toy: Path, text: str, message: str) -> None:
    toy.write_text(text)
    assert refusal().startswith(message)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("{min: 0, max: 1}", "low and high, not 'min' and 'max'"),
        ("{Lower: 0.0, Upper: 1.0, log: true}", "low and high, not 'lower' and 'upper'"),
        ("{from: 1, to: 9, step: 2, when: {k: a}}", "low and high, not 'from' and 'to'"),
        ("{distribution: uniform, min: 0, max: 1}", "low and high, not 'min' and 'max'"),
        ("{range: [0, 1]}", "low and high, not 'range'"),
        ("{values: [a, b]}", "choices, not 'values'"),
        ("{type: categorical, options: [1, 2]}", "choices, not 'options'"),
    ],
)
def test_a_parameter_in_another_programs_words_is_refused(toy: Path, parameter: str, words: str) -> None:
    expected = f"p: a parameter is written with {words}; constants need other names"
    space = f"space: {{x: {{low: 0, high: 1}}, k: {{choices: [a, b]}}, s: {{p: {parameter}}}}}"
    toy.write_text(f"objective: toy\n{space}\n")
    assert refusal().endswith(f" s.{expected}")
    toy.write_text("objective: toy\nspace: {x: {low: 0, high: 1}, k: {choices: [a, b]}}\n")
    assert refusal(overrides=(f"p={parameter}",)) == f"--set p: {expected.removeprefix('p: ')}"
    toy.write_text(f"{toy.read_text()}profiles: {{q: {{space: {{p: {parameter}}}}}}}\n")
    assert refusal().endswith(expected)


def test_constants_may_be_called_min_and_max_beside_others(toy: Path) -> None:
    toy.write_text("objective: toy\nspace: {x: {low: 0, high: 1}, s: {min: 0, max: 1, size: 3}}\n")
    assert load_spec(toy).space.constants == {"s.min": 0, "s.max": 1, "s.size": 3}


def test_a_stored_study_keeps_constants_of_any_name(toy: Path) -> None:
    document = {"objective": "toy", "space": {"x": {"low": 0, "high": 1}, "s": {"min": 0, "max": 1}}}
    assert Spec.from_document(document, origin="study 's'").space.constants == {"s.min": 0, "s.max": 1}


def test_integers_beyond_the_database_are_refused_in_a_file_and_kept_in_a_stored_study(toy: Path) -> None:
    space = {"x": {"low": 0, "high": 2**53 + 1}}
    stored = Spec.from_document({"objective": "toy", "space": space}, origin="study 's'")
    assert stored.space.by_name["x"].high == 2**53 + 1
    toy.write_text("objective: toy\nspace: {x: {low: 0, high: 9}}\n")
    assert refusal(overrides=("x={low: 0, high: 9007199254740993}",)).endswith(
        "x: 0 to 9007199254740993 goes beyond 9007199254740992; write low as a float, 0.0"
    )


def test_names_are_no_longer_than_the_database_holds(toy: Path) -> None:
    name = ".".join(["a" * 64] * 8)  # 519 characters
    assert load_spec(toy, overrides=[f"{name[:512]}=1"]).space.constants[name[:512]] == 1
    assert refusal(overrides=(f"{name}=1",)).endswith("...: has 519 characters; use at most 512")
    toy.write_text(TOY.replace("  quick:", f"  {'q' * 65}:"))
    assert refusal().endswith("is too long; use at most 64 characters")


# Profiles and overrides -------------------------------------------------------------------------------


def test_a_profile_is_laid_over_the_file(toy: Path) -> None:
    spec = load_spec(toy, profile="quick")
    assert spec.profile == "quick"
    assert spec.study == StudySettings(trials=5, pruner=PrunerSettings("median", {"control": 0.1}))
    assert spec.space.constants == {"trainer.epochs": 8, "trainer.patience": 20}
    assert spec.space.by_name["schedule.period"].choices == (2, 3)
    assert [known.name for known in spec.known] == ["by hand"]
    assert spec.notes == (
        "space.yaml:14:45: avoid 'short periods': schedule.period: 20 is not one of 2, 3; left out",
    )


def test_an_unknown_profile_is_refused(toy: Path) -> None:
    message = "space.yaml:15:1: profile: 'quik' is not one of quick (did you mean 'quick'?)"
    assert refusal(profile="quik") == message
    toy.write_text("objective: toy\nspace: {x: {low: 0, high: 1}}\n")
    assert refusal(profile="quick") == "space.yaml: profile 'quick': the file has no profiles"


def test_known_configs_that_conflict_with_an_override_are_left_out_with_a_note(toy: Path) -> None:
    spec = load_spec(toy, overrides=["schedule.kind=cosine"])
    assert [known.name for known in spec.known] == ["by hand"]
    assert spec.known[0].params == {"rate": 8e-4}
    frozen = "which is the constant 'cosine'; left out"
    assert spec.notes == (
        f"space.yaml:7:40: schedule.period: needs schedule.kind 'restarts', {frozen}",
        "space.yaml:11:27: known 'C': schedule.kind: 'restarts' is not the constant 'cosine'; left out",
        "space.yaml:14:27: avoid 'short periods': schedule.period: the space has no such name "
        "(did you mean 'schedule.kind'?); left out",
    )


def test_known_configs_keep_the_value_of_a_constant_that_becomes_a_parameter(toy: Path) -> None:
    spec = load_spec(
        toy, overrides=["trainer.patience={choices: [10, 20]}", "trainer.epochs={low: 9, high: 99}"]
    )
    assert [known.params.get("trainer.patience") for known in spec.known] == []
    assert [note.partition(": known ")[2] for note in spec.notes] == [
        "'by hand': trainer.epochs: 200 is not within 9 to 99; left out",
        "'C': trainer.epochs: 200 is not within 9 to 99; left out",
    ]
    spec = load_spec(toy, overrides=["trainer.patience={choices: [10, 20]}"])
    assert [known.params["trainer.patience"] for known in spec.known] == [20, 20]
    where = "trainer.patience={choices: [10, 20], when: {schedule.kind: restarts}}"
    spec = load_spec(toy, overrides=[where])
    assert spec.notes == () and [known.params.get("trainer.patience") for known in spec.known] == [None, 20]


def test_known_configs_have_the_default_of_a_setting_that_only_the_command_line_names() -> None:
    blur, width = "augment.blur={low: 0.0, high: 0.5}", "model.decoder_width={choices: [128, 256]}"
    spec = load_spec(stock_space(), profile="quick", overrides=[blur, width])
    before = load_spec(stock_space(), profile="quick")
    assert spec.notes == () and [each.name for each in spec.known] == [each.name for each in before.known]
    default = load_objective(spec.objective).configure(spec.space.constants).to_params()
    for known in spec.known:
        assert known.params["augment.blur"] == default["augment.blur"] == 0.0
        assert known.params["model.decoder_width"] == default["model.decoder_width"]
    spec = load_spec(stock_space(), overrides=["augment.blur={low: 0.1, high: 0.5}"])
    assert len(spec.notes) == 4 and all(
        "0.0 is not within 0.1 to 0.5; left out" in note for note in spec.notes
    )


def test_overrides_apply_after_the_profile_and_the_last_one_wins(toy: Path) -> None:
    spec = load_spec(
        toy, profile="quick", overrides=["trainer.epochs=9", "study.trials=7", "trainer.epochs=10"]
    )
    assert spec.space.constants["trainer.epochs"] == 10
    assert spec.study.trials == 7
    assert load_spec(toy, overrides=["objective=mine", "new.setting=1"]).space.constants["new.setting"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study.smooth=0", "--set study.smooth: 0 is below 1"),
        (
            "study.smoth=3",
            "--set study.smoth: study: 'smoth' is not one of direction, pruner, sampler, score, seeds",
        ),
        ("report.stages=[1]", "--set report.stages: [1] is not 4 ascending epochs, as in [5, 30, 90, 120]"),
        ("report={low: 0}", "--set report: a parameter is not a section; write names and values below it"),
        ("objective=3", "--set objective: 3 is not the name of a module"),
        ("rate={low: 1, high: 0}", "--set rate: low 1 is not below high 0"),
        ("rate.high=1e-5", "space.yaml:4:3: rate: low 0.0001 is not below high 1e-05"),
        ("rate.hihg=1", "--set rate.hihg: rate: 'hihg' is not one of choices, high, log, low, step, when"),
        ("trainer=3", "--set trainer: 3 cannot replace a section; set trainer.epochs or trainer.patience"),
        ("trainer.epochs", "--set 'trainer.epochs': is not NAME=VALUE, as in data.image_size=96"),
        ("x={choices: [1]}", "--set x: has the one choice 1; write it as the value"),
        ("x=.inf", "--set x: inf is not finite; use a finite number or null"),
    ],
)
def test_a_wrong_override_of_a_file_is_refused(toy: Path, text: str, message: str) -> None:
    assert refusal(overrides=(text,)).startswith(message)


def test_an_invalid_file_is_refused_whatever_is_overridden(toy: Path) -> None:
    toy.write_text(TOY.replace("schedule.period: 30}", "schedule.period: 40}"))
    message = "space.yaml:11:52: known 'C': schedule.period: 40 is not one of 20, 30"
    assert refusal(overrides=("schedule.kind=cosine",)) == message
    assert refusal(profile="quick") == message


# The stock file ---------------------------------------------------------------------------------------


def test_the_stock_file_is_the_one_at_the_top_of_the_checkout() -> None:
    assert stock_space().samefile(STOCK)


def test_the_stock_file_is_the_full_protocol() -> None:
    spec = load_spec(STOCK)
    assert (spec.objective, spec.profiles, spec.notes) == ("search.mseg", ("quick", "smoke"), ())
    assert spec.study == StudySettings(
        "maximize",
        60,
        5,
        0.71,
        SamplerSettings("tpe", 42),
        PrunerSettings("median", {"control": 0.15}),
        score="val_fscore",
    )
    assert {name: (p.ends, p.log) for name, p in spec.space.by_name.items()} == {
        "model.dropout": ((0.0, 0.3), False),
        "optimizer.learning_rate": ((2e-4, 3e-3), True),
        "optimizer.weight_decay": ((1e-5, 1e-2), True),
        "schedule.kind": (("cosine", "constant"), False),
        "schedule.warmup_epochs": ((0, 15), False),
        "schedule.restart_epochs": ((20, 50), False),
        "schedule.restart_factor": ((1, 2), False),
        "loss.dice_weight": ((0.5, 3.0), False),
    }
    best, a, b, c = (known.params for known in spec.known)
    assert best == {
        "optimizer.learning_rate": 8e-4,
        "optimizer.weight_decay": 1e-4,
        "schedule.kind": "cosine",
        "schedule.warmup_epochs": 5,
        "model.dropout": 0.15,
        "loss.dice_weight": 1.5,
    }
    assert a == {**best, "optimizer.learning_rate": 1e-3, "schedule.warmup_epochs": 10}
    assert b == {**best, "model.dropout": 0.1, "optimizer.weight_decay": 5e-5}
    restarts = {
        "schedule.kind": "warm_restarts",
        "schedule.restart_epochs": 30,
        "schedule.restart_factor": 2,
    }
    assert c == {**best, **restarts}
    assert [belief.conditions for belief in spec.avoid] == [
        {"loss.dice_weight": {"above": 1.5}},
        {"model.dropout": {"above": 0.15}},
        {"optimizer.learning_rate": {"below": 8e-4}},
    ]


@pytest.mark.parametrize(("profile", "known_configs"), [(None, 4), ("quick", 4), ("smoke", 1)])
def test_the_stock_objective_accepts_every_corner_of_the_stock_space(
    profile: str | None, known_configs: int
) -> None:
    from search.mseg.config import Config

    spec = load_spec(STOCK, profile=profile)
    assert not spec.notes
    assert len(spec.known) == known_configs
    known = [{**spec.space.constants, **entry.params} for entry in spec.known]
    for params in [*spec.space.corners(), *known]:
        built = Config.from_params(params)
        assert params.items() <= built.to_params().items()


def test_the_smoke_profile_trains_two_short_trials_on_any_data() -> None:
    from search.mseg.config import Config

    full, smoke = load_spec(STOCK), load_spec(STOCK, profile="smoke")
    assert (smoke.study.trials, smoke.study.smooth, smoke.study.target) == (2, 1, None)
    assert len(smoke.known) < smoke.study.trials, "one is sampled"
    constants = smoke.space.constants
    assert constants["data.source"] == "folder" and constants["data.eval_size"] == "train"
    assert constants["trainer.batch_size"] <= 5, "a folder of 6 images has 5 to train on"
    assert constants["trainer.epochs"] == 4 and constants["data.image_size"] == 64
    assert smoke.space.names == full.space.names
    # A quick look by hand is as short as the profile.
    shorter = load_spec(STOCK, profile="smoke", overrides=["trainer.epochs=2"])
    for params in [*shorter.space.corners(), *shorter.known_params()]:
        Config.from_params(params)


def test_the_stock_file_names_only_settings_that_exist() -> None:
    from search.mseg.config import SETTINGS

    written = {*load_spec(STOCK).space.names, *load_spec(STOCK, profile="quick").space.names}
    assert written <= set(SETTINGS)
