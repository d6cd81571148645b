"""The commands: what they print as JSON is a contract; joining a study; what a study is called."""

import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest
from service import DOCUMENT, STUDY, Answer, Search
from sqlalchemy import insert, update
from sqlalchemy.exc import OperationalError

from search.cli.app import command_group
from search.objective import EpochResult, Run
from search.records import Snapshot
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.samplers.feasibility import unconstrained
from search.study.fingerprint import check_data
from search.study.open import open_study
from search.study.read import read_snapshot
from search.study.study import Study
from search.worker.worker import Worker
from storage import clock, studies, tables
from storage import engine as engines
from storage.claims import Lease
from storage.leases import Leases
from storage.pages import Artifact
from storage.processes import Process
from storage.reads import trial_rows

Command = Callable[..., Answer]

COMMANDS = (
    *("start", "worker", "status", "trials", "best", "check", "stop", "dashboard"),
    *("compare", "confirm", "ablate", "report", "import"),
)


def worker(search: Search, study: Study) -> Worker:
    return Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])


@pytest.fixture
def mixed(search: Search) -> Search:
    """A study of five trials: complete, diverged, failed, running, and one slot that is free."""
    study = search.create(trials=5)
    trainer = worker(search, study)
    scores = iter([[0.1, 0.3, 0.5, 0.4], [0.2, 0.1, math.nan], []])

    class Scripted:
        @staticmethod
        def describe(config: Any, data: Any) -> Any:
            return None

        @staticmethod
        def train(config: Any, run: Run) -> Iterator[EpochResult]:
            for epoch, score in enumerate(next(scores), 1):
                yield EpochResult(epoch=epoch, epochs=4, score=score)

    trainer.objective = Scripted
    trainer.interrupt, trainer.constraints = Interrupt(), unconstrained
    trainer.leases.join("cpu")
    for _ in range(3):
        lease = trainer.leases.claim()
        assert isinstance(lease, Lease)
        trainer.train(lease)
    running = trainer.leases.claim()
    assert isinstance(running, Lease)
    trainer.leases.report(running, 1, 4, 0.2)
    return search


# -- JSON ------------------------------------------------------------------------------------------


def test_status_json_has_the_agreed_keys(mixed: Search, command: Command) -> None:
    status = command("status", "--json").json
    assert list(status) == [
        "study",
        "storage",
        "profile",
        "direction",
        "target",
        "budget",
        "best",
        "epochs",
        "workers",
        "pruning",
        "imported",
        "stages",
    ]
    assert (status["study"], status["profile"], status["direction"], status["target"]) == (
        STUDY,
        None,
        "maximize",
        0.9,
    )
    assert status["budget"] == {
        "trials": 5,
        "claimed": 4,
        "complete": 1,
        "pruned": 1,
        "failed": 1,
        "running": 1,
        "gpu_hours": None,
        "gpu_hours_used": None,
        "stopped": None,
    }
    assert status["best"] == {
        "number": 0,
        "value": pytest.approx(0.45),
        "best_epoch": 3,
        "best_score": 0.5,
        "params": {"x": 0.3, "kind": "plain"},
        "known": "by hand",
    }
    assert status["epochs"] == {"run": 7, "saved": 2}
    (shown,) = status["workers"]
    assert list(shown) == [
        "id",
        "host",
        "device",
        "pid",
        "state",
        "trial",
        "epoch",
        "images_per_second",
        "seen_seconds_ago",
    ]
    assert (shown["device"], shown["pid"]) == ("cpu", os.getpid()) and shown["seen_seconds_ago"] < 60


def test_trials_json_has_the_agreed_keys(mixed: Search, command: Command) -> None:
    trials = command("trials", "--json").json
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    for trial in trials:
        assert list(trial) == [
            "number",
            "state",
            "value",
            "last",
            "best_score",
            "best_epoch",
            "params",
            "known",
            "seed",
            "epochs",
            "curve",
            "reason",
            "worker",
            "attempts",
            "seconds",
            "horizon",
            "control",
            "repeat_of",
            "parameters",
            "forward_ms",
        ]
    complete, diverged, failed, running = trials
    assert [trial["state"] for trial in trials] == ["complete", "pruned", "failed", "running"]
    assert complete["curve"] == [0.1, 0.3, 0.5, 0.4] and complete["value"] == pytest.approx(0.45)
    assert (complete["last"], complete["reason"], complete["seed"], complete["attempts"]) == (
        0.4,
        None,
        7,
        1,
    )
    assert diverged["reason"]["code"] == "diverged" and diverged["reason"]["epoch"] == 3
    assert (diverged["last"], diverged["best_score"], diverged["best_epoch"]) == (0.1, 0.2, 1)
    assert diverged["value"] == pytest.approx(0.15)
    assert failed["reason"]["code"] == "bug" and failed["value"] is None and failed["curve"] == []
    assert (running["curve"], running["value"], running["reason"]) == ([0.2], 0.2, None)


def test_trials_n_shows_one_trial_and_why_it_ended(mixed: Search, command: Command) -> None:
    (trial,) = command("trials", "2", "--json").json
    assert trial["number"] == 2 and "without training" in trial["reason"]["text"]
    assert "without training" in command("trials", "2").out
    refused = command("trials", "9", code=2)
    assert refused.out == "" and "9 is not a trial of study 'toy'" in refused.err


def test_best_is_the_best_trial_in_full(mixed: Search, command: Command) -> None:
    assert command("best", "--json").json == command("trials", "0", "--json").json[0]
    assert "trial 0" in command("best").out


def test_best_without_a_complete_trial_exits_with_1(search: Search, command: Command) -> None:
    search.create()
    answer = command("best", code=1)
    assert answer.out == "" and answer.err.count("\n") == 1 and "no complete trial" in answer.err


def test_tables_go_to_stdout_alone(mixed: Search, command: Command) -> None:
    for name in ("status", "trials"):
        shown = command(name)
        assert shown.out and shown.err == ""


def test_check_json_has_the_agreed_keys(search: Search, command: Command) -> None:
    report = command("check", "--json").json
    assert list(report) == ["parameters", "device", "data", "feasible", "problems"]
    assert report == {
        "parameters": 1,
        "device": "cpu",
        "data": {"train": 10, "val": 5, "classes": 2, "image_size": 32, "source": "thin air"},
        "feasible": None,
        "problems": [],
    }
    assert "10 to train" in command("check").out
    assert sorted(path.name for path in search.folder.parent.rglob("*")) == ["space.yaml", "work"]


def test_what_an_override_left_out_is_a_problem(search: Search, command: Command) -> None:
    (problem,) = command("check", "--json", "--set", "kind=bent").json["problems"]
    assert "known 'by hand'" in problem and problem.endswith("left out")


# -- the process -----------------------------------------------------------------------------------


def test_help_lists_every_command_with_a_whole_sentence(command: Command) -> None:
    told = command("--help")
    for name in COMMANDS:
        assert f"  {name} " in told.out
        assert "--" in command(name, "--help").out
        (short,) = (line for line in told.out.splitlines() if line.startswith(f"  {name} "))
        assert short.endswith("."), "cut off"
    assert command(code=2).err.splitlines()[0] == "Usage: search [OPTIONS] COMMAND [ARGS]..."
    assert command("--version").out == f"mseg-search {version('mseg-search')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["halp"], "No such command 'halp'; search --help shows the options"),
        (["sttaus"], "No such command 'sttaus'. Did you mean 'status'? search --help shows the options"),
        (["compare", "3"], "Missing argument 'B'; search compare --help shows the options"),
        (["start", "--trials", "x"], "unable to parse string as an integer, not 'x'"),
    ],
)
def test_a_wrong_command_line_comes_with_the_remedy(
    command: Command, arguments: list[str], said: str
) -> None:
    assert command(*arguments, code=2).err.endswith(f"{said}\n")


def test_the_shell_completes_commands_and_flags(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What typer's completion script asks, and that it is written where bash finds it."""
    monkeypatch.setenv("HOME", str(search.folder))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    # The commands are assembled for this environment.
    monkeypatch.setattr("search.cli.app.command_group", command_group.__wrapped__)
    assert "_SEARCH_COMPLETE=complete_bash" in command("--show-completion", "bash").out
    command("--install-completion", "bash")
    assert (search.folder / ".bash_completions" / "search.sh").is_file()
    monkeypatch.setenv("_SEARCH_COMPLETE", "complete_bash")
    for words, count, completed in (
        ("search sta", 1, ["start", "status"]),
        ("search status --js", 2, ["--json"]),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(count))
        assert command().out.split() == completed


def test_the_dashboard_serves_the_study_and_stops_on_a_signal(mixed: Search) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = mixed.spawn("dashboard", "--port", str(port))

    def listed() -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    assert "toy" in json.dumps(mixed.wait(listed))
    study = open_study(mixed.url, STUDY)
    curve = Artifact.of(studies.token(study.engine, study.id), 0, "curve.svg")
    (first, *_) = trial_rows(study.engine, study.id)
    address = f"http://127.0.0.1:{port}{curve.path(study.id, first.trial_id)}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml" and b"<polyline" in answer.read()
    process.send_signal(signal.SIGINT)
    mixed.ends(process, 130)
    assert f"http://127.0.0.1:{port}/dashboard shows sqlite:///" in mixed.said


def test_watching_a_study_ends_with_it(search: Search, command: Command) -> None:
    worker(search, search.create(trials=2)).run(Interrupt())
    shown = command("status", "--watch")
    assert shown.out == "" and "2 of 2 trials finished" in shown.err


def test_status_of_a_full_study_is_cheap(search_on_postgres: Search) -> None:
    """500 trials of 90 epochs: under a second of CPU, without torch and without Optuna.

    Where 16 million additions take Python longer than that, the machine is slow, and that long.
    """
    fill(search_on_postgres.create(trials=500), trials=500, epochs=90)
    code = (
        "import sys\n"
        "from search.cli.app import main\n"
        "try: main(['status', '--json'])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "loaded = {'torch', 'optuna', 'kornia', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )

    def spent(code: str) -> tuple[float, str]:
        """CPU seconds of a Python process, and what it printed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=search_on_postgres.folder,
            env=search_on_postgres.environment,
            capture_output=True,
            text=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout

    for left in (2, 1, 0):  # a busy machine adds to the figure, now and then
        taken, shown = spent(code)
        assert json.loads(shown)["epochs"]["run"] == 500 * 90
        if taken < 1.0 or taken < (allowed := spent("x = 0\nfor i in range(16 * 10**6): x += i")[0]):
            break
        assert left, (taken, allowed)


def fill(study: Study, trials: int, epochs: int) -> None:
    """Finished trials as the service leaves them in PostgreSQL, without the seconds that training takes."""
    owner = Leases(study.engine, study.id, "filler", Process.current())
    owner.join("cpu")
    with study.engine.begin() as connection:
        connection.execute(
            insert(tables.trials).values(
                study_id=study.id, datetime_start=clock.utc(), datetime_complete=clock.utc()
            ),
            [
                {"trial_id": number + 1, "number": number, "state": "PRUNED" if number % 3 else "COMPLETE"}
                for number in range(trials)
            ],
        )
        now = clock.now()
        connection.execute(
            insert(tables.leases).values(
                study_id=study.id,
                owner="filler",
                attempt=1,
                deaths=0,
                epochs=epochs,
                horizon=200,
                renewed_at=now,
                started_at=now,
                finished_at=now,
            ),
            [{"trial_id": number + 1, "slot": number} for number in range(trials)],
        )
        connection.execute(
            insert(tables.values),
            [
                {"trial_id": number + 1, "objective": 0, "value": number / 1000, "value_type": "FINITE"}
                for number in range(trials)
            ],
        )
        distribution = json.dumps(
            {
                "name": "FloatDistribution",
                "attributes": {"low": 0.0, "high": 1.0, "log": False, "step": None},
            }
        )
        connection.execute(
            insert(tables.params),
            [
                {
                    "trial_id": number + 1,
                    "param_name": f"x{index}",
                    "param_value": 0.5,
                    "distribution_json": distribution,
                }
                for number in range(trials)
                for index in range(8)
            ],
        )
        attributes = {"worker": "filler", "seed": 7, "best_score": 0.5, "best_epoch": 3, "mean": 0.4}
        connection.execute(
            insert(tables.user_attributes),
            [
                {"trial_id": number + 1, "key": key, "value_json": json.dumps(value)}
                for number in range(trials)
                for key, value in attributes.items()
            ],
        )
        connection.exec_driver_sql(
            "INSERT INTO trial_intermediate_values "
            "(trial_id, step, intermediate_value, intermediate_value_type) "
            "SELECT trial_id, step, step / 100.0, 'FINITE' "
            f"FROM trials, generate_series(1, {epochs}) AS step"
        )


# -- creating and joining --------------------------------------------------------------------------


def test_a_study_is_joined_with_what_it_has(search: Search, command: Command) -> None:
    search.create("epochs=1", "seconds=0.0", trials=1)
    line = command("start", "--set", "epochs=2", code=2).err
    assert line.count("\n") == 1
    assert "'toy' was created with epochs 1 (asked: 2)" in line and "another name" in line
    line = command("start", "--space", "space.yaml", code=2).err
    assert "epochs 1 (asked: 4)" in line
    line = command("start", "--profile", "short", code=2).err
    assert "profile None (asked: short)" in line
    assert search.create("epochs=1", trials=1).row.trials == 1, "the same values are no difference"


def test_a_study_is_joined_without_its_file(search: Search, command: Command) -> None:
    """What was asked for is held against the study's own document, not against the stock one."""
    search.create("epochs=1", trials=1)
    (search.folder / "space.yaml").unlink()
    line = command("start", "--set", "x.low=0.2", code=2).err
    assert "'toy' was created with x.low 0.0 (asked: 0.2); omit" in line
    line = command("start", "--profile", "quick", code=2).err
    assert "'toy' was created with profile None (asked: quick); omit" in line
    command("start", "--set", "epochs=1", "--workers", "0")


def test_a_document_of_something_else_is_refused_briefly(search: Search, command: Command) -> None:
    search.create(trials=1)
    space = ", ".join(f"p{n}: {{low: 0, high: {n + 1}}}" for n in range(9))
    (search.folder / "space.yaml").write_text(f"objective: other\nspace: {{{space}}}\n")
    line = command("start", "--space", "space.yaml", code=2).err
    assert "'toy' was created with objective toy (asked: other); " in line
    assert "known.by hand.kind plain (asked: None); " in line
    assert "more; omit these flags" in line and len(line) < 400


def test_how_it_searches_is_changed_with_update_only(search: Search, command: Command) -> None:
    search.create(trials=1)
    worker(search, search.create()).run(Interrupt())
    change = ["--set", "study.sampler={kind: tpe, seed: 9}", "--set", "study.pruner={kind: hyperband}"]
    line = command("start", *change, code=2).err
    assert line.count("\n") == 1 and "add --update" in line
    assert "study.sampler.kind random (asked: tpe)" in line
    assert "study.pruner.kind none (asked: hyperband)" in line
    before = search.study()
    assert before is not None and before.spec.study.sampler.kind == "random"
    command("start", *change, "--update")
    after = search.study()
    assert after is not None
    assert (after.spec.study.sampler.kind, after.spec.study.sampler.seed) == ("tpe", 9)
    assert after.spec.study.pruner.kind == "hyperband"
    assert "epochs 4 (asked: 3)" in command("start", "--update", "--set", "epochs=3", code=2).err
    assert "is not one of" in command("start", "--update", "--set", "study.sampler.kind=tpx", code=2).err


def test_how_it_is_reported_is_changed_with_update_only(search: Search, command: Command) -> None:
    """A study from before `report.stages` opens, and may get them."""
    worker(search, search.create(trials=1)).run(Interrupt())
    study = open_study(search.url, STUDY)
    older = {name: part for name, part in study.row.document.items() if name != "report"}
    studies.set_document(study.engine, study.id, older)
    command("start", "--space", "space.yaml", "--trials", "1")  # no difference
    change = ["--set", "report.stages=[1, 2, 3, 4]"]
    line = command("start", *change, code=2).err
    assert "report.stages None (asked: [1, 2, 3, 4]); add --update" in line and line.count("\n") == 1
    command("start", *change, "--update", "--trials", "1")
    after = search.study()
    assert after is not None and after.spec.report.stages == (1, 2, 3, 4)


def test_update_takes_the_document_of_the_folder(search: Search, command: Command) -> None:
    worker(search, search.create(trials=1)).run(Interrupt())
    (search.folder / "space.yaml").write_text(DOCUMENT.replace("target: 0.9", "target: 0.8"))
    command("start")
    assert command("status", "--json").json["target"] == 0.9, "who joins takes what the study has"
    command("start", "--update", "--trials", "1")
    assert command("status", "--json").json["target"] == 0.8


def test_the_budget_is_raised_and_not_lowered_below_what_is_claimed(
    search: Search, command: Command
) -> None:
    worker(search, search.create(trials=3)).run(Interrupt())
    assert "--trials 1: 3 trials have already begun" in command("start", "--trials", "1").err
    assert command("status", "--json").json["budget"]["trials"] == 3
    assert search.create(trials=6).row.trials == 6
    assert search.create(trials=4).row.trials == 4
    (search.folder / "space.yaml").write_text(DOCUMENT.replace("trials: 3", "trials: 7"))
    line = command("start", "--space", "space.yaml", code=2).err
    assert "study.trials 3 (asked: 7); add --update" in line


def test_a_document_wins_only_once(search: Search) -> None:
    """Two that create one study together: the slower is held against what the faster has stored."""
    from search.errors import StudyError
    from search.launcher import creation

    faster = search.create("epochs=1")
    engines.connect(search.url).dispose()
    really, answers = creation.find_study, iter([None])
    creation.find_study = lambda url, name: next(answers, faster)
    try:
        with pytest.raises(StudyError, match=r"epochs 1 \(asked: 2\)"):
            search.create("epochs=2")
    finally:
        creation.find_study = really


def test_other_data_are_refused(search: Search, command: Command) -> None:
    study = search.create(trials=1)
    with study.engine.begin() as connection:
        connection.execute(update(tables.studies).values(fingerprint='{"data": "7", "masks": "ab"}'))
    line = command("worker", code=2).err.splitlines()[-1]
    assert "these are not the data of study 'toy'" in line
    assert "data 1 (the study has 7)" in line and "masks None (the study has ab)" in line
    assert search.records() == [], "a slot was claimed"
    refused = command("start", code=2)
    assert "data 1 (the study has 7)" in refused.err.splitlines()[-1] and refused.out == ""


def test_the_same_data_are_taken(search: Search) -> None:
    from search.objective import Description

    study = search.create()
    same = Description(train=1, val=1, classes=2, image_size=1, source="", fingerprint={"data": "1"})
    check_data(study, same)


def test_a_quick_twin_is_found(search: Search, command: Command) -> None:
    document = DOCUMENT.replace("short:", "quick:")
    (search.folder / "space.yaml").write_text(document)
    said = command("start", "--trials", "1", "--workers", "0")
    command("worker", "--study", "toy-quick")
    assert "no data given: running the quick profile on drawn faces as study 'toy-quick'" in said.err
    assert "search start --study toy --data FOLDER" in said.err
    for name in ("status", "trials", "best"):
        found = command(name, "--json")
        assert found.err == "there is no study 'toy' yet; using 'toy-quick'\n"
    assert command("status", "--json").json["profile"] == "quick"
    assert command("trials", "--json").json[0]["epochs"] == 2
    assert command("status", "--study", "toy-quick", "--json").err == ""
    command("start", "--study", "toy-quick", "--trials", "1")
    command("start", "--workers", "0", "--trials", "1", "--data", ".", "--set", "epochs=1")
    assert command("status", "--json").json["study"] == "toy"
    assert command("status", "--json").err == ""


def test_a_document_without_a_quick_profile_runs_as_it_stands(search: Search) -> None:
    study = search.create()
    assert (study.name, study.row.profile) == ("toy", None)


def test_the_environment_stands_behind_the_flags(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.create()
    assert command("status", "--json").json["study"] == "toy"
    line = command("status", "--study", "other", code=2).err
    assert "no study 'other'" in line and "there are: toy" in line
    monkeypatch.delenv("SEARCH_STORAGE")
    file = search.folder / "url"
    file.write_text(f"{search.url}\n")
    monkeypatch.setenv("SEARCH_STORAGE_FILE", str(file))
    assert command("status", "--json").json["study"] == "toy"
    assert "no study" in command("status", "--storage", "sqlite:///none.db", code=2).err


def test_watching_outlasts_the_database(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(search, search.create(trials=1)).run(Interrupt())
    study = search.study()
    assert study is not None
    done = read_snapshot(study)
    begun = replace(done, budget=replace(done.budget, trials=2))
    away = OperationalError("SELECT 1", {}, Exception("the server is gone"))
    away.__cause__ = away.orig
    answers = iter([begun, away, away, done])

    def read(_: Study) -> Snapshot:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("search.study.read.read_snapshot", read)
    told = command("status", "--watch").err
    assert told.count("the database does not answer: the server is gone") == 1
    assert "1 of 1 trials finished" in told.splitlines()[-1]


def test_stop_is_recorded_and_now_replaces_drain(search: Search, command: Command) -> None:
    search.create()
    assert "finish their trials and leave (there are none now)" in command("stop").err
    found = search.study()
    assert found is not None and found.row.stop == "drain"
    assert "leave now" in command("stop", "--now").err
    found = search.study()
    assert found is not None and found.row.stop == "now"
    assert search.create().row.stop is None, "to start is to take it back"
