"""`search report --final`: what the test split gives, and that every read of it is counted."""

import hashlib
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import sqlalchemy
import torch
from old_databases import forget_versions
from PIL import Image
from scipy.stats import t
from service import DOCUMENT, PATIENCE, Answer, Search
from service import STUDY as STUDY_NAME

from search.analysis.split_scores import SplitScores
from search.errors import DataError
from search.mseg import configure, describe, describe_test, score_test, test_split
from search.mseg.checkpoint import settle_weights, write_weights
from search.mseg.data import drawn, drawn_faces, sources
from search.mseg.data.celebamask import CLASSES
from search.mseg.data.drawn import MOST_DRAWN
from search.mseg.data.sources import load, source
from search.mseg.learner import LOGITS, predictor
from search.objective import WEIGHTS
from search.render import markdown
from search.render.document import Document
from search.report.collect import collect_report_data
from search.report.report_data import ReportData
from search.report.score_test_split import score_test_split
from search.report.sections.test_split import test_split as split_section
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import find_study
from search.worker.worker import Worker
from storage import test_reads as stored
from storage.artifacts import open_store
from storage.engine import connect
from storage.pages import Artifact
from storage.schema import prepare
from storage.studies import token

Command = Callable[..., Answer]

STUDY = DOCUMENT.replace("objective: toy", "objective: tested").replace("x: 0.3, kind", "x: 0.9, kind")
MSEG = """\
objective: search.mseg
study: {trials: 1, smooth: 1, sampler: {kind: random, seed: 7}, pruner: {kind: none}}
space:
  data: {source: drawn, drawn_images: 20, image_size: 32, eval_size: train}
  model: {width_1: 8, width_2: 8, width_3: 8, width_4: 8, decoder_width: 8}
  optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}
  schedule: {warmup_epochs: 0}
  trainer: {epochs: 1, batch_size: 4, patience: null}
known:
  - {name: by hand, optimizer.learning_rate: 1.0e-4}
"""
LABELS = [0.1, 0.35, 0.3, 0.8, 0.25, 0.5]


def trained(search: Search, trials: int = 4) -> Search:
    """The study after its trials, with labels in `data`."""
    study = search.create(trials=trials)
    worker = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    assert worker.run(Interrupt()) == 0
    study.engine.dispose()
    (search.folder / "data").mkdir()
    label(search, LABELS)
    return search


def label(search: Search, labels: list[float]) -> None:
    (search.folder / "data" / "labels.json").write_text(json.dumps(labels))


def readers(search: Search) -> int:
    """How often labels were read to score, by the objective's own log."""
    log = search.folder / "data" / "reads.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def rows(search: Search) -> list[stored.ReadRow]:
    study = search.study()
    assert study is not None
    try:
        return stored.reads(study.engine, study.id)
    finally:
        study.engine.dispose()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Search:
    folder = tmp_path_factory.mktemp("finished")
    return trained(Search(folder / "work", f"sqlite:///{folder / 'study.db'}", STUDY))


@pytest.fixture
def copied(finished: Search, tmp_path: Path) -> Search:
    """A copy of it in which nothing was read."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    with (
        closing(sqlite3.connect(finished.folder.with_name("study.db"))) as source,
        closing(sqlite3.connect(tmp_path / "study.db")) as target,
    ):
        source.backup(target)
    return Search(tmp_path / "copy", f"sqlite:///{tmp_path / 'study.db'}", STUDY)


@pytest.fixture
def report(command: Command, copied: Search, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `search report --json` on the copy, in this process."""
    monkeypatch.setenv("SEARCH_STORAGE", copied.url)
    monkeypatch.chdir(copied.folder)
    return lambda *arguments, code=0: command("report", "--json", *arguments, code=code)


FINAL = ("--final", "--data", "data")


def final(search: Search, against: str | None = None) -> ReportData:
    """What `search report --final` has to report, without its figures."""
    study = find_study(search.url, STUDY_NAME)
    assert study is not None
    try:
        material = collect_report_data(study, search.folder / "runs", against)
        trials = [trial for _, trial in material.roles]
        score_test_split(study, trials, search.folder / "data", Device("cpu", "cpu"), None)
        return collect_report_data(study, search.folder / "runs", against)
    finally:
        study.engine.dispose()


def read_of(material: ReportData) -> SplitScores:
    assert material.test is not None
    return material.test


def said(material: ReportData) -> str:
    return markdown.render(Document("", list(split_section(material))))


def by_hand(search: Search, *numbers: int) -> list[np.ndarray]:
    """What trials score on each label, without the objective."""
    records = search.records()
    return [1 - np.abs(records[number].params["x"] - np.array(LABELS)) for number in numbers]


def interval(values: np.ndarray) -> dict[str, Any]:
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    low, high = t.interval(0.95, len(values) - 1, mean, error)
    return {"value": pytest.approx(mean), "low": pytest.approx(low), "high": pytest.approx(high)}


def one_line(answer: Answer) -> str:
    (line,) = answer.err.splitlines()
    assert answer.out == ""
    return line


def started(search: Search) -> BaseProcess:
    """A process of its own that reads the test split."""
    process = get_context("fork").Process(target=final, args=(search,))
    process.start()
    return process


# -- what it says ----------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_images(report: Command, copied: Search) -> None:
    """And a later report, without the data, says the same."""
    answer = report(*FINAL)
    found, number = answer.json["test"], answer.json["best"]["number"]
    assert number != 0 == answer.json["baseline"]["number"]
    best, baseline = by_hand(copied, number, 0)
    assert found["best"] == found["best"] | {"number": number, **interval(best)}
    assert found["baseline"] == found["baseline"] | {"number": 0, **interval(baseline)}
    assert found["difference"] == interval(best - baseline)
    assert found["images"] == len(LABELS) and found["times_read"] == 1
    assert found["best"]["per_class"] == {"low": best[0], "high": best[-1]}
    text = Path(answer.json["markdown"]).read_text()
    low, high = (found["difference"][end] for end in ("low", "high"))
    difference = f"that is {(best - baseline).mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
    assert "## On the test split" in text
    assert text.count(difference) == 2, "in short, and in its section"
    assert f"`{found['best']['weights'][:12]}`" in text
    assert "The test split has been read once for this study (first 20" in text
    assert "has been read once" in answer.err and "scoring trial 0 on 6 test images" in answer.err
    shutil.rmtree(copied.folder / "data")
    later = report()
    assert later.json == answer.json and Path(later.json["markdown"]).read_text() == text
    assert later.err == ""


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        (lambda best: LABELS, "these images do not tell the two apart"),
        (lambda best: [best, best + 0.01, best - 0.02], "its weights are better on images like these"),
        (lambda best: [0.9, 0.91, 0.92], "its weights are worse on images like these"),
    ],
)
def test_a_verdict_has_its_test(
    copied: Search, labels: Callable[[float], list[float]], verdict: str
) -> None:
    best = max(copied.records(), key=lambda record: record.value or 0.0)
    label(copied, labels(best.params["x"]))
    assert verdict in said(final(copied))


def test_one_image_has_no_interval(copied: Search) -> None:
    label(copied, [0.3])
    material = final(copied)
    difference = read_of(material).difference
    assert difference is not None and (difference.low, difference.high) == (None, None)
    assert "None" not in said(material) and "interval +" not in said(material)


# -- what is counted -------------------------------------------------------------------------------


def test_the_same_weights_and_labels_are_read_once(
    copied: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    first = read_of(final(copied))
    assert readers(copied) == 2
    capsys.readouterr()
    assert read_of(final(copied)) == first and readers(copied) == 2
    assert "no new read" in capsys.readouterr().err


def test_other_weights_and_other_labels_count(copied: Search) -> None:
    best = final(copied).best.record.number
    material = final(copied, "2")
    assert readers(copied) == 3, "the best was scored before"
    assert [read.trials for read in read_of(material).reads] == [[0, best], [2]]
    counted = read_of(material).count_sentence()
    assert "has been read 2 times for this study (first 20" in counted
    assert "A number chosen among 2 reads is no longer a test." in counted
    assert counted in said(material)
    beside = replace(read_of(material), elsewhere=2).count_sentence()
    assert ", and 2 times for other studies of this database." in beside and "among 4 reads" in beside
    assert "tell the two apart" not in said(material) and "images like these" not in said(material)
    label(copied, [*LABELS, 0.4])
    found = read_of(final(copied))
    assert readers(copied) == 5 and len(found.reads) == 3
    assert found.images == 7 and found.baseline is not None and found.baseline.trial == 0


def test_a_read_counts_that_was_killed_when_it_knew_the_scores(copied: Search) -> None:
    (copied.folder / "data" / "die").touch()
    process = started(copied)
    process.join(PATIENCE)
    assert process.exitcode == 9
    (row,) = rows(copied)
    assert row.results is None and row.ended_at is None
    (copied.folder / "data" / "die").unlink()
    study = copied.study()
    assert study is not None
    left = collect_report_data(study, copied.folder / "runs")
    assert read_of(left).best is None and "was not scored" in said(left)
    after = final(copied)
    assert len(read_of(after).reads) == 2 and read_of(after).best is not None
    assert "read 2 times" in said(after) and "| left no result |" in said(after)


def test_a_read_counts_before_it_is_shown(
    report: Command, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("search.report.writer.in_short", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            report(*FINAL)
    (row,) = rows(copied)
    assert row.results is not None and row.ended_at is not None and row.ended_at >= row.begun_at
    assert len(read_of(final(copied)).reads) == 1 and readers(copied) == 2


def test_two_at_once_both_count(search_on_each: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    search = search_on_each
    monkeypatch.chdir(search.folder)
    (search.folder / "space.yaml").write_text(STUDY)
    trained(search, trials=2)
    (search.folder / "data" / "wait").touch()
    both = [started(search) for _ in range(2)]
    search.wait(lambda: len(rows(search)) == 2)
    (search.folder / "data" / "wait").unlink()
    for process in both:
        process.join(PATIENCE)
        assert process.exitcode == 0
    first, second = rows(search)
    assert (first.number, second.number) == (1, 2)
    assert first.results == second.results is not None
    assert "read 2 times" in read_of(final(search)).count_sentence()


def test_each_read_gets_a_number_of_its_own(url: str) -> None:
    search_id = 1
    prepare(url)
    engine = connect(url)
    with engine.begin() as connection:
        for query in (
            "INSERT INTO studies (study_id, study_name) VALUES (1, 'one')",
            "INSERT INTO search_studies "
            "(study_id, token, document, fingerprint, trials, beat_at, resumed_at) "
            "VALUES (1, 't', '{}', '{}', 1, 0, 0)",
        ):
            connection.exec_driver_sql(query)

    def read(index: int) -> int:
        mine = connect(url)
        try:
            return stored.begin(mine, search_id, "split", "host", {"index": index})
        finally:
            mine.dispose()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(read, range(8))) == list(range(1, 9))
    assert [row.number for row in stored.reads(engine, search_id)] == list(range(1, 9))
    assert stored.reads_by_others(engine, 2, "split") == 8
    engine.dispose()


def test_nothing_else_in_the_study_changes(copied: Search) -> None:
    def content() -> dict[str, list[Any]]:
        engine = connect(copied.url, read_only=True)
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(engine).get_table_names())
            tables -= {"search_test_reads", "study_system_attributes"}  # the note is the report
            found = {
                table: connection.exec_driver_sql(f"SELECT * FROM {table}").all()
                for table in sorted(tables)
            }
        engine.dispose()
        return found

    before, files = content(), sorted(copied.runs.glob("trial-*/*"))
    times = [path.stat().st_mtime_ns for path in files]
    final(copied)
    assert content() == before and len(before["trials"]) == 4
    assert sorted(copied.runs.glob("trial-*/*")) == files
    assert [path.stat().st_mtime_ns for path in files] == times


def test_what_is_stored_names_no_file(copied: Search) -> None:
    final(copied)
    (row,) = rows(copied)
    stored_text = json.dumps([row.document, row.results])
    assert "labels.json" not in stored_text and "/" not in stored_text.replace("\\/", "/")


def test_a_database_of_an_older_version(copied: Search) -> None:
    forget_versions(copied.url, "search_test_reads")
    study = copied.study()
    assert study is not None
    before = collect_report_data(study, copied.folder / "runs")
    assert before.test is None and said(before).strip() == "#"
    assert len(read_of(final(copied)).reads) == 1


# -- what is refused, and not counted --------------------------------------------------------------


def test_an_objective_without_a_test(command: Command, search: Search) -> None:
    study = search.create(trials=1)
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    line = one_line(command("report", *FINAL, code=2))
    assert "objective 'toy' scores no test split: it has no describe_test and score_test" in line
    assert rows(search) == []


def test_final_without_labels_is_refused_and_counts_no_read(report: Command, copied: Search) -> None:
    (copied.folder / "data" / "labels.json").unlink()
    assert "no labels.json" in one_line(report(*FINAL, code=2))
    assert "--trial: draws one trial" in one_line(report("--trial", "1", *FINAL, code=2))
    assert rows(copied) == [] and not (copied.runs / "report").exists()


def test_weights_that_lie_on_another_machine_are_asked_for(
    report: Command, copied: Search, tmp_path: Path
) -> None:
    number = max(copied.records(), key=lambda record: record.value or 0.0).number
    path = copied.runs / f"trial-{number:04d}" / WEIGHTS
    weights = path.read_bytes()
    path.unlink()
    line = one_line(report(*FINAL, code=2))
    assert f"trial {number} has no weights here" in line and "--artifacts" in line
    place = str(tmp_path / "store")
    empty = one_line(report(*FINAL, "--artifacts", place, code=2))
    assert f"trial {number} has no weights here" in empty and rows(copied) == []
    study = copied.study()
    assert study is not None
    artifact = Artifact.of(token(connect(copied.url), study.id), number, WEIGHTS)
    open_store(place).write(artifact.id, io.BytesIO(weights))
    found = report(*FINAL, "--artifacts", place).json["test"]["best"]
    assert found["weights"] == hashlib.sha256(weights).hexdigest()


def test_weights_of_another_study_are_refused(report: Command, copied: Search) -> None:
    """A folder whose scores are not the trial's is another trial's, and so are its weights."""
    number = max(copied.records(), key=lambda record: record.value or 0.0).number
    folder = copied.runs / f"trial-{number:04d}"
    (folder / "config.yaml").write_text("model: {name: other}\n")
    (folder / "history.json").write_text(json.dumps({"val_f_score": [0.1, 0.2, 0.3, 0.4]}))
    assert f"the weights beside it are not trial {number}'s" in one_line(report(*FINAL, code=2))
    assert rows(copied) == []


def test_scores_that_are_not_finite_are_an_error(
    report: Command, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tested.score", lambda x, label: float("nan"))
    answer = report(*FINAL, code=1)
    assert "score_test gave 6 scores for 6 images, or some that are not finite" in answer.err
    (row,) = rows(copied)
    assert row.results is None


# -- the stock objective ---------------------------------------------------------------------------

SIDE, COUNT = 32, 6
PARAMS = {"data.image_size": SIDE, "data.eval_size": "native", "trainer.batch_size": 2}
SMALL = configure(PARAMS)
DRAWN = configure({**PARAMS, "data.source": "drawn", "data.drawn_images": 10})


def write(part: Path, numbers: range) -> None:
    for kind in ("images", "masks"):
        (part / kind).mkdir(parents=True)
    images, masks = drawn_faces.draw(len(numbers), 2 * SIDE, 0, first=numbers.start)
    for number, image, mask in zip(numbers, images, masks, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(part / "images" / f"{number:03d}.png")
        Image.fromarray(mask).save(part / "masks" / f"{number:03d}.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "train", range(10))
    write(tmp_path / "data" / "test", range(20, 20 + COUNT))
    return tmp_path / "data"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a model that was not trained, but for the bias of its last layer."""
    torch.manual_seed(0)
    write_weights(tmp_path, predictor(SMALL, len(CLASSES), torch.device("cpu")).model.state_dict(), {})
    settle_weights(tmp_path, best=True)
    return tmp_path / WEIGHTS


@torch.inference_mode()
def reference(weights: Path, root: Path) -> tuple[list[float], dict[str, list[float]]]:
    """Scores by image and by class with plain NumPy, one image at a time."""
    model = predictor(SMALL, len(CLASSES), torch.device("cpu")).model.eval()
    model.load_state_dict(safetensors.torch.load_file(weights))
    scores, by_class = [], {}
    for path in sorted((root / "test" / "images").iterdir()):
        image = Image.open(path).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        truth = np.asarray(Image.open(root / "test" / "masks" / path.name))
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).float() / 255
        predicted = model(pixels[None], size=truth.shape)[0].argmax(0).numpy()
        fs = []
        for number in np.unique(truth):
            hit = np.sum((predicted == number) & (truth == number))
            precision = hit / (np.sum(predicted == number) + 1e-7)
            recall = hit / (np.sum(truth == number) + 1e-7)
            fs.append(2 * precision * recall / (precision + recall + 1e-7))
            by_class.setdefault(CLASSES[number], []).append(fs[-1])
        scores.append(np.mean(fs))
    return scores, by_class


def test_scores_are_the_metric_whatever_the_batch(
    root: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, by_class = reference(weights, root)
    assert min(scores) < max(scores)
    for at_once, logits in ((64, 2**20), (4, 1)):
        monkeypatch.setattr(test_split, "AT_ONCE", at_once)
        monkeypatch.setitem(LOGITS, "cpu", logits)
        found = score_test(SMALL, weights, root, "cpu")
        np.testing.assert_allclose(found.scores, scores, atol=1e-7)
        assert {name: count for name, (_, count) in found.per_class.items()} == {
            name: len(fs) for name, fs in by_class.items()
        }
        for name, (mean, _) in found.per_class.items():
            assert mean == pytest.approx(np.mean(by_class[name]), abs=1e-7)


def test_in_a_study_by_mean_iou_an_image_is_scored_by_its_own(root: Path, weights: Path) -> None:
    model = predictor(SMALL, len(CLASSES), torch.device("cpu")).model.eval()
    model.load_state_dict(safetensors.torch.load_file(weights))
    scores = []
    for path in sorted((root / "test" / "images").iterdir()):
        image = Image.open(path).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        truth = np.asarray(Image.open(root / "test" / "masks" / path.name))
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).float() / 255
        with torch.inference_mode():
            found = model(pixels[None], size=truth.shape)[0].argmax(0).numpy()
        scores.append(
            np.mean(
                [
                    np.sum((found == c) & (truth == c)) / np.sum((found == c) | (truth == c))
                    for c in np.union1d(found, truth)
                ]
            )
        )
    np.testing.assert_allclose(
        score_test(SMALL, weights, root, "cpu", "val_miou").scores, scores, atol=1e-7
    )


def test_a_test_split_changes_nothing_else(root: Path) -> None:
    """Not even where its masks are no masks: nothing looks at it."""
    for path in (root / "test" / "masks").iterdir():
        path.write_text("no mask")
    with_it, names = describe(SMALL, root), load(SMALL.data, root).train.names
    shutil.rmtree(root / "test")
    sources._load.cache_clear()
    assert describe(SMALL, root) == with_it and load(SMALL.data, root).train.names == names


def test_its_fingerprint_is_of_images_and_labels(root: Path) -> None:
    before = describe_test(SMALL, root)
    assert before.images == COUNT and before.problems == []
    mask = root / "test" / "masks" / "020.png"
    changed = np.array(Image.open(mask))
    changed[0, 0] = 1 - changed[0, 0] // 18
    Image.fromarray(changed).save(mask)
    assert describe_test(SMALL, root).fingerprint != before.fingerprint
    shutil.copy(root / "train" / "images" / "003.png", root / "test" / "images" / "021.png")
    assert describe_test(SMALL, root).problems == [
        "1 of 6 test images are training or validation images, too."
    ]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda part: shutil.rmtree(part / "masks"),
            "test: images without masks are no labelled test split",
        ),
        (lambda part: shutil.rmtree(part), "test: no labelled test split"),
        (lambda part: (part / "masks" / "020.png").unlink(), "020.png: no mask"),
        (lambda part: (part / "masks" / "025.png").write_text("x"), "025.png: not an image"),
    ],
)
def test_no_labelled_split_is_one_line(root: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(root / "test")
    with pytest.raises(DataError, match=said) as caught:
        describe_test(SMALL, root)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_one_line(root: Path, weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(DataError, match="is damaged or not a file of weights") as caught:
        score_test(SMALL, weights, root, "cpu")
    assert "\n" not in str(caught.value)


def test_drawn_faces_for_the_test_are_never_trained_on(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "TEST_FACES", 6)
    split = describe_test(DRAWN, None)
    assert split.images == len(score_test(DRAWN, weights, None, "cpu").scores) == 6
    tested = [image for image, _ in source(DRAWN.data, None).test_split().images()]
    used = load(DRAWN.data, None)
    others = {image.numpy().tobytes() for part in (used.train, used.val) for image in part.images}
    assert len(others) == 10 and not others & {image.tobytes() for image in tested}
    numbers = np.array([int(name.split("-")[1]) for name in (*used.train.names, *used.val.names)])
    assert numbers.max() < MOST_DRAWN == type(DRAWN.data).model_fields["drawn_images"].metadata[1].le


def test_the_stock_objective_end_to_end(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of one epoch on drawn faces, and its test."""
    (search.folder / "space.yaml").write_text(MSEG)
    monkeypatch.setattr(drawn, "TEST_FACES", 8)
    study = search.create()
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    before = study.row.fingerprint
    material = final(search)
    found = read_of(material)
    assert found.images == 8 and found.best is not None and len(found.best.per_class) > 5
    assert found.best == found.baseline and found.difference is None
    config = configure({**study.spec.space.constants, **material.best.record.params})
    assert score_test(config, material.best.folder / WEIGHTS, None, "cpu").scores == found.best.scores
    assert material.fingerprint == before
