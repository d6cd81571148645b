"""A trial's page, read back through Optuna and optuna-dashboard."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import optuna
import pytest
import toy
from optuna.artifacts import get_all_artifact_meta
from optuna_dashboard import get_note
from service import STUDY, Search

from search.objective import EpochResult
from search.render import curve_svg, markdown
from search.report.collect import collect_report_data
from search.report.publication import publish
from search.report.writer import write_report
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.study.read import read_records
from search.study.study import Study
from search.study.trial_images import trial_images
from search.worker.checkpoint_sync import DEFAULT
from search.worker.cleanup import KEPT
from search.worker.worker import Worker
from storage import pages
from storage.artifacts import open_store
from storage.pages import NOTE_PART, Page


class Scripted:
    """Trains curves, one after the other; leaves the files that search.mseg leaves."""

    def __init__(self, *curves: list[float]) -> None:
        self.curves = iter(curves)

    describe = staticmethod(toy.describe)

    def train(self, config: Any, run: Any) -> Any:
        scores = next(self.curves)
        for name in ("best.safetensors", "config.yaml", "history.json", "last.pt", "overlay.png"):
            (run.dir / name).write_text(f"{name} of {run.dir.name}")
        for epoch, score in enumerate(scores, 1):
            images = {"a.png": score - 0.1, "b.png": score + 0.1}
            yield EpochResult(epoch=epoch, epochs=len(scores), score=score, images=images)


def run(search: Search, *curves: list[float], place: str | None = None) -> Study:
    """The study after trials with these curves."""
    study = search.create(trials=len(curves))
    trainer = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")], artifacts=place)
    trainer.objective = Scripted(*curves)
    assert trainer.run(Interrupt()) == 0
    return open_study(search.url, STUDY)  # as Optuna has it now: it keeps finished trials in memory


def shown(study: Study, number: int) -> tuple[str, dict[str, str]]:
    """The note of a trial as the dashboard has it, and the ids of its artifacts by file name."""
    trial = study.optuna.get_trials()[number]
    live = optuna.trial.Trial(study.optuna, trial._trial_id)
    metas = get_all_artifact_meta(trial, storage=study.optuna._storage)
    return get_note(live), {meta.filename: meta.artifact_id for meta in metas}


def test_scores_by_image_of_the_best_epoch_reach_other_machines_through_the_store(
    search: Search, tmp_path: Path
) -> None:
    place = str(tmp_path / "store")
    study = run(search, [0.1, 0.3, 0.2], place=place)
    kept = {"a.png": 0.2, "b.png": 0.4}
    assert trial_images(study, 0, (2, 0.3), tmp_path / "elsewhere", place) == kept
    assert trial_images(study, 0, (2, 0.3), search.folder / "runs") == kept
    assert trial_images(study, 0, (2, 0.31), search.folder / "runs", place) == {}, (
        "of another study's trial"
    )
    (search.folder / "runs" / STUDY / "trial-0000" / "images.json").write_text('{"epoch": 2, "ima')
    assert trial_images(study, 0, (2, 0.3), search.folder / "runs") == {}


def test_a_page_of_the_dashboard_has_note_curve_and_files(search_on_each: Search) -> None:
    """On one machine, with nothing asked for."""
    study = run(search_on_each, [0.1, 0.3, 0.2], [0.4, math.nan], [])
    note, files = shown(study, 0)
    assert note.startswith("**Complete** after 3 of 3 epochs\n\nBest epoch: 0.3000 at 2")
    assert "A known config: by hand." in note
    assert set(files) == {"curve.svg", "overlay.png", "history.json", "config.yaml", "images.json"}
    for name in ("curve.svg", "overlay.png"):
        trial_id = study.optuna.get_trials()[0]._trial_id
        assert f"![{name}](/artifacts/{study.id}/{trial_id}/{files[name]})" in note
    store = open_store(str(search_on_each.folder / "runs" / DEFAULT))
    with store.open_reader(files["config.yaml"]) as reader:
        assert reader.read() == b"config.yaml of trial-0000"
    note, files = shown(study, 1)
    assert note.startswith("**Pruned** after 1 of 2 epochs: the score became nan\n\n")
    note, files = shown(study, 2)
    assert note.startswith("**Failed** after 0 epochs: the objective returned without")
    assert "curve.svg" not in files


def test_a_long_note_is_whole(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "".join(f"{word} " for word in range(NOTE_PART))
    monkeypatch.setattr("search.worker.trial_page.note", lambda *_: long)
    assert shown(run(search, [0.1]), 0)[0] == long


def test_weights_of_the_best_stay_in_a_shared_store(search: Search, tmp_path: Path) -> None:
    place = tmp_path / "store"
    scores = [0.1 * number for number in range(KEPT + 3)]
    study = run(search, *([score] for score in scores), place=str(place))
    having = {number for number in range(len(scores)) if "best.safetensors" in shown(study, number)[1]}
    assert having == {0, *range(3, len(scores))}  # the known one, and the best five
    listed = {key for number in range(len(scores)) for key in shown(study, number)[1].values()}
    assert {path.name for path in place.iterdir()} == listed


def test_a_store_that_is_away_leaves_the_note(search: Search, tmp_path: Path) -> None:
    place = tmp_path / "store"
    study = search.create(trials=1)
    trainer = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")], artifacts=str(place))
    place.rmdir()
    assert trainer.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert record.state == "complete"
    note, files = shown(study, 0)
    assert note.startswith("**Complete**") and "![" not in note and files == {}


def test_a_curve_that_cannot_be_drawn_costs_no_trial(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_svg, "draw", lambda *_: math.log(0))
    study = run(search, [0.1, 0.2])
    note, files = shown(study, 0)
    assert note.startswith("**Complete**") and files == {}


@pytest.mark.usefixtures("blank_figures")
def test_the_page_of_a_study_is_its_last_report(search_on_each: Search) -> None:
    study = run(search_on_each, [0.1, 0.3, 0.2], [0.4, 0.5, 0.6])
    runs = search_on_each.folder / "runs"
    written = write_report(collect_report_data(study, runs), search_on_each.runs / "report")
    store = open_store(str(runs / DEFAULT))
    for title in ("the first", "the second"):
        written.paths[-1].write_text(title)
        document = replace(written.document, title=title, lead=written.document.lead * 3)
        publish(study, replace(written, document=document), str(runs / DEFAULT))
        noted = optuna.load_study(study_name=STUDY, storage=study.optuna._storage)
        metas = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(noted)}
        names = {figure.path.name for figure in document.figures}
        assert set(metas) == {"report.html", *names}
        note = get_note(noted)
        for name in names:
            note = note.replace(f"](/artifacts/{study.id}/{metas[name]})", f"](figures/{name})")
        assert note == markdown.render(document, gap=markdown.NOTE_GAP) and len(note) > NOTE_PART
        with store.open_reader(metas["report.html"]) as reader:
            assert reader.read() == written.paths[-1].read_bytes()
    assert shown(study, 0)[0].startswith("**Complete**"), "a trial's page stays"


def test_of_two_answers_the_one_that_knows_more_stays(search_on_each: Search) -> None:
    study = search_on_each.create()
    begin = threading.Barrier(4)

    def write(ended: int) -> None:
        begin.wait()
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, Page(f"{ended} " * NOTE_PART), ended)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, [3, 9, 7, 5]))
    with study.engine.begin() as connection:
        pages.write_study(connection, study.id, Page("older"), 8)
    assert get_note(open_study(search_on_each.url, STUDY).optuna) == "9 " * NOTE_PART


@pytest.mark.parametrize(
    "scores",
    [{1: 0.5}, {1: 0.1, 2: 0.1}, {3: -5.0, 5: 4e6}, {epoch: 1 / epoch for epoch in range(1, 301)}],
)
def test_a_curve_can_be_drawn(scores: dict[int, float]) -> None:
    drawn = ElementTree.fromstring(curve_svg.draw(scores, 5, max(scores), "F < 1 & more"))
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [len(scores)] * 2
    for line in lines:
        for x, y in (map(float, point.split(",")) for point in line.attrib["points"].split()):
            assert 0 <= x <= curve_svg.WIDTH and 0 <= y <= curve_svg.HEIGHT


def test_ticks_enclose_and_are_round() -> None:
    assert curve_svg.nice_ticks(0.12, 0.71) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert curve_svg.nice_ticks(0.5, 0.5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert curve_svg.nice_ticks(-3, 40) == [-10.0, 0.0, 10.0, 20.0, 30.0, 40.0]
