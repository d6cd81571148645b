"""Studies of commit 13896dc, whose tables had no version: shown, resumed, confirmed. See tests/data/v1."""

import json
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from old_databases import V1, copy_of_v1, v1_url

from search.study.open import open_study
from search.study.read import read_records, read_snapshot

SENTENCE = 4  # words from which on a string is a sentence, whose wording may change
NAMES = (".known", ".name")  # of configs, which may have as many words
# From Python 3.12 on, sum() rounds floats once and not at each step.
ROUNDING = 1e-9 if sys.version_info >= (3, 12) else 0.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old database and its folders, as working directory and in the environment."""
    copy = copy_of_v1(tmp_path)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("SEARCH_STORAGE", "sqlite:///search.db")
    monkeypatch.setenv("SEARCH_RUNS", "runs")
    monkeypatch.setenv("SEARCH_GPUS", "none")
    return copy


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[[str], Any]:
    """Runs a command in this process and returns the JSON that it prints."""
    from search.cli.app import main

    def call(arguments: str) -> Any:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(arguments))
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return json.loads(out) if "--json" in arguments else out

    return call


def differences(old: Any, new: Any, path: str = "$") -> Iterator[str]:
    """Paths at which two JSON values differ, except in the wording of sentences. Keys may be added."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from (f"{path}.{key} is missing" for key in old.keys() - new.keys())
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif isinstance(old, str) and isinstance(new, str) and not path.endswith(NAMES):
        if old != new and min(len(old.split()), len(new.split())) < SENTENCE:
            yield f"{path}: {old!r} -> {new!r}"
    elif isinstance(old, float) and isinstance(new, float):
        if not math.isclose(old, new, rel_tol=ROUNDING, abs_tol=ROUNDING):
            yield f"{path}: {old!r} -> {new!r}"
    elif type(old) is not type(new) or old != new:
        yield f"{path}: {old!r} -> {new!r}"


def lines(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (V1 / name).read_text().splitlines()]


def is_volatile(name: str, difference: str) -> bool:
    """Whether the command measures this value anew. A pattern's `[*]` is any index, its `*` any key."""
    for command, pattern in lines("volatile.txt"):
        expression = re.escape(pattern).replace(r"\[\*\]", r"\[\d+\]").replace(r"\*", r"[^.\[:]+")
        if command == name and re.match(rf"{expression}(?![^.\[:])", difference):
            return True
    return False


def is_redefined(name: str, difference: str) -> bool:
    """Whether a probability has another definition since then: see the file."""
    for command, pattern, _ in lines("redefined.txt"):
        expression = re.escape(pattern).replace(r"\[\*\]", r"\[\d+\]")
        values = re.fullmatch(rf"{expression}: (0\.\d+) -> (0\.\d+)", difference)
        if command == name and values:
            return True
    return False


def test_every_command_prints_what_it_printed(
    folder: Path, run: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one test, since later commands see what earlier ones have imported and read.

    Figures, on which nothing that is printed depends, stay blank after those of the first large report.
    """
    found = []
    for name, arguments in lines("commands.txt"):
        stored = json.loads((V1 / "json" / f"{name}.json").read_text())
        if name == "report-faces-against":
            monkeypatch.setattr(FigureCanvasAgg, "draw", FigureCanvasAgg.get_renderer)
        found += [
            f"{name} {each}"
            for each in differences(stored, run(arguments))
            if not is_volatile(name, each) and not is_redefined(name, each)
        ]
    assert found == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_search_resumes_and_ends_with_its_budget(
    kind: str,
    folder: Path,
    run: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    server = request.getfixturevalue("empty_postgres_url") if kind == "postgresql" else None
    url = v1_url(kind, folder, server)
    monkeypatch.setenv("SEARCH_STORAGE", url)
    monkeypatch.setenv("SEARCH_RUNS", "runs" if kind == "sqlite" else "runs-postgres")
    monkeypatch.setenv("SEARCH_LEASE_SECONDS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    monkeypatch.setenv("SEARCH_TOY_LOG", str(folder))
    study = open_study(url, "toy", read_only=True)
    before = {record.number: record for record in read_records(study)}
    study.engine.dispose()
    assert before[3].state == "running" and before[3].epochs == 2
    run("start --study toy --workers 1")
    study = open_study(url, "toy", read_only=True)
    after, budget = read_records(study), read_snapshot(study).budget
    study.engine.dispose()
    assert (budget.claimed, budget.complete, budget.running) == (6, 6, 0)
    orphan = after[3]
    assert (orphan.attempts, orphan.params) == (2, before[3].params)
    assert orphan.curve[:2] == before[3].curve[:2] and len(orphan.curve) == 4
    trained = [line.split()[:2] for line in (folder / "epochs.log").read_text().splitlines()]
    assert ["trial-0003", "2"] not in trained, "it goes on from its checkpoint"
    for number in range(3):
        assert after[number].curve == before[number].curve and after[number].value == before[number].value


def test_a_study_is_confirmed_by_a_new_race(
    folder: Path, run: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    answer = run("confirm --study toy --top 1 --seeds 2 --as toy-again --workers 1 --json")
    assert answer["study"] == "toy-again"
    study = open_study("sqlite:///search.db", "toy-again", read_only=True)
    assert {record.state for record in read_records(study)} == {"complete"}
    study.engine.dispose()
