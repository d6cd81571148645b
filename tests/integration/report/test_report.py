"""`search report` states what was recorded, and names what was not."""

import base64
import io
import itertools
import json
import re
import shlex
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
import yaml
from PIL import Image
from service import DOCUMENT, Answer, Search
from service import STUDY as STUDY_NAME

from search.analysis import importance
from search.analysis.ablation import ablation
from search.analysis.beliefs import applies, belief_results, drawn_blindly
from search.analysis.classes import class_changes
from search.analysis.confirmation import confirmation
from search.analysis.racing import Results
from search.analysis.ranks import holm, rank_sum, ranks, spearman
from search.analysis.training import decline, gap_by_rate, peak
from search.cli.app import command_group
from search.errors import UserError
from search.imports.imported_runs import read_paths, store
from search.loading import vocabulary_of
from search.recorded_run import RecordedRun
from search.records import Record
from search.render import document as blocks
from search.render import html, markdown
from search.report.collect import collect_report_data
from search.report.examples import example_changes
from search.report.sections.fresh_seeds import fresh_seeds
from search.report.sections.in_short import in_short
from search.report.sections.next_steps import next_steps
from search.report.sections.performance import performance
from search.report.suggestions import RangeHit, range_hits, widened
from search.report.writer import WrittenReport, write_report
from search.retraining import ablate
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.scoring import epoch_of_best
from search.spec.known import Belief
from search.spec.parameter import Parameter
from search.spec.settings import SamplerSettings
from search.spec.spec import load_spec
from search.study.open import find_study
from search.study.plan import Plan, PlannedConfig
from search.worker.worker import Worker

Command = Callable[..., Answer]

WORDS = r"signific|\bprov(e|es|ed|en)\b|\bcaus(e|es|ed)\b|because of|thanks to|due to|clearly|dramatic"
"""No test stands behind these; what a test found is said by its name and level."""

TRAIN, LR = 0.9, 1e-3


NO_FIGURES = {"train_score": None, "gap": None, "lr": None}

STUDY = DOCUMENT.replace("x: 0.3, kind", "x: 0.9, kind") + "avoid:\n  - {name: far off, x: {above: 0.6}}\n"


def fill(search: Search, number: int, **columns: list[Any]) -> Path:
    """The folder of a trial as an objective writes it: its scores by the database, and more columns."""
    curve = list(search.records()[number].curve)
    folder = search.runs / f"trial-{number:04d}"
    history = {
        "val_f_score": curve,
        "train_f_score": [TRAIN] * len(curve),
        "lr": [LR / epoch for epoch in range(1, len(curve) + 1)],
        "train_loss": [1.0] * len(curve),
        "val_loss": [1.5] * len(curve),
        **columns,
    }
    (folder / "history.json").write_text(json.dumps(history))
    config = {"data": {"root": "thin air"}, "provenance": {"device": "cpu", "torch": "2.13.0"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def said(*sections: Iterable[blocks.Block]) -> str:
    """Sections as Markdown."""
    return markdown.render(blocks.Document("", [*itertools.chain(*sections)]))


def written(search: Search, **wanted: Any) -> WrittenReport:
    """The report on the study as it is now."""
    study = search.study()
    assert study is not None
    try:
        return write_report(
            collect_report_data(study, search.folder / "runs", **wanted), search.runs / "report"
        )
    finally:
        study.engine.dispose()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A study of six trials of six epochs, the best of them not the known one, with its report."""
    folder = tmp_path_factory.mktemp("finished")
    search = Search(folder / "work", f"sqlite:///{folder / 'study.db'}", STUDY)
    study = search.create("epochs=6", trials=6)
    worker = Worker(study, folder / "work" / "runs", None, [Device("cpu", "cpu")])
    assert worker.run(Interrupt()) == 0
    study.engine.dispose()
    for number in range(6):
        fill(search, number)
    return search


@pytest.fixture(scope="module")
def report(finished: Search) -> WrittenReport:
    return written(finished)


@pytest.fixture(scope="module")
def reported(report: WrittenReport) -> Any:
    """What `search report --json` says of it."""
    return json.loads(json.dumps(report.to_json()))


@pytest.fixture
def copied(finished: Search, reported: Any, tmp_path: Path) -> Search:
    """A copy of it that a test may change."""
    copy = Search(tmp_path / "copy", f"sqlite:///{tmp_path / 'study.db'}", STUDY)
    copy.take(finished)
    return copy


# -- the command -----------------------------------------------------------------------------------


def test_its_numbers_are_the_recorded_ones(finished: Search, reported: Any) -> None:
    records = finished.records()
    means = [max(np.convolve(r.curve, [0.5, 0.5], "valid")) for r in records]
    best = int(np.argmax(means))
    assert best != 0
    for side, number in (("best", best), ("baseline", 0)):
        curve = records[number].curve
        epoch = int(np.argmax(curve)) + 1
        assert reported[side] == {
            "number": number,
            "known": records[number].known,
            "value": pytest.approx(means[number]),
            "best_epoch": epoch,
            "best_score": curve[epoch - 1],
            "train_score": TRAIN,
            "gap": pytest.approx(100 * (TRAIN - curve[epoch - 1])),
            "lr": LR / epoch,
            "epochs": 6,
        }
    assert reported["target"] == 0.9
    text = (finished.folder / reported["markdown"]).read_text()
    assert f"| value (best mean of 2) | {means[0]:.4f} | {means[best]:.4f} |" in text
    assert f"{0.9 - means[best]:.4f} short" in text
    assert "| by hand | 0 (complete) |" in text and "far off (x above 0.6)" in text
    pictures = [finished.folder / path for path in reported["figures"]]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert {path.name for path in pictures} == {"curves.png", "gap.png", "search.png", "parameters.png"}


def test_it_claims_nothing_without_a_test(finished: Search, reported: Any) -> None:
    for name in ("markdown", "html"):
        text = (finished.folder / reported[name]).read_text()
        assert not re.search(WORDS, re.sub(r"base64,[^\"]*", "", text), re.IGNORECASE)
    for source in (Path(__file__).parents[3] / "search" / "report").rglob("*.py"):
        assert not re.search(WORDS, source.read_text(), re.IGNORECASE), source


def unfolded(path: Path) -> str:
    """A report whose commands stand on one line, however long the paths in them are."""
    return path.read_text().replace(" \\\n   ", "")


def test_the_same_records_give_the_same_report(finished: Search, copied: Search, reported: Any) -> None:
    again = written(copied, against="by hand")
    for path, other in zip(again.paths, (reported["markdown"], reported["html"]), strict=True):
        text = unfolded(path).replace(str(copied.folder), str(finished.folder))
        assert text.replace(copied.url, finished.url) == unfolded(Path(other))
    own = written(copied, against="best")
    assert own.numbers["verdict"] is None and "It is the baseline itself" in own.paths[0].read_text()


@pytest.mark.usefixtures("blank_figures")
def test_a_changed_number_changes_the_report(copied: Search, reported: Any) -> None:
    number = reported["best"]["number"]
    curve = list(copied.records()[number].curve)
    fill(copied, number, train_f_score=[0.95] * len(curve))
    changed = written(copied)
    assert changed.numbers["best"]["train_score"] == 0.95
    assert "| training score there | 0.9000 | 0.9500 |" in changed.paths[0].read_text()
    # Scores that are not those that were reported do not count, nor does what stands beside them.
    fill(copied, number, val_f_score=[score + 0.01 for score in curve])
    broken = written(copied)
    assert broken.numbers["best"] == reported["best"] | NO_FIGURES
    text = broken.paths[0].read_text()
    assert f"of epoch 1 is {curve[0] + 0.01}, the database has {curve[0]}; not used" in text


@pytest.mark.usefixtures("blank_figures")
def test_a_changed_score_in_the_database_changes_the_report(copied: Search, reported: Any) -> None:
    number = reported["best"]["number"]
    engine = sqlalchemy.create_engine(copied.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_intermediate_values SET intermediate_value = 0.99 WHERE step = 3 AND trial_id = "
            f"(SELECT trial_id FROM trials WHERE number = {number})"
        )
    engine.dispose()
    after = written(copied).numbers["best"]
    assert (after["best_epoch"], after["best_score"]) == (3, 0.99)
    assert after["value"] > reported["best"]["value"]


@pytest.mark.usefixtures("blank_figures")
def test_what_is_not_there_is_said(copied: Search) -> None:
    for path in copied.runs.glob("trial-*/history.json"):
        path.unlink()
    report = written(copied)
    text = report.paths[0].read_text()
    assert report.numbers["best"].items() >= NO_FIGURES.items()
    assert text.count("history.json: no such file") == 2
    for said in ("not recorded", "too few to estimate importances", "Scores by class were not recorded"):
        assert said in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)


@pytest.mark.usefixtures("blank_figures")
def test_a_module_of_ones_own(search: Search, command: Command) -> None:
    """It records nothing but scores, no config is known, lower is better; and what is advised works."""
    known = "known:\n  - {name: by hand, x: 0.3, kind: plain}\n"
    document = DOCUMENT.replace(known, "").replace("trials: 3", "direction: minimize\n  trials: 3")
    (search.folder / "space.yaml").write_text(document)
    search.create()
    command("worker")
    text = Path(command("report").out.split()[0]).read_text()
    assert text.count("have no config.yaml and no history.json.") == 1
    assert "Not recorded: training score there, gap there, points, learning rate there, best by" in text
    assert "Training scores and learning rates were not recorded." in text and "| not recorded" not in text
    page = search.folder / "runs" / "toy" / "report"
    page.rename(page.with_name("before"))
    page.write_text("in the way")
    line = "runs/toy/report: File exists; move it away; --debug shows where\n"
    assert command("report", code=2).err == line
    (advised,) = re.findall(r"search confirm .*", text)
    command(*shlex.split(advised)[1:], "--workers", "0")


@pytest.mark.usefixtures("blank_figures")
def test_report_prints_where_it_wrote_and_leaves_a_note_in_the_study(
    command: Command, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where the report is; the study has it as its note."""
    monkeypatch.setenv("SEARCH_STORAGE", copied.url)
    monkeypatch.chdir(copied.folder)
    answer = command("report", "--stages", "1,2,3,4")
    assert answer.out.split() == ["runs/toy/report/report.md", "runs/toy/report/report.html"]
    assert "Stages end after epochs 1, 2, 3, 4" in (copied.folder / answer.out.split()[0]).read_text()
    assert (
        copied.count("SELECT count(*) FROM study_system_attributes WHERE key = 'dashboard:note_ver'") == 1
    )


@pytest.mark.usefixtures("blank_figures")
def test_stages_are_the_studys_unless_given(command: Command, search: Search) -> None:
    study = search.create("report.stages=[1, 2, 3, 30]", trials=1)
    assert Worker(study, search.runs.parent, None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    path = search.folder / command("report").out.split()[0]
    assert "Stages end after epochs 1, 2, 3, 30, as the study's report.stages says." in path.read_text()
    assert load_spec(path.with_name("space.yaml")).report.stages == (1, 2, 3, 30)
    command("report", "--stages", "2,3,4,5")
    assert "Stages end after epochs 2, 3, 4, 5, as requested." in path.read_text()


def test_a_long_command_is_folded_at_its_flags() -> None:
    short = "search report --study toy"
    assert markdown.folded(short) == short
    long = f"search start --study {'x' * 40} --against {shlex.quote('it is --a' * 9)} --set a=1 --set b=2"
    folded = markdown.folded(long)
    assert folded.splitlines()[-1] == "    --set a=1 --set b=2" and folded.count("\n") == 2
    assert shlex.split(folded.replace("\\\n", "")) == shlex.split(long)


def test_the_figure_of_a_trial(command: Command, copied: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", copied.url)
    monkeypatch.chdir(copied.folder)
    (figure,) = command("report", "--trial", "1", "--json").json["figures"]
    path = copied.folder / figure
    before = path.read_bytes()
    assert path.name == "trial-0001.png" and before.startswith(b"\x89PNG")
    fill(copied, 1, train_f_score=[0.5] * 6)
    assert command("report", "--trial", "1").out.strip() == figure
    assert path.read_bytes() != before
    fill(copied, 1)
    command("report", "--trial", "1")
    assert path.read_bytes() == before, "the same records, the same picture"
    (copied.runs / "trial-0001" / "history.json").unlink()
    command("report", "--trial", "1")  # panels without columns say so
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trial", "99"], "--trial: 99 is not a trial"),
        (["--trial", "1", "--against", "2"], "--trial: draws one trial"),
        (["--stages", "5,3"], "--stages: '5,3' is not"),
        (["--study", "none"], "--study: no study 'none'"),
    ],
)
def test_wrong_flags_of_report_are_refused_in_one_line(
    command: Command, search: Search, arguments: list[str], said: str
) -> None:
    search.create()
    answer = command("report", *arguments, code=2)
    (line,) = answer.err.splitlines()
    assert said in line and answer.out == ""
    assert not list(search.runs.glob("report"))


def test_a_baseline_that_does_not_exist_is_refused(copied: Search) -> None:
    with pytest.raises(UserError, match="--against: 'nobody' is no trial's number"):
        written(copied, against="nobody")
    with pytest.raises(UserError, match="--against: 99 is not a trial"):
        written(copied, against="99")


def test_report_without_a_complete_trial_exits_with_1(command: Command, search: Search) -> None:
    search.create()
    answer = command("report", code=1)
    assert "no complete trial yet" in answer.err and answer.err.count("\n") == 1


# -- the page --------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags and their attributes, in order, with how deep inside a scrolling box each is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.boxed: list[bool] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "table":
            self.boxed.append(self._open[-1:] == ["table"])
        if tag == "div":
            self._open.append(found.get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._open.pop()


def test_the_page_is_whole_in_itself(finished: Search, reported: Any) -> None:
    page = Page((finished.folder / reported["html"]).read_text())
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe"}
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == len(reported["figures"])
    for attributes, path in zip(pictures, reported["figures"], strict=True):
        kind, _, inside = str(attributes["src"]).partition(",")
        assert (
            kind == "data:image/png;base64"
            and base64.b64decode(inside) == (finished.folder / path).read_bytes()
        )
        assert attributes["alt"]
    links = [str(attributes["href"]) for tag, attributes in page.tags if tag == "a"]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)
    assert page.boxed and all(page.boxed)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


NASTY = "<b>x</b> | *bold* `code` _u_ [l](x) \\"


def test_foreign_text_is_no_markup(tmp_path: Path) -> None:
    section = blocks.ReportSection(
        "T",
        [blocks.Table(["a"], [[blocks.literal(NASTY)], [blocks.code(NASTY)]]), blocks.Paragraph("a ` b")],
    )
    document = blocks.Document(blocks.literal(NASTY), [], [section])
    page = html.render(document, tmp_path)
    assert "<b>" not in page and page.count("&lt;b&gt;x&lt;/b&gt; | *bold* &#39;code&#39;") >= 3
    text = markdown.render(document)
    (row, coded) = [line for line in text.splitlines() if line.startswith("| ") and "bold" in line]
    assert r"\<b\>x\</b\> \| \*bold\* 'code' \_u\_ \[l\](x) \\" in row
    assert len(re.findall(r"(?<!\\)\|", coded)) == 2
    assert "a ` b" in text


# -- numbers, against plain ones -------------------------------------------------------------------


def run_of(scores: list[float | None], direction: Any = "maximize", **columns: list[Any]) -> RecordedRun:
    return RecordedRun(name="a run", leaves={}, scores=scores, columns=columns, direction=direction)


def noisy(epochs: int = 60, seed: int = 0) -> list[float]:
    t = np.arange(1, epochs + 1)
    rng = np.random.default_rng(seed)
    return list(0.7 - 0.6 * np.exp(-t / 8) - 0.001 * np.maximum(0, t - 35) + rng.normal(0, 0.01, epochs))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_peak_and_decline_equal_the_numpy_reference(direction: Any) -> None:
    scores = noisy() if direction == "maximize" else [1 - score for score in noisy()]
    run = run_of(list(scores), direction, train_f_score=[0.8] * 60, lr=list(range(60)))
    means = np.convolve(scores, np.full(5, 0.2), "valid")
    pick, choose = (np.argmax, max) if direction == "maximize" else (np.argmin, min)
    at, found = int(pick(means)), peak(run, 5)
    assert (found.value, found.first, found.last) == (pytest.approx(means[at]), at + 1, at + 5)
    epoch = int(pick(scores)) + 1
    assert (found.epoch, found.score, found.lr) == (epoch, choose(scores), epoch - 1)
    assert found.gap == pytest.approx(100 * (0.8 - scores[epoch - 1]))
    lost = decline(run, 5)
    assert lost.drop == pytest.approx(100 * abs(means[at] - means[-1]))
    assert lost.after == 60 - (at + 5)
    assert lost.luck is not None and 0 < lost.luck < 2


def test_a_run_that_ends_at_its_best_has_lost_nothing() -> None:
    lost = decline(run_of([0.1 * epoch for epoch in range(1, 11)]), 3)
    assert (lost.drop, lost.after) == (0, 0)


def test_missing_epochs_are_no_zeros() -> None:
    run = run_of([0.5, None, 0.7, 0.6], train_f_score=[0.6, 0.6, None, 0.8], lr=[1.0, 0.5, 0.2, 0.1])
    found = peak(run, 2)
    assert (found.value, found.first, found.last) == (pytest.approx(0.65), 3, 4)
    assert (found.epoch, found.train, found.gap) == (3, None, None)
    bands, _ = gap_by_rate(run)
    assert sum(band.epochs for band in bands) == 2


def test_the_generalisation_gap_is_grouped_by_learning_rate() -> None:
    rates = [0.1, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1]
    scores = [0.5] * 8
    train = [0.5 + 0.01 * epoch for epoch in range(1, 9)]
    bands, together = gap_by_rate(run_of(scores, train_f_score=train, lr=rates))
    assert [(band.low, band.high, band.epochs) for band in bands] == [
        (0.1, 0.1, 2), (0.2, 0.2, 2), (0.3, 0.3, 2), (0.4, 0.4, 2)
    ]  # fmt: skip
    assert [band.gap for band in bands] == pytest.approx([4.5, 6.5, 4.5, 2.5])
    assert [band.epoch for band in bands] == pytest.approx([4.5, 6.5, 4.5, 2.5])
    assert together == pytest.approx(spearman(rates, range(8)))
    constant, nothing = gap_by_rate(run_of(scores, train_f_score=train, lr=[0.1] * 8))
    assert (len(constant), constant[0].epochs, nothing) == (1, 8, None)
    assert gap_by_rate(run_of(scores)) == ([], None)


def test_of_equal_epochs_the_first_is_the_best() -> None:
    scores = {1: 0.3, 2: 0.7, 3: 0.7, 4: 0.3}
    assert epoch_of_best(scores, "maximize") == 2 and epoch_of_best(scores, "minimize") == 1


def test_ranks_spearman_and_holm_equal_worked_examples() -> None:
    assert ranks([3, 1, 3, 2]) == [3.5, 1, 3.5, 2]
    assert spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_rank_sum_against_every_permutation() -> None:
    a, b = [5.0, 6.0, 9.0, 7.0], [1.0, 2.0, 6.0, 3.0, 4.0]
    together = ranks(a + b)
    sums = [sum(together[at] for at in chosen) for chosen in itertools.combinations(range(9), 4)]
    observed, middle = sum(together[:4]), 4 * 10 / 2
    exact = np.mean([abs(each - middle) >= abs(observed - middle) - 1e-9 for each in sums])
    found = rank_sum(a, b)
    assert found.p == pytest.approx(exact, abs=0.012)
    assert found.above == pytest.approx(np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b]))


# -- beliefs ---------------------------------------------------------------------------------------


def trial(number: int, value: float | None, state: Any = "complete", **params: Any) -> Record:
    return Record(
        number=number,
        state=state,
        value=value,
        last=value,
        best_score=value,
        best_epoch=1,
        params={name.replace("_", "."): each for name, each in params.items()},
        known=None,
        seed=0,
        epochs=1,
        curve=[value],
        reason=None,
        worker=None,
        attempts=1,
        seconds=1.0,
    )


HIGH = Belief("high", {"loss.weight": {"above": 1.5}})


@pytest.mark.parametrize(
    ("effect", "direction", "verdict"),
    [
        (-0.1, "maximize", "supported"),
        (0.1, "maximize", "contradicted"),
        (0.1, "minimize", "supported"),
        (0.0, "maximize", "undetermined"),
    ],
)
def test_a_belief_is_supported_contradicted_or_undetermined_by_the_trials(
    effect: float, direction: Any, verdict: str
) -> None:
    rng = np.random.default_rng(3)
    weights = rng.uniform(1, 2, 30)
    records = [
        trial(n, rng.normal(0.6, 0.02) + effect * (w > 1.5), loss_weight=w) for n, w in enumerate(weights)
    ]
    (row,) = belief_results([HIGH], records, {}, direction)
    assert row.verdict == verdict
    assert (row.inside, row.outside) == (int((weights > 1.5).sum()), int((weights <= 1.5).sum()))


def test_pruned_trials_count_as_the_worst() -> None:
    records = [trial(n, 0.6 + 0.001 * n, loss_weight=1.0) for n in range(8)]
    records += [trial(n, 0.9, "pruned", loss_weight=2.0) for n in range(8, 16)]
    records += [trial(n, 0.9, "failed", loss_weight=2.0) for n in range(16, 30)]
    (row,) = belief_results([HIGH], records, {}, "maximize")
    assert (row.verdict, row.inside, row.outside, row.inside_median) == ("supported", 8, 8, None)
    (few,) = belief_results([HIGH], records[:4], {}, "maximize")
    assert (few.verdict, few.p, few.inside) == ("undetermined", None, 0)


def test_beliefs_are_rarely_wrong() -> None:
    """200 studies in which nothing matters: at most 5 % are told that something does, up to chance."""
    wrong = 0
    others = Belief("low", {"loss.weight": {"below": 1.2}}), Belief("both", {"loss.weight": {"above": 1.8}})
    for seed in range(200):
        rng = np.random.default_rng(seed)
        records = [trial(n, rng.normal(), loss_weight=rng.uniform(1, 2)) for n in range(20)]
        rows = belief_results([HIGH, *others], records, {}, "maximize")
        wrong += any(row.verdict != "undetermined" for row in rows)
    assert wrong <= 19  # 5 % of 200 is 10; 19 is three standard deviations above


def adaptive(seed: int, trials: int = 60) -> list[Record]:
    """A climb: uniform draws first, then draws around the best so far. Only `x.y` matters."""
    rng = np.random.default_rng(seed)
    drawn, values = np.empty((0, 2)), np.empty(0)
    for number in range(trials):
        config = rng.uniform(0, 1, 2)
        if number >= 10:
            config = np.clip(drawn[values.argmax()] + rng.normal(0, 0.05, 2), 0, 1)
        drawn = np.vstack([drawn, config])
        values = np.append(values, 0.7 - 0.1 * abs(config[0] - 0.3) + rng.normal(0, 0.005))
    return [
        trial(n, value, x_y=x, loss_weight=1 + idle)
        for n, (value, (x, idle)) in enumerate(zip(values, drawn, strict=True))
    ]


def test_a_parameter_that_does_nothing_is_rarely_called_though_the_sampler_learned() -> None:
    """60 climbs; benchmarks/belief_calibration.py has TPE."""
    naive = wrong = 0
    for seed in range(60):
        records = adaptive(seed)
        blind = drawn_blindly(records, SamplerSettings("tpe"), informed=False)
        assert [record.number for record in blind] == list(range(10))
        naive += belief_results([HIGH], records, {}, "maximize")[0].verdict != "undetermined"
        wrong += belief_results([HIGH], blind, {}, "maximize")[0].verdict != "undetermined"
    assert naive >= 24, "if all trials were tested"
    assert wrong <= 8  # 5 % of 60 is 3; 8 is three standard deviations above


def test_known_configs_repeats_and_learned_draws_are_not_blind() -> None:
    records = [trial(n, 0.6) for n in range(14)]
    records[0] = replace(records[0], known="by hand")
    records[12] = replace(records[12], repeat_of=3)

    def blind(kind: str, informed: bool = False, **options: Any) -> list[int]:
        drawn = drawn_blindly(records, SamplerSettings(kind, 42, options), informed=informed)
        return [record.number for record in drawn]

    assert blind("random") == blind("qmc") == blind("random", informed=True) == [*range(1, 12), 13]
    assert blind("tpe") == blind("gp") == list(range(1, 10))
    assert blind("tpe", n_startup_trials=3) == [1, 2] and blind("tpe", informed=True) == []


def test_a_belief_applies_where_all_its_conditions_hold() -> None:
    assert applies({"x": {"above": 1, "below": 3}}, {"x": 2}) is True
    assert applies({"x": {"above": 1, "below": 3}}, {"x": 3}) is False
    assert applies({"k": {"equals": "a"}, "x": {"one_of": [1, 2]}}, {"k": "a", "x": 2}) is True
    assert applies({"k": {"equals": "a"}, "y": {"above": 0}}, {"k": "a"}) is None


# -- classes ---------------------------------------------------------------------------------------


def test_classes_that_gained_and_lost_are_named() -> None:
    rng = np.random.default_rng(0)
    levels = np.linspace(0.3, 0.9, 19)
    change = np.zeros(19)
    change[3], change[7] = -0.1, 0.1
    sides = []
    for shift in (0.0, 1.0):
        by_class = levels + shift * change + rng.normal(0, 0.02, (60, 19))
        by_class[:, 18] = np.nan
        rows = [[None if np.isnan(f) else f for f in each] for each in by_class.tolist()]
        run = run_of(np.nanmean(by_class, axis=1).tolist(), val_f_per_class=rows)
        sides.append((run, peak(run, 5), by_class))
    rows = class_changes(sides[0][:2], sides[1][:2], [f"c{index}" for index in range(10)])
    assert [row.name for row in rows if row.verdict == "lower"] == ["c3"]
    assert [row.name for row in rows if row.verdict == "higher"] == ["c7"]
    assert len(rows) == 18 and rows[0].name == "c3" and "class 17" in {row.name for row in rows}
    at = sides[0][1]
    assert rows[0].before == pytest.approx(sides[0][2][at.first - 1 : at.last, 3].mean())
    assert rows[0].error == pytest.approx(0.02 * np.sqrt(2 / 5), rel=0.4)
    assert class_changes((run_of([0.5]), peak(run_of([0.5]), 1)), sides[1][:2], []) == []


# -- faces -----------------------------------------------------------------------------------------


def keep_faces(folder: Path, f: list[float], names: list[str] | None = None) -> None:
    """`faces.npz` as the stock objective writes it: face n is of grey 10 n, all of class 1, predicted 0."""
    count, side = len(f), 8
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * 10 + np.zeros(
        (1, side, side, 3), np.uint8
    )
    sheet = io.BytesIO()
    Image.fromarray(images.reshape(-1, side, 3)).save(sheet, "JPEG", quality=95)
    np.savez_compressed(
        folder / "faces.npz",
        names=np.array(names or [f"face{n}" for n in range(count)]),
        f=np.array(f, np.float32),
        images=np.frombuffer(sheet.getvalue(), np.uint8),
        truth=np.ones((count, side, side), np.uint8),
        prediction=np.zeros((count, side, side), np.uint8),
        classes=np.array(["back", "skin"]),
        palette=np.array([[0, 0, 0], [250, 0, 0]], np.uint8),
    )


def test_the_faces_that_changed_most(copied: Search, reported: Any) -> None:
    folders = [copied.runs / f"trial-{reported[side]['number']:04d}" for side in ("baseline", "best")]
    before = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    after = [0.5, 0.4, 0.9, 0.3, 0.6, 0.2, 0.7, 0.8, 0.49]
    keep_faces(folders[0], before)
    assert example_changes(*folders, vocabulary_of()) is None, "the best has kept none"
    keep_faces(folders[1], after)
    found = example_changes(*folders, vocabulary_of())
    assert found is not None
    assert [face.name for face in found.pairs] == ["face5", "face3", "face1", "face2", "face7", "face6"]
    assert (found.count, found.better, found.worse) == (9, 4, 4)
    first = found.pairs[0]
    assert (first.before, first.after) == pytest.approx((0.5, 0.2))
    assert abs(first.image.astype(int) - 50).max() <= 2
    assert (first.truth == [250, 0, 0]).all() and (first.new == 0).all()
    report = written(copied)
    assert "4 have a higher F" in report.paths[0].read_text()
    assert "faces.png" in {figure.path.name for figure in report.document.figures}
    keep_faces(folders[1], after, [f"other{n}" for n in range(9)])
    assert example_changes(*folders, vocabulary_of()) is None, "other faces"
    (folders[1] / "faces.npz").write_bytes((folders[0] / "faces.npz").read_bytes()[:300])
    assert example_changes(*folders, vocabulary_of()) is None, "half a file"


WEIGHT = Parameter(name="loss.weight", low=0.5, high=3.0)
RATE = Parameter(name="rate", low=1e-4, high=1e-2, log=True)
EPOCHS = Parameter(name="warm", low=0, high=15, step=1)


# -- fresh seeds -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("blank_figures")
def test_the_report_shows_what_confirm_found(copied: Search) -> None:
    study = copied.study()
    assert study is not None
    material = collect_report_data(study, copied.folder / "runs")
    assert material.confirmations == [] and material.deleted_races == 0
    before = said(fresh_seeds(material), next_steps(material))
    assert "Nothing has been trained again with other seeds" in before
    assert "search confirm --study toy --top 3 --against 0" in before
    configs = [
        PlannedConfig(name=name, number=number, params={}, value=value)
        for name, number, value in (("by hand", 0, 0.34), ("trial 1", 1, 0.83))
    ]
    plan = Plan(
        kind="confirm",
        of="toy",
        configs=configs,
        first=3,
        last=6,
        trials=None,
        seed=7,
        split=None,
        asked={},
    )
    scores = np.array([[0.30, 0.31, 0.32], [0.78, 0.80, 0.82]])
    results = Results(scores=scores, planned=6, running=0, lost=0, rounds=3)
    found = confirmation("toy-confirm", plan, results, "maximize", ended=True)
    material = replace(material, confirmations=[found])
    text = said(fresh_seeds(material), next_steps(material))
    assert "**On 3 fresh seeds trial 1 is better than by hand**: +0.4900" in text
    assert "The search's value of trial 1 less its mean over fresh seeds: +0.0300" in text
    assert "| trial 1 | 0.8300 | 3 | 0.8000 |" in text
    assert "search confirm" not in text and "search ablate" not in text, "one setting differs"
    assert not re.search(WORDS, text, re.IGNORECASE) and "races" not in text
    findings = in_short(material)[1]
    assert isinstance(findings, blocks.Bullets)
    assert findings.items[0].startswith("On 3 fresh seeds trial 1 is better than by hand")
    assert any("too few to tell a gain from the luck" in sentence for sentence in findings.items)
    values = [0.60, 0.61, 0.605, 0.602, 0.607, 0.603, 0.604, 0.606, 0.601]
    more = [trial(number, value) for number, value in enumerate(values)]
    gain = replace(material, records=more).gain
    assert gain is not None and gain.value > 0.2, "far above the baseline"
    judged = said(performance(replace(material, records=more)))
    assert "is better than the baseline once the luck of the best of 9 trials is taken off" in judged
    again = confirmation("toy-again", replace(plan, last=3), results, "maximize", ended=True)
    text = said(fresh_seeds(replace(material, confirmations=[found, again], deleted_races=1)))
    assert "3 races were run on trials of this study, 1 of them deleted since." in text
    assert text.count("**On 3 fresh seeds trial 1 is better than by hand**") == 2, "each of them is shown"
    study.engine.dispose()


@pytest.mark.usefixtures("blank_figures")
def test_the_report_shows_what_ablate_found(copied: Search) -> None:
    study = find_study(copied.url, STUDY_NAME)
    assert study is not None
    made, _ = ablate.prepared(study, ablate.AblateRequest(a="0", b="1", seeds=2), copied.runs.parent)
    material = collect_report_data(study, copied.folder / "runs")
    text = said(fresh_seeds(material))
    assert "From trial 0 (by hand) to trial 1, all changes together" in text
    (asked,) = material.ablations
    scores = np.array([[0.30, 0.32], [0.80, 0.82], [0.50, 0.52], [0.40, 0.42]])[: len(asked.plan.configs)]
    results = Results(scores=scores, planned=len(scores) * 2, running=0, lost=0, rounds=2)
    found = ablation("toy-ablate-0-1", asked.plan, results, "maximize", ended=True)
    text = said(fresh_seeds(replace(material, ablations=[found])))
    assert found.total is not None and f"all changes together**: {found.total.value:+.4f}" in text
    for effect in found.effects:
        assert effect.effect is not None
        assert f"| 2 | {effect.effect.value:+.4f} |" in text
    with pytest.raises(UserError, match="retrains trials; report on the search, 'toy'"):
        collect_report_data(made, copied.folder / "runs")
    for each in (study, made):
        each.engine.dispose()


# -- importances -----------------------------------------------------------------------------------


def test_what_matters_is_told_from_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "RESAMPLES", 20)
    monkeypatch.setattr(importance, "SHUFFLINGS", 20)
    rng = np.random.default_rng(0)
    space = [WEIGHT, RATE, EPOCHS, Parameter(name="kind", choices=("a", "b"))]
    x = rng.uniform(0.5, 3.0, 40)
    others = [
        {
            "rate": 10 ** rng.uniform(-4, -2),
            "warm": int(rng.integers(16)),
            "kind": str(rng.choice(["a", "b"])),
        }
        for _ in x
    ]
    for effect, direction in ((-0.2, "maximize"), (0.2, "minimize")):  # the same, turned round
        value = 0.6 + effect * (x - 1) ** 2 + rng.normal(0, 0.02, 40)
        records = [trial(n, value[n], loss_weight=x[n], **others[n]) for n in range(40)]
        records.append(trial(40, 9.0, "pruned", loss_weight=3.0, **others[0]))
        found = importance.importance_of(records, space, direction)  # type: ignore[arg-type]
        assert found is not None and (found.trials, found.top) == (40, 14)
        assert [share.name for share in found.shares if found.stands_out(share)] == ["loss.weight"]
        assert found.shares[0].low <= found.shares[0].share <= found.shares[0].high
        assert sum(share.share for share in found.shares) == pytest.approx(1)
    rare = Parameter(name="rare", low=0.0, high=1.0, when={"kind": ("a",)})
    branch = [replace(r, params={**r.params, **({"rare": 0.5} if r.number < 3 else {})}) for r in records]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a hundred lines would hide the one that says where the report is
        found = importance.importance_of(branch, [*space, rare], "minimize")
    assert found is not None and {s.name: s.trials for s in found.shares}["rare"] == 3
    nothing = [trial(n, rng.normal(), loss_weight=x[n], **others[n]) for n in range(40)]
    found = importance.importance_of(nothing, space, "maximize")
    assert found is not None and not any(map(found.stands_out, found.shares))
    assert importance.importance_of(nothing[:9], space, "maximize") is None


# -- what to try next ------------------------------------------------------------------------------


def test_the_best_trials_at_the_end_of_a_range_are_noticed() -> None:
    best = [trial(n, 0.7, loss_weight=2.9, rate=2e-3, warm=0) for n in range(3)]
    rest = [trial(n, 0.6, loss_weight=1.0, rate=9e-3, warm=8) for n in range(3, 9)]
    (hit,) = range_hits([WEIGHT, RATE, EPOCHS], best, [*best, *rest])  # a warm-up of 0 cannot go lower
    assert (hit.parameter, hit.upper, hit.near, hit.top) == (WEIGHT, True, 3, 3)
    assert (hit.all_near, hit.trials) == (3, 9)
    assert not range_hits([WEIGHT], [rest[0], *best], rest), "the best one is not there"
    assert not range_hits([WEIGHT], [best[0], *rest[:4]], rest), "nobody else is there"


@pytest.mark.parametrize(
    ("parameter", "upper", "low", "high"),
    [
        (WEIGHT, True, 0.5, 4.25),
        (WEIGHT, False, 0.25, 3.0),
        (RATE, True, 1e-4, 3e-2),
        (RATE, False, 3.33e-5, 1e-2),
        (EPOCHS, True, 0, 22),
        (Parameter(name="g", low=0.1, high=0.5, step=0.1), True, 0.1, 0.7),
    ],
)
def test_a_range_is_widened_beyond_the_end_that_was_hit(
    parameter: Parameter, upper: bool, low: float, high: float
) -> None:
    found = widened(RangeHit(parameter, upper, 3, 3, 3, 9))
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert isinstance(found["low"], type(parameter.low)) and found.get("log", False) == parameter.log


@pytest.mark.usefixtures("blank_figures")
def test_imported_runs_stand_beside(report: WrittenReport, copied: Search) -> None:
    """Each under its metric, and the best trial by each that it has."""
    assert not any(section.title == "Imported runs" for section in report.document.sections)
    (copied.folder / "nights.csv").write_text("name,val_f_score,epochs\n`august`|,0.99,143\n")
    study = find_study(copied.url, STUDY_NAME)
    assert study is not None
    store(study, read_paths([copied.folder / "nights.csv"]), update=False)
    best = collect_report_data(study, copied.folder / "runs").best.record
    study.engine.dispose()
    pooled = [0.1, 0.4, 0.3, 0.2, 0.1, 0.1]
    fill(copied, best.number, val_fscore_batch32=pooled)
    after = written(copied)
    section = after.document.sections[-1]
    assert section.title == "Imported runs"
    table = section.blocks[-1]
    assert isinstance(table, blocks.Table)
    per_image, by_pooled, august = table.rows
    assert per_image[2:4] == [f"{best.value:.4f}", f"{best.best_score:.4f}"]
    assert by_pooled[1:] == ["val F, pooled by batches", "0.3500", "0.4000", "2", "6"]
    assert august == ["'august'|", "val F, pooled by batches", "–", "0.9900", "–", "143"]
    assert after.numbers["best"]["number"] == best.number, "what was imported is never the best"


def test_commands_the_report_suggests_are_accepted(
    command: Command, report: WrittenReport, copied: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the report says to type is accepted, and makes the study that it says."""
    monkeypatch.setenv("SEARCH_STORAGE", copied.url)
    sections = report.document.sections
    code = [b for section in sections for b in section.blocks if isinstance(b, blocks.Code)]
    lines = [shlex.split(line) for block in code for line in block.lines]
    group = command_group()
    for name, *words in (line[1:] for line in lines):
        group.commands[name].make_context(name, words).close()
    (again,) = [line for line in lines if "toy-again" in line]
    command(*again[1:], "--workers", "0")
    assert copied.count("SELECT count(*) FROM studies") == 2
    study, other = (find_study(copied.url, name, read_only=True) for name in (STUDY_NAME, "toy-again"))
    assert study is not None and other is not None
    assert study.spec.document == other.spec.document
