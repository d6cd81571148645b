"""The table of real trainings: stopped, wiped, continued from the table alone; what is committed of it."""

import json
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import real_faces
from real_faces import Column
from service import PATIENCE, TESTS
from toy import score

from search.errors import UserError
from search.spec.spec import Spec, load_spec, stock_space
from search.study.open import find_study
from search.study.read import read_records

DOCUMENT = """\
objective: toy
study: {sampler: {kind: random}, pruner: {kind: none}}
space:
  x: {low: 0.0, high: 1.0}
  data: {image_size: 0}
  epochs: 2
  seconds: 0.3
known:
  - {name: one, x: 0.1}
  - {name: two, x: 0.2}
  - {name: three, x: 0.3}
"""
COLUMNS = (Column(64, 1), Column(64, 2))
CELLS = [(name, *column) for column in COLUMNS for name in ("one", "two", "three")]


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("SEARCH_TOY_LOG", str(tmp_path))
    monkeypatch.setattr(real_faces, "COLUMNS", COLUMNS)
    monkeypatch.setattr(real_faces, "commit", lambda: "abc")
    monkeypatch.setattr(real_faces, "stay_in_the_background", lambda: None)  # a process cannot come back
    path = tmp_path / "space.yaml"
    path.write_text(DOCUMENT)
    return path


def complete(state: Path) -> int:
    if not (state / "search.db").exists():
        return 0
    study = find_study(real_faces.storage(state), COLUMNS[0].study, read_only=True)
    if study is None:
        return 0
    try:
        return sum(record.state == "complete" for record in read_records(study))
    finally:
        study.engine.dispose()


def signal_after_one(state: Path) -> None:
    """Sends this process SIGTERM once a training is complete."""
    end = time.monotonic() + PATIENCE
    while not complete(state) and time.monotonic() < end:
        time.sleep(0.02)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def test_stopped_and_wiped_it_continues_from_the_table_with_every_training_exactly_once(
    space: Path, tmp_path: Path
) -> None:
    state, table = tmp_path / "state", tmp_path / "table.jsonl"
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)  # should it come between studies
    try:
        stopper = threading.Thread(target=signal_after_one, args=(state,))
        stopper.start()
        # -15: a slow machine was late, and the next study's command did not handle signals yet.
        assert real_faces.run(state, None, space, table) in (143, -signal.SIGTERM)
        stopper.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    exported = real_faces.export(state, space, table)
    assert 1 <= exported < len(CELLS)
    assert real_faces.export(state, space, table) == 0
    first = real_faces.read_table(table)

    shutil.rmtree(state)
    assert real_faces.run(state, None, space, table) == 0
    trained = [json.loads(path.read_text()) for path in state.glob("*.json")]
    assert sum(len(document["known"]) for document in trained) == len(CELLS) - exported
    real_faces.export(state, space, table)

    rows = real_faces.read_table(table)
    assert [(row["config"], row["size"], row["seed"]) for row in rows] == CELLS
    assert [row for row in rows if row in first] == first
    for row in rows:
        assert row["scores"] == [round(score(row["params"], epoch), 6) for epoch in (1, 2)]

    shutil.rmtree(state)
    assert real_faces.run(state, None, space, table) == 0
    assert not list(state.glob("*.json")), "nothing is missing, so nothing is trained"


def test_a_size_and_a_seed_of_the_table_are_those_of_its_trainings(space: Path, tmp_path: Path) -> None:
    row = {"config": "two", "size": 96, "seed": 2}
    others = [{"config": "one", "size": 96, "seed": 1}, {"config": "one", "size": 64, "seed": 2}]
    document = real_faces.document_for(Column(96, 2), space, [row, *others])
    spec = Spec.from_document(document, origin="document")
    assert spec.space.constants["data.image_size"] == 96
    assert spec.study.sampler.seed == 2
    assert [known.name for known in spec.known] == ["one", "three"]
    assert spec.study.trials == 2


def test_a_state_folder_does_not_go_on_with_another_commit(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_faces.note_commit(tmp_path)
    real_faces.note_commit(tmp_path)
    monkeypatch.setattr(real_faces, "commit", lambda: "def")
    with pytest.raises(UserError, match="is of commit abc, not def"):
        real_faces.note_commit(tmp_path)


def test_the_60_configs_are_of_the_space_of_space_yaml_with_its_four_known_ones() -> None:
    ours, stock = load_spec(real_faces.SPACE), load_spec(stock_space())
    assert ours.space.by_name.keys() == stock.space.by_name.keys()
    assert len(ours.known) == ours.study.trials == 60
    assert [known.name[:2] for known in ours.known[:4]] == [known.name[:2] for known in stock.known[:4]]
    for name in ("optimizer.learning_rate", "optimizer.weight_decay", "model.dropout", "loss.dice_weight"):
        assert ours.space.by_name[name] == stock.space.by_name[name]
        assert [k.params[name] for k in ours.known[:4]] == [k.params[name] for k in stock.known[:4]]


def test_the_committed_table_has_each_training_once_and_whole_under_its_own_config() -> None:
    spec = load_spec(real_faces.SPACE)
    params = {known.name: known.params for known in spec.known}
    rows = real_faces.read_table(real_faces.TABLE)
    if not rows:
        pytest.skip("the table is empty")
    cells = Counter((row["config"], row["size"], row["seed"]) for row in rows)
    assert set(cells.values()) == {1}
    assert {Column(size, seed) for _, size, seed in cells} <= set(real_faces.COLUMNS)
    for row in rows:
        assert row["params"] == params[row["config"]]
        whole = len(row["scores"]) == spec.space.constants["trainer.epochs"]
        assert whole or row["scores"][-1] is None, "only one that diverged may end early"
