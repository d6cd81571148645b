"""A search in stages with the toy: what goes on from one to the next, and that each is trained once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service import Answer, Search, ended_search
from toy_studies import staged_document

from search.results.winner import confirmation_of, default_study, default_trial
from search.retraining.stages import next_stage, read_stages
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.scoring import best_mean
from search.study.open import open_study
from search.study.read import read_records, read_snapshot
from search.worker.joining import run_worker
from search.worker.worker import Worker
from storage import studies

Command = Callable[..., Answer]

DOCUMENT = staged_document(
    "{trials: 8, epochs: 2}",
    "{keep: 2, controls: 0.5, epochs: 3}",
    "{keep: 2, seeds: 2}",
    epochs=4,
    noise=0.01,
    trouble="null",
)

REFUSED = {
    ("confirm", "--set", "x=0.5"): "--set x: is searched; only constants can be replaced",
    ("confirm", "--set", "epoch=5"): "is not in the space (did you mean 'epochs'?)",
    ("confirm", "--set", "epochs"): "is not NAME=VALUE",
    ("start", "--trials", "30"): "stage 2 of 'toy' has begun (toy-stage-2)",
    ("start", "--gpu-hours", "3"): "--gpu-hours: does not go with stages",
    ("start", "--stage", "{trials: 8}", "--stage", "{keep: 2}"): "'toy' was created with",
}


@pytest.fixture
def staged(search: Search) -> Search:
    """A search in stages that is yet to be made."""
    (search.folder / "space.yaml").write_text(DOCUMENT)
    return search


@pytest.fixture(scope="module")
def all_stages(tmp_path_factory: pytest.TempPathFactory, prepared_file: Path) -> Search:
    """The same, once one worker has gone through its stages."""
    return ended_search(tmp_path_factory.mktemp("stages"), prepared_file, document=DOCUMENT)


@pytest.fixture
def ended(search: Search, all_stages: Search) -> Search:
    """A copy of it that a test may change."""
    search.take(all_stages)
    return search


def trials(command: Command, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command("trials", "--study", name, "--json").json
    return found


def test_one_worker_goes_through_all_stages(ended: Search, command: Command) -> None:
    first, second, third = (trials(command, name) for name in ("toy", "toy-stage-2", "toy-stage-3"))
    assert [len(each["curve"]) for each in first] == [2] * 8
    assert [len(each["curve"]) for each in second] == [3] * len(second)
    assert [len(each["curve"]) for each in third] == [4] * len(third)

    best = [each["params"] for each in sorted(first, key=lambda each: -each["value"])[:2]]
    by_hand = first[0]["params"]
    assert by_hand not in best, "or the baseline would not be tested"
    assert [each["params"] for each in second[:3]] == [by_hand, *best]
    controls = [each["params"] for each in second[3:]]
    left = [each["params"] for each in first if each["params"] not in (by_hand, *best)]
    assert len(controls) == round(0.5 * len(left)) == 2 and all(each in left for each in controls)

    ranked = sorted(second, key=lambda each: -each["value"])
    kept = [each["params"] for each in ranked[:2] if each["params"] != by_hand]
    raced = [(each["params"]["x"], each["seed"]) for each in third]
    assert sorted({x for x, _ in raced}) == sorted(each["x"] for each in (by_hand, *kept))
    assert len(raced) == len(set(raced)) == 2 * (1 + len(kept)), "each config with each seed once"
    seeds = [{each["seed"] for each in stage} for stage in (first, second, third)]
    assert [len(each) for each in seeds] == [1, 1, 2] and len(set.union(*seeds)) == 4


@pytest.mark.usefixtures("blank_figures")
def test_status_report_and_the_model_that_is_meant_know_the_stages(ended: Search, command: Command) -> None:
    stages = command("status", "--json").json["stages"]
    assert [each["study"] for each in stages] == ["toy", "toy-stage-2", "toy-stage-3"]
    assert [each["overrides"] for each in stages] == [{"epochs": 2}, {"epochs": 3}, {"epochs": 4}]
    assert [each["complete"] for each in stages] == [each["trials"] for each in stages]
    assert len(stages[1]["kept"]) == 2 and len(stages[1]["controls"]) == 2
    shown = command("status").out
    assert "Had the search ended at stage 1" in shown and "On 2 fresh seeds" in shown
    command("report")
    report = (ended.runs / "report" / "report.md").read_text()
    short, rest = report.split("## Performance summary")
    assert "On 2 fresh seeds" in short, "the race of the last stage is the first answer"
    assert "## Stages of the search" in rest and "On 2 fresh seeds" in rest.split("## On fresh seeds")[1]
    assert "search confirm --study" not in rest.split("## What to try next")[1], "the race has been run"

    study, race = (open_study(ended.url, name) for name in ("toy", "toy-stage-3"))
    number, why = default_trial(race)
    means: dict[float, list[tuple[float, int]]] = {}
    for trial in trials(command, "toy-stage-3"):
        means.setdefault(trial["params"]["x"], []).append((trial["value"], trial["number"]))
    winner = max(means.values(), key=lambda seeds: sum(value for value, _ in seeds))
    assert number == max(winner)[1] and "stage 3 of search toy" in why
    assert default_study(study).name == "toy-stage-3"
    assert confirmation_of(race) == confirmation_of(study), "a card says what both seeds gave"


def test_what_a_stage_trains_follows_from_the_results_alone(staged: Search, command: Command) -> None:
    """Whoever finds the stage ended plans the same, and a second one changes nothing."""
    study = staged.create()
    assert next_stage(study, None) is None, "the first stage has not ended"
    before = command("status", "--json").json["stages"]
    assert [each["trials"] for each in before] == [8, None, None]
    assert Worker(study, staged.runs.parent, None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    study = open_study(staged.url, "toy")
    made = next_stage(study, None)
    again = next_stage(open_study(staged.url, "toy"), None)
    assert made is not None and again is not None and made.id == again.id
    assert made.plan == again.plan and made.row.trials == again.row.trials
    studies.set_stop(study.engine, study.id, "drain")
    assert next_stage(study, None) is None, "whoever works on it was asked to stop"


def test_a_stage_whose_folder_is_another_studys_is_refused(staged: Search, command: Command) -> None:
    staged.create()
    folder = staged.folder / "runs" / "toy-stage-2"
    folder.mkdir(parents=True)
    (folder / "study.json").write_text('{"token": "another", "database": "/somewhere.db"}')
    said = command("worker", code=2).err
    assert "toy-stage-2 holds a study of that name in /somewhere.db" in said
    assert [path.name for path in folder.iterdir()] == ["study.json"]


def test_workers_whose_search_meets_its_stop_rule_begin_the_next_stage_once(
    search_on_postgres: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is the first stage's; what had begun ends, and the next stage chooses from that."""
    monkeypatch.setattr("search.worker.worker.WAIT_SECONDS", 0.05)
    search = search_on_postgres
    (search.folder / "space.yaml").write_text(DOCUMENT)
    study = search.create("study.stop={target: 0.3}")
    options = search.worker_options()
    with ThreadPoolExecutor() as threads:
        codes = [threads.submit(run_worker, options, Interrupt()) for _ in range(2)]
    assert [code.result() for code in codes] == [0, 0]
    budget = read_snapshot(study).budget
    assert budget.stopped is not None and budget.stopped.rule == "target"
    assert budget.finished == budget.claimed == budget.stopped.claimed < budget.trials == 8
    chosen = {record.params["x"] for record in read_records(study)}
    for name, seeds in (("toy-stage-2", 1), ("toy-stage-3", 2)):
        stage = open_study(search.url, name)
        assert stage.plan is not None and stage.spec.study.stop is None
        trained = Counter(record.params["x"] for record in read_records(stage))
        assert trained == {config.params["x"]: seeds for config in stage.plan.configs}
        assert trained.keys() <= chosen
        chosen = set(trained)


def test_a_pruned_trial_may_go_on_as_a_control_and_a_failed_one_may_not(
    staged: Search, command: Command
) -> None:
    document = DOCUMENT.replace("controls: 0.5", "controls: 1.0")
    document = document.replace("trouble: null", "trouble: {choices: [null, nan]}")
    document = document.replace("epochs: 2", "epochs: 3").replace("x: 0.9", "x: 0.9, trouble: null")
    (staged.folder / "space.yaml").write_text(document)
    study = staged.create()
    command("worker")
    records = read_records(study)
    diverged = {each.number for each in records if each.reason and each.reason.code == "diverged"}
    assert diverged and len(diverged) < 7
    stage = read_stages(study)[1]
    went_on = stage.numbers("kept", "known", "control")
    assert sorted(went_on, key=str) == sorted({each.number for each in records} - diverged, key=str)


def test_confirm_can_train_with_other_constants(ended: Search, command: Command) -> None:
    confirm = ("confirm", "--set", "epochs=5", "--seeds", "2", "--top", "1", "--as", "large")
    command(*confirm, "--workers", "0")
    command("worker", "--study", "large")
    assert {len(each["curve"]) for each in trials(command, "large")} == {5}
    answer = command(*confirm, "--workers", "0", "--json").json
    assert answer["curse"]["measured"] is None, "the search had other constants"
    assert answer["baseline"]["value"] is None
    shown = command(*confirm, "--workers", "0").out
    assert "All were trained with epochs=5; the search was not." in shown


def test_what_does_not_go_with_stages_is_refused(ended: Search, command: Command) -> None:
    for arguments, message in REFUSED.items():
        line = command(*arguments, code=2).err
        assert message in line and line.count("\n") == 1


def test_stages_on_the_command_line_are_those_of_a_document(search: Search, command: Command) -> None:
    first, second = "{trials: 2, epochs: 1}", "{keep: 1, epochs: 2}"
    command("start", "--stage", first, "--stage", second, "--workers", "0")
    assert command("status", "--json").json["stages"][1]["overrides"] == {"epochs": 2}
    command("worker")
    assert {len(each["curve"]) for each in trials(command, "toy-stage-2")} == {2}


def test_the_value_of_a_stage_is_its_own(ended: Search, command: Command) -> None:
    study = open_study(ended.url, "toy")
    for view in read_stages(study)[:2]:
        curves = {each["number"]: each["curve"] for each in trials(command, view.name)}
        values = [best_mean(curve, 1) for curve in curves.values()]
        assert [each.value for each in view.configs] == pytest.approx(values)
