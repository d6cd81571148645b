"""`search compare`: recorded folders, trials, claims, stages; what it prints as JSON is a contract."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from recorded_runs import CONFIG, history, record
from refusals import refused
from rich.console import Console
from service import SHARED, Answer, Search

from search.analysis.claims import check_claim, parse_claim
from search.analysis.comparison import compare, differences
from search.analysis.stages import boundaries, parse_ends, stages
from search.errors import UserError
from search.loading import vocabulary_of
from search.recorded_run import RecordedRun, read_run
from search.render.terminal import RichBlocks
from search.report.comparison import comparison_blocks

Command = Callable[..., Answer]

OTHER = (
    CONFIG.replace("one", "two")
    .replace("300", "200")
    .replace("null", "30")
    .replace("num_workers: 16", "num_workers: 4")
    .replace("use_lmsa: true", "use_lmsa: true, ema: 0.999")
)


@pytest.fixture
def pair(search: Search) -> tuple[Path, Path]:
    """Two recorded runs in the folder of `search`."""
    return (
        record(search.folder / "a", CONFIG, history(112, 1)),
        record(search.folder / "b", OTHER, history(143, 2)),
    )


# -- JSON ------------------------------------------------------------------------------------------


def test_two_folders_are_compared_with_their_claims(
    command: Command, pair: tuple[Path, Path], search: Search
) -> None:
    claim = "learning rate 4e-4 -> 8e-4"
    found = command("compare", "a", "b", "--json", "--claim", claim, "--claim", "epochs 300 -> 200").json
    assert list(found) == ["changed", "equal", "best", "means", "verdict", "claims", "over_images"]
    assert found["changed"] == {
        "data.num_workers": [16, 4],
        "training.early_stopping_patience": [None, 30],
        "training.epochs": [300, 200],
        "model.ema": [None, 0.999],
    }
    assert found["equal"] == {
        "data.batch_size": 32,
        "loss.dice_weight": 1.5,
        "model.dropout": 0.15,
        "model.use_lmsa": True,
        "training.learning_rate": 8e-4,
        "training.warmup_epochs": 5,
    }
    scores = [json.loads((folder / "history.json").read_text())["val_f_score"] for folder in pair]
    for name, curve in zip("ab", scores, strict=True):
        best = max(curve)
        assert found["best"][name] == {"score": best, "epoch": curve.index(best) + 1}
    for window in (5, 9):
        peaks = [np.convolve(curve, np.full(window, 1 / window), "valid").max() for curve in scores]
        assert found["means"][str(window)] == pytest.approx(peaks, abs=1e-12)
    assert found["verdict"] == "not distinguishable"
    assert found["claims"] == [
        {"text": claim, "found": False},
        {"text": "epochs 300 -> 200", "found": True},
    ]
    staged = command("compare", "a", "b", "--json", "--stages", "5,30,90,120").json["stages"]
    assert [(stage["first"], stage["last"]) for stage in staged["b"]][1:4:2] == [(6, 30), (91, 120)]
    assert staged["b"][1]["score"] == pytest.approx(np.mean(scores[1][5:30]))
    assert not list(search.folder.rglob("*.db")), "two folders need no database"
    assert "a mean is the best over that many consecutive epochs" in command("compare", "a", "b").out


def test_scores_by_image_of_both_best_epochs_widen_the_interval(
    command: Command, pair: tuple[Path, Path]
) -> None:
    assert command("compare", "a", "b", "--json").json["over_images"] is None
    rng, by_run = np.random.default_rng(0), []
    for folder in pair:
        curve = json.loads((folder / "history.json").read_text())["val_f_score"]
        images = {f"{image}.png": float(score) for image, score in enumerate(rng.random(40))}
        kept = {"epoch": int(np.argmax(curve)) + 1, "score": max(curve), "images": images}
        (folder / "images.json").write_text(json.dumps(kept))
        by_run.append(np.array(list(images.values())))
    found = command("compare", "a", "b", "--json").json["over_images"]
    of_images = (by_run[1] - by_run[0]).std(ddof=1) / np.sqrt(40)
    assert found["images"] == 40
    assert found["difference"]["high"] - found["difference"]["low"] > 2 * 2.02 * of_images
    assert "on these 40 validation images" in " ".join(command("compare", "a", "b").out.split())
    stale = json.loads((pair[0] / "images.json").read_text()) | {"epoch": 1}
    (pair[0] / "images.json").write_text(json.dumps(stale))
    assert command("compare", "a", "b", "--json").json["over_images"] is None, "of another epoch"


def test_a_changed_number_changes_the_output(command: Command, pair: tuple[Path, Path]) -> None:
    before = command("compare", "a", "b", "--json").json
    copy = pair[1].with_name("copy")
    shutil.copytree(pair[1], copy)
    assert {**before} == command("compare", "a", "copy", "--json").json
    columns = json.loads((copy / "history.json").read_text())
    columns["val_f_score"][50] = 0.9
    (copy / "history.json").write_text(json.dumps(columns))
    after = command("compare", "a", "copy", "--json").json
    assert after["best"]["b"] == {"score": 0.9, "epoch": 51}
    assert after["means"]["5"][1] > before["means"]["5"][1]
    (copy / "config.yaml").write_text(OTHER.replace("8e-4", "1.6e-3"))
    after = command("compare", "a", "copy", "--json", "--claim", "LR 8e-4 -> 1.6e-3").json
    assert after["changed"]["training.learning_rate"] == [8e-4, 1.6e-3]
    assert after["claims"][0]["found"] is True


def test_a_better_run_is_called_better(command: Command, search: Search) -> None:
    record(search.folder / "low", CONFIG, history(112, 1))
    record(search.folder / "high", CONFIG, history(112, 2, level=0.72))
    assert command("compare", "low", "high", "--json").json["verdict"] == "b better"
    assert command("compare", "high", "low", "--json").json["verdict"] == "a better"
    same = command("compare", "low", "low", "--json").json
    assert (same["changed"], same["verdict"]) == ({}, "not distinguishable")


def test_trials_and_folders_can_be_mixed(command: Command, search: Search, pair: tuple[Path, Path]) -> None:
    study = search.create(trials=3)
    command("worker")
    found = command("compare", "0", "1", "--json").json
    records = search.records()
    assert found["changed"]["x"] == [0.3, records[1].params["x"]]
    assert found["equal"] | {"epochs": 4, "seed": 7} == found["equal"]
    assert found["best"]["a"] == {"score": records[0].best_score, "epoch": records[0].best_epoch}
    assert found["verdict"] == "not distinguishable", "four epochs are too few"
    assert command("compare", "by hand", "1", "--json").json == found
    assert command("compare", "best", "0", "--json").json["best"]["a"]["score"] == max(
        record.best_score or 0 for record in records
    )
    # A trial beside a folder is read from what it wrote, in the folder's layout.
    written = search.runs / "trial-0001"
    for name in ("config.yaml", "history.json"):
        shutil.copy(pair[0] / name, written / name)
    mixed = command("compare", "1", "b", "--json").json
    assert mixed == command("compare", "a", "b", "--json").json
    assert study.name == "toy"
    # Where stages end is the study's to say, and --stages says otherwise; two folders are of no study.
    command("start", "--workers", "0", "--set", "report.stages=[1, 2, 3, 30]", "--update")
    for arguments, ends in (["0", "1"], [1, 2, 3, 4]), (["0", "1", "--stages", "1,3,30,40"], [1, 3, 4]):
        staged = command("compare", *arguments, "--json").json["stages"]
        assert [stage["last"] for stage in staged["b"]] == ends
    assert command("compare", "1", "b", "--json").json["stages"]["b"][-1]["last"] == 143
    assert "stages" not in command("compare", "a", "b", "--json").json


def test_ours_beside_an_older_run_by_the_older_metric(tmp_path: Path) -> None:
    older = history(40, 1)
    ours = {**history(40, 2), "val_fscore_batch32": [0.5 + 0.001 * epoch for epoch in range(40)]}
    a = read_run(record(tmp_path / "a", CONFIG, older))
    b = read_run(record(tmp_path / "b", CONFIG, ours))
    found = compare(a, b)
    assert found.b.best_score == pytest.approx(0.539) and "pooled" in found.notes[0]
    assert compare(b, b).b.best_score == max(ours["val_f_score"])
    assert compare(b, a).a.best_score == pytest.approx(0.539)


def test_a_minimised_score_is_compared_the_other_way() -> None:
    rng = np.random.default_rng(0)

    def run(name: str, level: float) -> RecordedRun:
        scores = level + 3 * np.exp(-np.arange(1, 61) / 8) + rng.normal(0, 0.01, 60)
        return RecordedRun(name=name, leaves={}, scores=scores.tolist(), direction="minimize")

    a, b = run("a", 1.0), run("b", 0.9)
    found = compare(a, b)
    assert found.evidence.verdict == "b better" and found.a.best_score == min(a.scores, key=float)
    with pytest.raises(UserError, match="higher scores are better"):
        compare(RecordedRun(name="c", leaves={}, scores=a.scores), b)


def test_no_nan_in_json(command: Command, search: Search) -> None:
    columns = history(60, 1)
    columns["val_f_score"][10] = math.nan
    columns["lr"][3] = math.inf
    record(search.folder / "a", CONFIG.replace("1.5", ".nan"), columns)
    record(search.folder / "b", CONFIG, history(60, 2))
    found = command("compare", "a", "b", "--json").json
    assert found["changed"]["loss.dice_weight"] == [None, 1.5]


def test_two_folders_load_neither_torch_nor_optuna(pair: tuple[Path, Path]) -> None:
    code = (
        "import sys; from search.cli.app import main\n"
        "try: main(['compare', *sys.argv[1:]])\n"
        "except SystemExit: print([m for m in ('torch', 'optuna', 'sqlalchemy.orm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, pair)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done


def test_what_the_figures_do_not_show() -> None:
    def run(name: str, epochs: int, seed: int, unfinished: str | None = None) -> RecordedRun:
        scores = history(epochs, seed)["val_f_score"]
        return RecordedRun(name=name, leaves={}, scores=scores, unfinished=unfinished)

    assert not compare(run("a", 60, 1), run("b", 100, 2)).notes
    (pruned,) = compare(run("a", 60, 1, "pruned"), run("b", 100, 2)).notes
    assert "a is pruned at epoch 60" in pruned
    (longer,) = compare(run("a", 160, 1), run("b", 60, 2)).notes
    assert "a has 160 epochs and b 60" in longer
    (twice,) = compare(run("a", 60, 1), run("b", 60, 1)).notes
    assert "to the last digit" in twice


# -- wrong input -----------------------------------------------------------------------------------

HISTORY = json.dumps(history(20, 1))
WRONG = {
    "not JSON": ("history.json", "{nonsense", ["not JSON"]),
    "cut off": ("history.json", HISTORY[:300], ["not JSON, or cut off"]),
    "a list": ("history.json", "[1, 2]", ["[1, 2]", "val_f_score"]),
    "no score": ("history.json", '{"lr": [1.0]}', ["no val_f_score", "lr"]),
    "unequal lengths": ("history.json", '{"val_f_score": [0.1, 0.2], "lr": [1]}', ["lr has 1", "has 2"]),
    "a text for a score": ("history.json", '{"val_f_score": [0.1, "high"]}', ["epoch 2", "'high'"]),
    "true for a score": ("history.json", '{"val_f_score": [true]}', ["epoch 1", "true"]),
    "a list for a score": ("history.json", '{"val_f_score": [[0.1]]}', ["epoch 1", "[0.1]"]),
    "no epoch": ("history.json", '{"val_f_score": []}', ["no score"]),
    "only nulls": ("history.json", '{"val_f_score": [null]}', ["no score"]),
    "a number for a list": ("history.json", '{"val_f_score": 0.7}', ["0.7", "not a list"]),
    "too many digits": ("history.json", '{"val_f_score": [1%s]}' % ("0" * 400), ["epoch 1", "digits"]),
    "an empty history": ("history.json", "", ["not JSON"]),
    "bytes": ("history.json", "\udcff", ["UTF-8"]),
    "an empty config": ("config.yaml", "", ["is empty"]),
    "a config that is a list": ("config.yaml", "- 1\n", ["[1]", "not sections"]),
    "a config that is not YAML": ("config.yaml", "a: [1\n", [":2:1", "not YAML"]),
    "a leaf given twice": ("config.yaml", "a: 1\na: 2\n", [":2:1", "given twice"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_of_a_run_is_named(
    command: Command, search: Search, pair: tuple[Path, Path], case: str
) -> None:
    name, text, expected = WRONG[case]
    (pair[1] / name).write_bytes(text.encode(errors="surrogateescape"))
    line = refused(command, search.folder, "compare", "a", "b")
    assert all(part in line for part in [f"b/{name}", *expected]), line


def test_a_missing_file_of_a_run_is_named(
    command: Command, search: Search, pair: tuple[Path, Path]
) -> None:
    assert "nowhere: no such folder" in refused(command, search.folder, "compare", "a", "./nowhere")
    for name in ("history.json", "config.yaml"):
        (pair[1] / name).unlink()
        assert f"b/{name}: no such file" in refused(command, search.folder, "compare", "a", "b")
    assert "a/config.yaml/x" in refused(command, search.folder, "compare", "a", "a/config.yaml/x")


def test_names_of_no_run_are_refused_in_one_line(
    command: Command, search: Search, pair: tuple[Path, Path]
) -> None:
    search.create()
    for b, expected in {
        "7": "7 is not a trial",
        "9" * 5000: "is no trial's number",
        "best": "no complete trial yet",
        "by hand": "by hand",
        "nonsense": "'nonsense' is no trial's number",
    }.items():
        answer = command("compare", "a", b, code=2)  # SQLite's own files beside a database come and go
        (line,) = answer.err.splitlines()
        assert expected in line and len(line) < 400 and answer.out == ""


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--claim", "LR doubled", "not of the form NAME OLD -> NEW"),
        ("--claim", "4e-4 -> 8e-4", "not of the form NAME OLD -> NEW"),
        ("--claim", "", "not of the form NAME OLD -> NEW"),
        ("--stages", "5,30", "4 ascending epochs"),
        ("--stages", "5,30,20,90", "4 ascending epochs"),
        ("--stages", "a,b,c,d", "4 ascending epochs"),
        ("--stages", "5,5,30,90", "4 ascending epochs"),
    ],
)
def test_wrong_flags_of_compare_are_refused(
    command: Command, search: Search, pair: tuple[Path, Path], flag: str, value: str, expected: str
) -> None:
    line = refused(command, search.folder, "compare", "a", "b", flag, value)
    assert flag in line and expected in line


def test_a_number_needs_a_study(
    command: Command, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEARCH_STUDY")
    answer = command("compare", "a", "3", code=2)
    assert "--study" in answer.err and len(answer.err.splitlines()) == 1


# -- claims ----------------------------------------------------------------------------------------

OLD = {
    "training.learning_rate": 8e-4,
    "training.epochs": 300,
    "model.dropout": 0.1,
    "training.scheduler": "CosineAnnealingLR",
}
NEW = {**OLD, "training.epochs": 200, "model.dropout": 0.1503, "gpu_augmentation.rotation_degrees": 15}


@pytest.mark.parametrize(
    ("text", "found", "said"),
    [
        ("LR 4e-4 -> 8e-4", False, "equal: training.learning_rate is 8e-4 in both"),
        ("learning rate: 4e-4 → 8e-4", False, "in both"),
        ("lr 8e-4 -> 8e-4", True, "8e-4"),
        ("Epochs 300 -> 200", True, "training.epochs 300 → 200"),
        ("horizon from 300 to 200", True, "300 → 200"),
        ("epochs 299->200", False, "300 → 200"),
        ("drop-out 0.1 => 0.15", True, "dropout"),
        ("dropout 0.1 -> 0.2", False, "0.1 → 0.15"),
        ("training.epochs 300 -> 200", True, "300 → 200"),
        ("rotation degrees none -> 15", True, "– → 15"),
        ("scheduler cosine_annealing_lr -> OneCycleLR", False, "in both"),
        ("warm-up 0 -> 5", False, "neither run records warm-up"),
    ],
)
def test_a_claim_is_checked_against_the_configs(text: str, found: bool, said: str) -> None:
    finding = check_claim(parse_claim(text), OLD, NEW, vocabulary_of())
    assert (finding.text, finding.found) == (text, found) and said in finding.recorded, finding


def test_leaves_of_different_kinds_differ() -> None:
    changed, equal = differences({"a": 1, "b": True, "c": 1}, {"a": 1.0, "b": 1})
    assert changed == {"b": (True, 1), "c": (1, None)} and equal == {"a": 1}


# -- stages ----------------------------------------------------------------------------------------


def test_stages_are_plain_means() -> None:
    scores, train = np.linspace(0.1, 0.7, 50), np.linspace(0.0, 0.9, 50)
    found = stages([5, 20, 30, 60], scores.tolist(), train.tolist(), [0.5] * 50)
    assert [(stage.name, stage.first, stage.last) for stage in found] == [
        ("warm-up", 1, 5),
        ("fast learning", 6, 20),
        ("steady climb", 21, 30),
        ("peak", 31, 50),
    ]
    for stage in found:
        here = slice(stage.first - 1, stage.last)
        assert stage.score == pytest.approx(scores[here].mean())
        assert stage.gap == pytest.approx(100 * (train - scores)[here].mean())
        assert stage.lr == 0.5
    assert stages([0, 2, 3, 4], [0.1, None, 0.3])[0].score == pytest.approx(0.1)
    assert parse_ends("5, 30,90,120") == [5, 30, 90, 120]


def test_boundaries_of_stages_ascend() -> None:
    for scores in ([0.5], [0.1, 0.2, 0.3], history(100, 3)["val_f_score"], [0.5] * 9):
        ends = boundaries(scores, 5)
        assert len(ends) == 4 and ends == sorted(ends) and ends[0] == 5
        assert stages(ends, scores)[-1].last == len(scores)


# -- on a terminal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_the_comparison_fits_the_terminal(tmp_path: Path, width: int) -> None:
    a = read_run(record(tmp_path / "microsegformer_20251008_025917", CONFIG, history(112, 1)))
    b = read_run(record(tmp_path / "microsegformer_20251009_173630", OTHER, history(143, 2)))
    found = compare(a, b, [parse_claim("LR 4e-4 -> 8e-4")], [5, 30, 90, 120])
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(RichBlocks(comparison_blocks(found)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    for part in (
        "Not distinguishable",
        "300",
        "learning_rate 8e-4",
        "fast learning",
        "not found",
        "One run each",
    ):
        assert part in text, part


def test_foreign_text_is_no_markup(command: Command, pair: tuple[Path, Path]) -> None:
    """Neither a style nor an error, and the cursor stays where it is."""
    for folder in pair:
        nasty = f'note: "[/bold] \\e[2J {folder.name}"\n"[/red]": 1\n'
        (folder / "config.yaml").write_text(CONFIG + nasty)
    answer = command("compare", "a", "b", "--claim", "note [/a] -> [/b]")
    assert "[/bold]" in answer.out and "[/red]" in answer.out and "[/a] -> [/b]" in answer.out
    assert "\x1b" not in answer.out


# -- the recorded hand runs ------------------------------------------------------------------------


def test_the_recorded_hand_runs_are_compared() -> None:
    folder = SHARED / "data" / "recorded-runs"
    if not folder.is_dir():
        pytest.skip("no recorded hand runs beside the checkout")
    a = read_run(folder / "microsegformer_20251008_025917")
    b = read_run(folder / "microsegformer_20251009_173630")
    found = compare(a, b, [parse_claim("learning rate 4e-4 -> 8e-4")], [5, 30, 90, 120])
    changed = {leaf: values for leaf, values in found.changed.items() if "augmentation" not in leaf}
    assert changed == {
        "training.epochs": (300, 200),
        "training.early_stopping_patience": (None, 30),
        "data.num_workers": (16, 4),
    }
    assert len(found.changed) > len(changed), "the augmentation changed"
    for leaf, value in {
        "training.learning_rate": 8e-4,
        "training.weight_decay": 1e-4,
        "model.dropout": 0.15,
        "training.warmup_epochs": 5,
        "loss.dice_weight": 1.5,
    }.items():
        assert found.equal[leaf] == value
    assert (round(found.a.best_score, 4), found.a.best_epoch) == (0.6889, 92)
    assert (round(found.b.best_score, 4), found.b.best_epoch) == (0.7041, 113)
    assert [round(side.means[9], 4) for side in (found.a, found.b)] == [0.6677, 0.6693]
    assert found.evidence.verdict == "not distinguishable"
    assert not found.claims[0].found
    assert [round(stage.score or 0, 4) for stage in found.b.stages] == [
        0.1108,
        0.4668,
        0.6319,
        0.6635,
        0.6569,
    ]
    assert [round(stage.gap or 0, 2) for stage in found.b.stages] == [0.74, -2.1, 2.41, 6.08, 9.84]
