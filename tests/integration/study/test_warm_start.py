"""A changed space that starts from the trials which still fit, and everything that cannot be started so."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from service import DOCUMENT, Answer, Search
from sqlalchemy import update

from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.samplers.ask import history_of
from search.samplers.choose import choose, sample_of
from search.spec.grid import point
from search.spec.spec import load_spec
from search.study.open import open_study
from search.study.origin import ranges
from search.study.study import Study
from search.study.warm_start import fitted
from search.worker.worker import Worker
from storage import tables
from storage.claims import Lease

Command = Callable[..., Answer]

OLD = DOCUMENT.replace("{kind: random, seed: 7}", "{kind: qmc, seed: 7}").replace("epochs: 4", "epochs: 1")
NEW = OLD.replace("x: {low: 0.0", "x: {low: 0.25").replace("qmc, seed: 7", "tpe, seed: 8")
TRIALS = 14


def edited(old: str, new: str, document: str = NEW) -> str:
    assert old in document
    return document.replace(old, new)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a study of which one trial failed and one was pruned."""
    folder = tmp_path_factory.mktemp("finished")
    search = Search(folder, f"sqlite:///{folder / 'study.db'}", OLD)
    study = search.create(trials=TRIALS)
    assert Worker(study, folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    with study.engine.begin() as connection:
        for number, state in ((2, "FAIL"), (4, "PRUNED")):
            connection.execute(
                update(tables.trials).where(tables.trials.c.number == number).values(state=state)
            )
    study.engine.dispose()
    return folder / "study.db"


@pytest.fixture
def old(search: Search, finished: Path, tmp_path: Path) -> Search:
    with sqlite3.connect(finished) as source, sqlite3.connect(tmp_path / "study.db") as copy:
        source.backup(copy)
    return search


def start(command: Command, *arguments: str, code: int = 0) -> Answer:
    wanted = ("--study", "new", "--space", "space.yaml", "--workers", "0")
    return command("start", *wanted, *arguments, code=code)


def new(search: Search) -> Study:
    return open_study(search.url, "new")


def test_what_fits_is_said_on_one_line_and_kept(old: Search, command: Command) -> None:
    records = old.records()
    (old.folder / "space.yaml").write_text(NEW)
    said = start(command, "--from", "toy").err.splitlines()
    (line,) = (line for line in said if "fit" in line)
    inside = [r.number for r in records if r.params["x"] >= 0.25 and r.state != "failed"]
    outside = [r.number for r in records if r.params["x"] < 0.25 and r.state != "failed"]
    assert len(inside) >= 5 and len(outside) >= 2
    assert line.startswith(f"{len(inside)} of {TRIALS} trials of 'toy' fit ({ranges(inside)})")
    assert f"x: is outside 0.25 to 1.0 ({ranges(outside)})" in line and "failed (2)" in line
    origin = new(old).origin
    assert origin is not None and [trial.number for trial in origin.trials] == inside
    for trial in origin.trials:
        record = records[trial.number]
        assert (trial.params, trial.epochs) == (record.params, 1)
        assert trial.value == pytest.approx(record.last if record.state == "pruned" else record.value)


def test_its_sampler_learns_from_them_and_they_are_nothing_else(old: Search, command: Command) -> None:
    (old.folder / "space.yaml").write_text(NEW)
    start(command, "--from", "toy", "--trials", "2")
    study = new(old)
    lease = Lease(trial_id=10**6, number=1, slot=1, attempt=1, deaths=0, epochs=0)
    seen = history_of(study, lease)
    origin = study.origin
    assert origin is not None
    assert [trial.number for trial in seen.trials] == [*range(len(origin.trials))]
    for trial, inherited in zip(seen.trials, origin.trials, strict=True):
        assert trial.params == inherited.params and trial.value == inherited.value
        kinds = {name: kind for name, (_, kind) in sample_of(study.spec, inherited.params).items()}
        assert trial.distributions == kinds, "the new space's: another range would not be learned from"
        assert point(study.spec.space, trial.params) in seen.taken
    alone = choose(study.spec, 1, type(seen)([], 1, {}))
    assert choose(study.spec, 1, seen).params != alone.params
    status = command("status", "--study", "new", "--json").json
    assert status["budget"]["claimed"] == 0 and status["best"] is None
    assert command("trials", "--study", "new", "--json").json == []
    assert Worker(study, old.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    status = command("status", "--study", "new", "--json").json
    assert (status["budget"]["trials"], status["budget"]["complete"]) == (2, 2)
    trials = command("trials", "--study", "new", "--json").json
    assert [trial["number"] for trial in trials] == [0, 1]
    assert trials[0]["known"] == "by hand", "it was tried before, and is tried here as it stands"
    assert status["best"]["number"] in (0, 1) and trials[1]["repeat_of"] is None
    own = [trial.number for trial in history_of(study, lease).trials][-1:]
    assert own == [len(origin.trials)], "its own come after them; the one that draws is none of them"


def test_a_joining_worker_draws_as_the_first_would_with_the_other_study_gone(
    old: Search, command: Command
) -> None:
    import optuna

    from storage.engine import optuna_storage

    (old.folder / "space.yaml").write_text(NEW)
    start(command, "--from", "toy")
    lease = Lease(trial_id=10**6, number=3, slot=3, attempt=1, deaths=0, epochs=0)
    first = new(old)
    wanted = choose(first.spec, 3, history_of(first, lease))
    other = open_study(old.url, "toy")
    with other.engine.begin() as connection:
        for table in (tables.takeovers, tables.points, tables.workers, tables.leases, tables.studies):
            connection.execute(table.delete().where(table.c.study_id == other.id))
    optuna.delete_study(study_name="toy", storage=optuna_storage(old.url))
    second = new(old)
    assert choose(second.spec, 3, history_of(second, lease)) == wanted
    start(command, "--from", "toy")
    start(command)


def test_fixing_and_freeing_a_parameter(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(OLD)
    space = load_spec(path).space
    frozen = load_spec(path, overrides=["kind=plain"]).space
    bent, plain = {"x": 0.5, "kind": "bent", "bend": 3}, {"x": 0.5, "kind": "plain"}
    assert fitted(frozen, {**space.constants, **plain}) == {"x": 0.5}
    for params in (bent, {**bent, "kind": "plain"}):
        with pytest.raises(Exception, match=r"kind: is not the constant|bend: the space has no such"):
            fitted(frozen, {**space.constants, **params})
    freed = load_spec(path, overrides=["epochs={low: 1, high: 4}"]).space
    assert fitted(freed, {**space.constants, **plain}) == {**plain, "epochs": 1}
    always = {**space.constants, **plain, "bend": 4}
    assert fitted(space, always) == plain, "what does not exist beside the rest made no difference"


# -- what cannot be --------------------------------------------------------------------------------

DOCUMENTS = {
    "another objective": (edited("objective: toy", "objective: toy2"), ["objective toy (now toy2)"]),
    "another direction": (
        edited("  smooth: 2", "  smooth: 2\n  direction: minimize"),
        ["direction maximize (now minimize)"],
    ),
    "another smoothing": (edited("smooth: 2", "smooth: 3"), ["smooth 2 (now 3)", "scored something else"]),
    "another score": (
        edited("smooth: 2", "smooth: 2\n  score: val_miou"),
        ["score val F per image (now val mIoU)", "scored something else"],
    ),
    "other data": (edited("version: 1", "version: 2"), ["data 1 (now 2)"]),
    "another constant": (
        edited("epochs: 1", "epochs: 3"),
        ["no trial that fits", "epochs: is not the constant 3 (0-1, 3-13)"],
    ),
    "a parameter they never had": (
        edited(
            "  epochs: 1", "  width: {low: 1, high: 9}\n  epochs: 1", edited("known:", "avoid:", NEW)
        ).replace("  - {name: by hand, x: 0.3, kind: plain}", "  - {name: by hand, x: {above: 0.3}}"),
        ["no trial that fits", "width: has no value"],
    ),
    "a parameter that is gone": (
        edited(
            "  kind: {choices: [plain, bent]}\n  bend: {low: 1, high: 9, when: {kind: bent}}\n", ""
        ).replace(", kind: plain", ""),
        ["no trial that fits", "kind: the space has no such name"],
    ),
    "a range in which none is": (
        edited("x: {low: 0.25, high: 1.0}", "x: {low: 3.0, high: 4.0}").replace("x: 0.3", "x: 3.3"),
        ["no trial that fits", "x: is outside 3.0 to 4.0"],
    ),
    "a grid on which none is": (
        edited("x: {low: 0.25, high: 1.0}", "x: {low: 0.0, high: 0.99, step: 0.33}").replace(
            "x: 0.3", "x: 0.33"
        ),
        ["no trial that fits", "0.0 to 0.99 in steps of 0.33"],
    ),
    "choices of which none was": (
        edited("choices: [plain, bent]", "choices: [flat, round]")
        .replace("kind: bent", "kind: flat")
        .replace("kind: plain", "kind: round"),
        ["no trial that fits", "kind: is outside flat, round"],
    ),
    "a pruner with brackets": (
        edited("{kind: none}", "{kind: hyperband}"),
        ["hyperband", "another pruner"],
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_that_cannot_continue(old: Search, command: Command, name: str) -> None:
    document, said = DOCUMENTS[name]
    (old.folder / "space.yaml").write_text(document)
    (old.folder / "toy2.py").write_text("from toy import *\n")
    refused(old, command, said, "--from", "toy")


FLAGS = {
    "no such study": ("--from", "tyo", ["--from: no study 'tyo'", "there are: toy", "or omit --from"]),
    "no name": ("--from", "../toy", ["--from: '../toy' is not a study's name"]),
    "nothing": ("--from", "", ["'' is not a study's name"]),
    "itself": ("--from", "new", ["no study 'new'"]),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_that_cannot_continue(old: Search, command: Command, name: str) -> None:
    flag, value, said = FLAGS[name]
    (old.folder / "space.yaml").write_text(NEW)
    refused(old, command, said, flag, value)


def test_a_study_without_results_is_nothing_to_start_from(search: Search, command: Command) -> None:
    (search.folder / "space.yaml").write_text(OLD)
    search.create()
    refused(search, command, ["'toy' has no trial that fits: it has none"], "--from", "toy")


def test_a_study_that_is_there_began_as_it_began(old: Search, command: Command) -> None:
    (old.folder / "space.yaml").write_text(NEW)
    line = command("start", "--from", "toy", code=2).err
    assert line.count("\n") == 1 and "'toy' exists and was started from no other" in line
    start(command, "--from", "toy")
    refused(old, command, ["'new' exists and was started from 'toy'"], "--from", "other")
    start(command, "--from", "toy")


def refused(search: Search, command: Command, said: list[str], *arguments: str) -> None:
    """One line, exit code 2, and nothing was written."""
    query = "SELECT (SELECT count(*) FROM studies) + (SELECT count(*) FROM study_system_attributes)"
    there = search.count(query)
    answer = start(command, *arguments, code=2)
    assert answer.err.count("\n") == 1 and answer.out == "" and "Traceback" not in answer.err
    for part in said:
        assert part in answer.err
    assert search.count(query) == there
