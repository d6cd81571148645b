"""`search import`: runs of other hands beside a study's trials, and everything that is no run."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import yaml
from old_databases import forget_versions
from recorded_runs import CONFIG, history, record
from service import SHARED, Answer, Search
from sqlalchemy import inspect

from search.errors import UserError
from search.imports.csv_runs import read_csv
from search.imports.imported_runs import read_imported, read_imported_run, read_paths
from search.imports.known_config import known_from
from search.loading import vocabulary_of
from search.recorded_run import RecordedRun, read_run
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.scoring import best_mean
from search.spec.spec import load_spec, stock_space
from search.worker.worker import Worker
from storage import imports
from storage.engine import connect

Command = Callable[..., Answer]

CURVE = "epoch,score,lr\n1,0.2,0.1\n2,,0.1\n3,0.6,0.05\n4,0.5,0.05\n"
ROWS = (
    "name,score,best_epoch,epochs,x,kind,note\n"
    "first,0.71,9.0,20.0,0.3,plain,\n"  # as pandas writes numbers where some are missing
    '"second, later",0.5,,,0.9,bent,"why: unknown"\n'
)


def held(search: Search) -> dict[Any, Any]:
    """Every row of the database, and every file; SQLite's own come and go."""
    engine = connect(search.url, read_only=True)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables}
    engine.dispose()
    files = {path: path.read_bytes() for path in search.folder.rglob("*") if path.is_file()}
    return {**rows, **files}


def refused(command: Command, search: Search, *arguments: str) -> str:
    """The one line that a wrong command leaves, and nothing else."""
    before = held(search)
    answer = command(*arguments, code=2)
    (line,) = answer.err.splitlines()
    assert answer.out == "" and "Traceback" not in line and len(line) < 400
    assert held(search) == before, "something was written"
    return line


@pytest.fixture
def study(search: Search) -> Search:
    """A study, a recorded run and both kinds of CSV in the folder."""
    search.create()
    record(search.folder / "hand", CONFIG, history(40, 1))
    (search.folder / "night.csv").write_text(CURVE)
    (search.folder / "night.yaml").write_text("x: 0.4\nexperiment: {name: night}\n")
    (search.folder / "many.csv").write_text(ROWS)
    return search


def trained(search: Search) -> None:
    """Works on the study until its budget is used up."""
    Worker(search.create(), search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt())


# -- what is kept ----------------------------------------------------------------------------------


def test_folders_and_csv_stand_beside_the_trials(study: Search, command: Command) -> None:
    before = command("status", "--json").json
    assert before["imported"] == []
    stored = command("import", "hand", "night.csv", "many.csv", "--json").json
    assert [run["name"] for run in stored] == ["hand", "night", "first", "second, later"]
    status = command("status", "--json").json
    assert status["imported"] == sorted(stored, key=lambda run: run["name"])
    assert {**status, "imported": []} == before, "nothing else of the study has changed"

    scores = history(40, 1)["val_f_score"]
    hand, night, first, second = stored
    assert list(hand) == ["name", "source", "metric", "value", "best_score", "best_epoch", "epochs"]
    assert hand["value"] == pytest.approx(best_mean(scores, 2)) and hand["epochs"] == 40
    assert (hand["best_score"], hand["best_epoch"]) == (max(scores), scores.index(max(scores)) + 1)
    assert hand["metric"] == "val F, pooled by batches" and hand["source"].endswith("/work/hand")
    assert (night["best_score"], night["best_epoch"], night["epochs"]) == (0.6, 3, 4)
    assert night["value"] == pytest.approx(0.55) and night["metric"] == "the study's score"
    assert [first[key] for key in ("value", "best_score", "best_epoch", "epochs")] == [None, 0.71, 9, 20]
    assert (second["best_epoch"], second["epochs"]) == (None, None)
    for name in ("status", "trials"):
        shown = command(name).out
        assert "hand" in shown and "second, later" in shown and "never part of the search" in shown
    assert command("trials", "--json").json == []


def test_they_never_enter_the_search(study: Search, command: Command) -> None:
    command("import", "many.csv")
    trained(study)
    assert [record.state for record in study.records()] == ["complete"] * 3
    assert command("best", "--json").json["value"] < 0.9, "the imported 0.71 and the trials' own"
    assert study.count("SELECT count(*) FROM trials") == 3
    assert command("status", "--json").json["budget"]["claimed"] == 3


def test_a_run_is_imported_once_or_replaced(study: Search, command: Command) -> None:
    command("import", "many.csv")
    line = refused(command, study, "import", "hand", "many.csv")
    assert "already has a run 'first'" in line and "--update" in line
    assert len(command("status", "--json").json["imported"]) == 2, "hand came with it, and was not stored"
    (study.folder / "many.csv").write_text(ROWS.replace("0.71", "0.72"))
    command("import", "hand", "many.csv", "--update")
    values = {run["name"]: run["best_score"] for run in command("status", "--json").json["imported"]}
    assert len(values) == 3 and values["first"] == 0.72
    command("import", "hand", "--name", "hand again")
    assert "hand again" in command("status").out


def test_a_run_is_removed(study: Search, command: Command) -> None:
    """All that are named or none; what is left is shown."""
    nothing = refused(command, study, "import", "--remove", "hand")
    assert nothing == "--remove: study 'toy' has no imported run 'hand' (imported: none)"
    command("import", "hand", "many.csv")
    line = refused(command, study, "import", "--remove", "first", "--remove", "frist")
    assert "no imported run 'frist' (imported: 'first', 'hand', 'second, later')" in line
    left = command("import", "--remove", "first", "--remove", "second, later", "--json").json
    assert [run["name"] for run in left] == ["hand"]
    assert command("status", "--json").json["imported"] == left and (study.folder / "many.csv").exists()
    command("import", "many.csv")
    assert "second, later" in command("import", "--remove", "first").out
    assert command("import", "--remove", "hand", "--remove", "second, later").out == ""


def test_a_database_that_an_older_version_made(
    search_on_each: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the table: status and compare work, and the first import makes it. Curves come back whole."""
    search = search_on_each
    study = search.create()
    engine = connect(search.url)
    forget_versions(search.url, "search_imports")
    assert read_imported(study) == [] and read_imported_run(study, "night") is None
    monkeypatch.setenv("SEARCH_STORAGE", search.url)
    assert command("status", "--json").json["imported"] == []
    (search.folder / "night.csv").write_text(CURVE)
    (search.folder / "night.yaml").write_text("x: .inf\ny: [1, zwei, 3.0]\n")
    command("import", "night.csv")
    assert inspect(engine).has_table("search_imports")
    engine.dispose()
    run = read_imported_run(study, "night")
    assert run == RecordedRun(
        name="night (imported)",
        leaves={"x": None, "y": [1, "zwei", 3.0]},
        scores=[0.2, None, 0.6, 0.5],
        metric="the study's score",
        columns={"score": [0.2, None, 0.6, 0.5], "lr": [0.1, 0.1, 0.05, 0.05]},
        vocabulary=study.spec.vocabulary,
    )
    study.engine.dispose()


def test_of_imports_at_the_same_time_one_is_first(search_on_each: Search) -> None:
    study = search_on_each.create()
    row = {"name": "a", "source": "b", "metric": "c", "value": 1.0, "best_score": 1.0, "document": {}}
    row |= {"best_epoch": None, "epochs": None}

    together = Barrier(6)

    def put(number: int) -> list[str]:
        engine = connect(search_on_each.url)
        try:
            engine.connect().close()
            together.wait()
            return imports.put(engine, study.id, [{**row, "name": str(number)}, row], replace=False)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(put, range(6)))
    assert sorted(answers) == [[], *[["a"]] * 5]
    assert len(read_imported(study)) == 2, "who came late stored nothing"
    study.engine.dispose()


# -- compare ---------------------------------------------------------------------------------------


def test_imported_runs_are_compared_by_name(study: Search, command: Command) -> None:
    record(study.folder / "other", CONFIG.replace("1.5", "2.0"), history(40, 2))
    command("import", "hand", "night.csv", "many.csv")
    as_folders = command("compare", "hand", "other", "--json").json
    (study.folder / "hand").rename(study.folder / "moved")
    assert command("compare", "hand", "other", "--json").json == as_folders
    assert as_folders["changed"] == {"loss.dice_weight": [1.5, 2.0]}
    shown = command("compare", "other", "hand").out
    assert "hand (imported)" in shown and "pooled by batches" in shown

    trained(study)
    beside = command("compare", "0", "night", "--json").json
    assert beside["changed"]["x"] == [0.3, 0.4], "a score of the study's own: by what the database holds"
    for name, parts in {
        "first": ["'first' was imported as a row", "without a curve"],
        "night": ["no metric in common"],
        "nihgt": ["no imported run", "by hand"],
    }.items():
        line = refused(command, study, "compare", "other", name)
        for part in parts:
            assert part in line


@pytest.mark.parametrize("stored", ["Zo\u00eb", "Zoe\u0308"])
def test_a_name_is_found_in_either_form_of_its_accents(
    study: Search, command: Command, stored: str
) -> None:
    """As one letter (NFC) or as e and an accent (NFD), as file systems and terminals make it."""
    (other,) = {"Zo\u00eb", "Zoe\u0308"} - {stored}
    command("import", "hand", "--name", stored)
    assert f"already has a run {stored!r}" in refused(command, study, "import", "hand", "--name", other)
    command("import", "hand", "--name", other, "--update")
    assert [run["name"] for run in command("status", "--json").json["imported"]] == [other]
    assert command("compare", stored, "hand", "--json").json["changed"] == {}
    assert command("import", "--remove", stored, "--json").json == []


def test_a_known_config_is_found_in_either_form_of_its_accents(search: Search, command: Command) -> None:
    space = search.folder / "space.yaml"
    space.write_text(space.read_text().replace("by hand", "Zo\u00eb"))
    trained(search)
    for called in ("Zo\u00eb", "Zoe\u0308", "ZOE\u0308"):
        assert command("compare", "1", called, "--json").json["changed"]
        confirm = "confirm", "--top", "1", "--against", called, "--trials", "1"
        assert "--trials: 1 is too few" in command(*confirm, code=2).err, "the name is not the mistake"


# -- known configs ---------------------------------------------------------------------------------


def test_a_run_becomes_a_known_config(study: Search, command: Command) -> None:
    answer = command("import", "many.csv", "--as-known", code=2)
    assert "second, later: has no bend" in answer.err and answer.out == ""
    (study.folder / "many.csv").write_text(ROWS.replace("bent", "plain"))
    answer = command("import", "many.csv", "night.csv", "--as-known", code=2)
    assert "night: has no kind" in answer.err
    (study.folder / "more.csv").write_text("name,score,x,kind\nthird,1,0.9,plain\nfourth,1,0.3,plain\n")
    more = command("import", "more.csv", "--as-known")
    assert yaml.safe_load(more.out)["known"] == [{"name": "third", "x": 0.9, "kind": "plain"}]
    assert more.err == "fourth: is the known config 'by hand', by the parameters of the study\n"
    (study.folder / "many.csv").write_text(ROWS.replace("bent", "plain").replace("0.3", "0.35"))
    answer = command("import", "many.csv", "--as-known")
    printed = yaml.safe_load(answer.out)
    assert printed == {
        "known": [
            {"name": "first", "x": 0.35, "kind": "plain"},
            {"name": "second, later", "x": 0.9, "kind": "plain"},
        ]
    }
    (line,) = answer.err.splitlines()
    assert line == "second, later: left out: it has no name for note"
    assert command("status", "--json").json["imported"] == []

    # What was printed is what space.yaml takes.
    space = study.folder / "space.yaml"
    space.write_text(space.read_text().partition("known:")[0] + answer.out)
    assert [known.name for known in load_spec(space).known] == ["first", "second, later"]


def test_the_hand_runs_become_known_configs() -> None:
    folder = SHARED / "data" / "recorded-runs" / "microsegformer_20251009_173630"
    if not folder.is_dir():
        pytest.skip("no recorded runs beside the checkout")
    entry = known_from(read_run(folder), load_spec(stock_space()).space)
    assert entry.params == {
        "model.dropout": 0.15,
        "optimizer.learning_rate": 8e-4,
        "optimizer.weight_decay": 1e-4,
        "schedule.kind": "cosine",
        "schedule.warmup_epochs": 5,
        "loss.dice_weight": 1.5,
    }
    assert "trainer.patience 20 (in the run 30)" in entry.left_out
    assert "model.kind" not in entry.left_out and "training.scheduler" not in entry.left_out
    assert "rotation" not in entry.left_out, "15 degrees there, and not with a probability of 15"
    assert "it has no name for" in entry.left_out and "loss.use_focal" in entry.left_out


def test_a_trial_of_ours_becomes_a_known_config(tmp_path: Path) -> None:
    """Every parameter is found again by the name under which a trial records it."""
    names = {
        "training": {
            "scheduler": "CosineAnnealingWarmRestarts",
            "learning_rate": 1e-3,
            "weight_decay": 1e-3,
        },
        "loss": {"dice_weight": 1.0},
        "model": {"name": "microsegformer", "dropout": 0.1},
    }
    names["training"] |= {
        "weight_decay": 1e-3,
        "warmup_epochs": 3,
        "restart_epochs": 30,
        "restart_factor": 2,
    }
    folder = record(tmp_path / "ours", yaml.safe_dump(names), history(10, 1))
    entry = known_from(read_run(folder), load_spec(stock_space()).space)
    assert entry.params["schedule.kind"] == "warm_restarts" and entry.params["schedule.restart_factor"] == 2
    assert entry.left_out == ""
    names["training"]["learning_rate"] = 1.0
    outside = record(tmp_path / "outside", yaml.safe_dump(names), history(10, 1))
    with pytest.raises(UserError, match=r"learning_rate does not fit the study: .* 1\.0 is not within"):
        known_from(read_run(outside), load_spec(stock_space()).space)


# -- what is no run --------------------------------------------------------------------------------


def changed(old: str, new: str, text: str = CURVE) -> str:
    assert old in text
    return text.replace(old, new)


FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "empty.csv": ("\n\n", ["empty.csv", "is empty"]),
    "header.csv": ("epoch,score\n", ["header.csv", "no row below"]),
    "neither.csv": ("a,score\n1,2\n", ["no column epoch", "no column name", "a, score"]),
    "both.csv": ("epoch,name,score\n1,a,2\n", ["its own file"]),
    "scoreless.csv": ("epoch,f\n1,2\n", ["no val_f_score and no score", "epoch, f"]),
    "scores.csv": ("epoch,score,val_f_score\n1,2,2\n", ["has both", "keep one"]),
    "twice.csv": (changed("lr", "score"), ["twice.csv:1", "two columns are called 'score'"]),
    "nameless.csv": (changed("lr", ""), ["nameless.csv:1", "a column has no name"]),
    "german.csv": (CURVE.replace(",", ";"), ["separate columns by commas"]),
    "ragged.csv": (changed("3,0.6,0.05", "3,0.6"), ["ragged.csv:4", "2 cells", "3 columns"]),
    "words.csv": (changed("0.6", "good"), ["words.csv:4: score is 'good', not a number"]),
    "gap.csv": (changed("3,0.6", "4,0.6"), ["gap.csv:4: epoch is '4' where 3 is due"]),
    "zero.csv": (changed("1,0.2", "0,0.2"), ["zero.csv:2: epoch is '0' where 1 is due"]),
    "nothing.csv": ("epoch,score\n1,nan\n2,\n", ["score holds no score"]),
    "quote.csv": ('epoch,score\n1,"0.2\n', ["quote.csv", "not CSV"]),
    "bytes.csv": (b"\xff\xfe\x00", ["bytes.csv", "not UTF-8 text"]),
    "infinite.csv": (changed("0.71", "inf", ROWS), ["infinite.csv:2: score is 'inf'", "remove the row"]),
    "epochs.csv": (changed("9.0,20.0", "9,-20", ROWS), ["epochs.csv:2: epochs is '-20'"]),
    "after.csv": (changed("9.0,20.0", "9,8", ROWS), ["after.csv:2: best_epoch 9 is after", "8 epochs"]),
    "number.csv": (changed("first", "17", ROWS), ["'17' is what a trial is called", "--name"]),
    "unnamed.csv": (changed("first", "", ROWS), ["is no name for a run", "--name"]),
    "slash.csv": (changed("first", "a/b", ROWS), ["'a/b' is no name"]),
    "same.csv": (changed('"second, later"', "first", ROWS), ["2 runs are called 'first'"]),
    "best.csv": (CURVE, ["'best' is what a trial is called"]),
    "by hand.csv": (CURVE, ["'by hand' is a known config of study 'toy'"]),
    "notes.txt": ("hello", ["notes.txt", "is no CSV file and no folder"]),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_run(search: Search, command: Command, name: str) -> None:
    search.create()
    content, parts = FILES[name]
    (search.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused(command, search, "import", name)
    for part in parts:
        assert part in said
    assert command("status", "--json").json["imported"] == []


def history_with(**changes: Any) -> dict[str, Any]:
    return {**history(10, 1), **changes}


FOLDERS: dict[str, tuple[str | None, str | None, list[str]]] = {
    "no config": (None, json.dumps(history_with()), ["config.yaml: no such file"]),
    "no history": (CONFIG, None, ["history.json: no such file"]),
    "cut off": (CONFIG, json.dumps(history_with())[:90], ["not JSON, or cut off"]),
    "a list": (CONFIG, "[1]", ["not lists by name"]),
    "no score": (CONFIG, '{"lr": [1]}', ["has no val_f_score"]),
    "unequal": (CONFIG, json.dumps(history_with(lr=[1])), ["lr has 1 epochs and val_f_score has 10"]),
    "text": (CONFIG, json.dumps(history_with(lr=["a"] * 10)), ["lr at epoch 1 is 'a'"]),
    "only nan": (CONFIG, '{"val_f_score": [NaN]}', ["holds no score"]),
    "name twice": (
        CONFIG,
        '{"val_f_score": [0.1], "val_f_score": [0.9]}',
        ["'val_f_score' is given twice"],
    ),
    "every second": (
        CONFIG,
        json.dumps(history_with(epoch=[1, 3, 5, 7, 9, 11, 13, 15, 17, 19])),
        ["epoch is [1, 3"],
    ),
    "with dots and nested": ("a.b: 1\na: {b: 2}\n", json.dumps(history_with()), ["'a.b' is given twice"]),
    "empty config": ("", json.dumps(history_with()), ["config.yaml: is empty"]),
    "bad yaml": ("a: [1\n", json.dumps(history_with()), ["config.yaml:2:1: not YAML"]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_that_are_no_run(search: Search, command: Command, name: str) -> None:
    search.create()
    config, columns, parts = FOLDERS[name]
    folder = search.folder / name
    folder.mkdir()
    if config is not None:
        (folder / "config.yaml").write_text(config)
    if columns is not None:
        (folder / "history.json").write_text(columns)
    said = refused(command, search, "import", name)
    for part in parts:
        assert part in said


def test_a_folder_with_percentages_is_refused(tmp_path: Path) -> None:
    folder = record(tmp_path / "hand", CONFIG, history_with(val_f_score=[0.3, 21.4] * 5))
    with pytest.raises(UserError) as refusal:
        read_paths([folder])
    place = f"{folder / 'history.json'}: val_f_score at epoch 2"
    assert str(refusal.value) == f"{place}: 21.4 is not a score from 0 to 1; divide percentages by 100"


CALLS = {
    "no path": (["import"], ["PATH", "--remove NAME"]),
    "removed, and stored": (["import", "hand", "--remove", "hand"], ["--remove", "omit paths"]),
    "a path that is not there": (["import", "nowhere"], ["nowhere: no such folder or file"]),
    "one name for two": (["import", "hand", "night.csv", "--name", "x"], ["--name 'x'", "2 runs"]),
    "a number for a name": (["import", "hand", "--name", "3"], ["'3' is what a trial is called"]),
    "known, and stored": (["import", "hand", "--as-known", "--update"], ["--as-known", "omit"]),
    "no such study": (["import", "hand", "--study", "mseg"], ["no study 'mseg'", "toy"]),
    "a setting beside that is none": (["import", "broken.csv"], ["broken.yaml", "not YAML"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_of_import_are_refused_in_one_line(study: Search, command: Command, name: str) -> None:
    (study.folder / "broken.csv").write_text(CURVE)
    (study.folder / "broken.yaml").write_text("x: [1\n")
    arguments, parts = CALLS[name]
    said = refused(command, study, *arguments)
    for part in parts:
        assert part in said


def test_a_study_that_minimizes_takes_its_own_score_only(search: Search, command: Command) -> None:
    search.create("study.direction=minimize")
    record(search.folder / "hand", CONFIG, history(10, 1))
    (search.folder / "night.csv").write_text(CURVE)
    assert "minimizes" in refused(command, search, "import", "hand")
    (stored,) = command("import", "night.csv", "--json").json
    assert (stored["best_score"], stored["best_epoch"]) == (0.2, 1)


def test_a_name_that_is_no_text(search: Search, command: Command) -> None:
    search.create()
    path = os.fsencode(search.folder) + b"/\xff.csv"
    Path(os.fsdecode(path)).write_text(CURVE)
    line = refused(command, search, "import", os.fsdecode(b"\xff.csv"))
    assert "is no name for a run" in line


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CURVE.replace("\n", "\r\n").encode() + b",,\r\n")
    (found,) = read_csv(path, vocabulary_of())
    assert found.run.scores == [0.2, None, 0.6, 0.5] and found.run.name == "a"
