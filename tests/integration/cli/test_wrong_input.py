"""Wrong input of every kind: exit code 2, ONE line with place, value and remedy, and nothing written."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import Command, refused
from service import DOCUMENT, Search

from search.spec.spec import stock_space


def edited(old: str, new: str) -> str:
    """The toy's document with one change."""
    assert old in DOCUMENT
    return DOCUMENT.replace(old, new)


X = "x: {low: 0.0, high: 1.0}"

DOCUMENTS = {
    "empty": ("", ["space.yaml", "is empty", "objective and space"]),
    "a list": ("- 1\n- 2\n", ["space.yaml", "[1, 2]", "names and values"]),
    "not YAML": ("objective: [toy\n", ["space.yaml:2:1", "not YAML"]),
    "a tab": ("study:\n\ttrials: 3\n", ["space.yaml:2:1", "indent with spaces"]),
    "no objective": (edited("objective: toy\n", ""), ["space.yaml", "objective: MODULE"]),
    "unknown section": (edited("known:", "knwon:"), ["space.yaml:16:1", "'knwon'", "did you mean 'known'"]),
    "given twice": (edited("epochs: 4", "x: 4"), ["space.yaml:12:3", "'x' is given twice", "keep one"]),
    "low above high": (edited(X, "x: {low: 2, high: 1}"), ["space.yaml:9:3", "low 2 is not below high 1"]),
    "no high": (edited(X, "x: {low: 2}"), ["space.yaml:9:3", "has no high", "a range needs"]),
    "unknown word": (edited(X, "x: {low: 0, hihg: 1}"), ["space.yaml:9:15", "'hihg'", "'high'"]),
    "log of zero": (
        edited("high: 1.0", "high: 1.0, log: true"),
        ["space.yaml:9:7", "low 0.0", "omit log"],
    ),
    "off the grid": (
        edited("high: 1.0", "high: 1.0, step: 0.3"),
        ["space.yaml:9:28", "0.3", "make high 0.9"],
    ),
    "a text for a number": (
        edited("low: 0.0", "low: none"),
        ["space.yaml:9:7", "'none'", "not a finite number"],
    ),
    "no choices": (edited("[plain, bent]", "[]"), ["space.yaml:10:10", "choices is empty", "at least two"]),
    "condition that cannot hold": (edited("{kind: bent}", "{kind: bnet}"), ["space.yaml:11:34", "'bnet'"]),
    "condition on nothing": (
        edited("{kind: bent}", "{kidn: bent}"),
        ["space.yaml:11:34", "did you mean 'kind'"],
    ),
    "known outside": (
        edited("x: 0.3", "x: 1.3"),
        ["space.yaml:17:21", "by hand", "1.3 is not within 0.0 to 1.0"],
    ),
    "known incomplete": (edited("x: 0.3, ", ""), ["space.yaml:17:5", "by hand", "x: has no value"]),
    "known called as a trial": (edited("by hand", "'12'"), ["17:6", "'12' is what a trial is called"]),
    "known called best": (
        edited("by hand", "Best"),
        ["space.yaml:17:6", "'Best' is what a trial is called"],
    ),
    "known that read the same": (
        edited("known:\n", "known:\n  - {name: By Hand, x: 0.4, kind: plain}\n"),
        ["space.yaml:18:6", "'by hand' and 'By Hand' read the same; rename one"],
    ),
    "target in percent": (
        edited("target: 0.9", "target: 71"),
        ["5:3", "71 is not a score from 0 to 1"],
    ),
    "stop rule in percent": (
        edited("trials: 3", "stop: {target: 84}"),
        ["space.yaml:3:10: study.stop.target: 84 is not a score from 0 to 1; divide percentages by 100"],
    ),
    "objective that is a path": (
        edited(": toy", ": ./toy.py"),
        ["space.yaml:1:1: objective: './toy.py' is a path; name the module as `import` does"],
    ),
    "belief about nothing": (
        edited("profiles:", "avoid: [{name: a, y: {above: 1}}]\nprofiles:"),
        ["space.yaml:18:19", "y: the space has no such name"],
    ),
    "stages of a report": (
        edited("profiles:", "report: {stages: [5, 30, 20, 90]}\nprofiles:"),
        ["space.yaml:18:10", "report.stages: [5, 30, 20, 90]", "4 ascending epochs", "[5, 30, 90, 120]"],
    ),
    "no parameter": (
        "objective: toy\nspace: {epochs: 3}\n",
        ["space.yaml:2:1", "no parameter to search", "low and high"],
    ),
    "unknown sampler": (
        edited("kind: random", "kind: rnadom"),
        ["space.yaml:6:13", "'rnadom'", "'random'"],
    ),
    "sampler option": (
        edited("kind: random", "kind: tpe, ei: 3"),
        ["space.yaml:6:24", "study.sampler: 'ei' is not one of constant_liar, group, multivariate, n_ei_"],
    ),
    "sampler option that is no number": (
        edited("kind: random", "kind: tpe, n_startup_trials: ten"),
        ["space.yaml:6:24", "study.sampler.n_startup_trials: 'ten' should be a valid integer"],
    ),
    "sampler options that exclude each other": (
        edited("kind: random", "kind: tpe, multivariate: false, group: true"),
        ["space.yaml:6:3", "study.sampler: ``group`` option can only be enabled when"],
    ),
    "sampler option that is taken by no option": (
        edited("kind: random", "kind: random, n_startup_trials: 3"),
        ["space.yaml:6:27", "n_startup_trials: the sampler 'random' has no options"],
    ),
    "budget beyond the database": (
        edited("trials: 3", "trials: 2147483648"),
        ["space.yaml:3:3", "study.trials: 2147483648 is above 2147483647"],
    ),
    "integers beyond the database": (
        edited("low: 1, high: 9", "low: 1, high: 9007199254740993"),
        ["space.yaml:11:3", "bend", "goes beyond 9007199254740992"],
    ),
    "constants that were meant as a range": (
        edited("epochs: 4", "epochs: {min: 1, max: 4}"),
        ["epochs: a parameter is written with low and high, not 'min' and 'max'"],
    ),
    "pruner option that is missing": (
        edited("kind: none", "kind: percentile"),
        ["space.yaml:7:3", "study.pruner: missing 1 required keyword-only argument: 'percentile'"],
    ),
    "unknown pruner": (edited("kind: none", "kind: medain"), ["space.yaml:7:12", "'medain'", "'median'"]),
    "pruner option": (
        edited("kind: none", "kind: successive_halving, min_resource: 0"),
        [
            "space.yaml:7:",
            "study.pruner.min_resource: 0 should be greater than or equal to 1 or should be 'auto'",
        ],
    ),
    "no budget": (edited("trials: 3", "trials: 0"), ["space.yaml:3:3", "study.trials: 0 is below 1"]),
    "direction": (edited("trials: 3", "direction: up"), ["space.yaml:3:3", "'up'", "maximize, minimize"]),
    "seed": (edited("seed: 7", "seed: -7"), ["space.yaml:6:27", "study.sampler.seed: -7 is below 0"]),
    "objective that is not there": (
        edited(": toy", ": tyo"),
        ["space.yaml:1:1", "no module named 'tyo'", "PYTHONPATH"],
    ),
    "objective that is none": (
        edited(": toy", ": json"),
        ["space.yaml:1:1", "json has no function train(config, run)"],
    ),
    "objective that is a number": (
        edited(": toy", ": 7"),
        ["space.yaml:1:1", "7 is not the name of a module"],
    ),
    "profile of an unknown section": (
        edited("short: {space", "short: {spcae"),
        ["space.yaml:19:11", "'spcae'", "did you mean 'space'"],
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_wrong_document_is_refused_in_one_line(search: Search, command: Command, name: str) -> None:
    document, said = DOCUMENTS[name]
    (search.folder / "space.yaml").write_text(document)
    line = refused(command, search.folder, "start")
    for part in said:
        assert part in line


FLAGS = {
    "set without a value": (["--set", "epochs"], ["--set 'epochs'", "NAME=VALUE"]),
    "set with an empty value": (["--set", "epochs="], ["--set epochs", "has no value"]),
    "set of an unknown setting": (
        ["--set", "study.smoth=3"],
        ["--set study.smoth", "did you mean 'smooth'"],
    ),
    "set below a value": (["--set", "epochs.most=3"], ["--set epochs.most", "not a section"]),
    "set of a section": (["--set", "data=3"], ["--set data", "set data.version"]),
    "set of the known": (["--set", "known=[]"], ["--set known", "edit the file"]),
    "set out of order": (["--set", "x.low=2"], ["x", "low 2", "not below high 1"]),
    "no such document": (["--space", "other.yaml"], ["other.yaml", "no such file"]),
    "document is a folder": (["--space", "."], ["is a folder", "name the file"]),
    "unknown profile": (["--profile", "long"], ["space.yaml:18:1", "'long'", "short"]),
    "no trials": (["--trials", "0"], ["--trials", "greater than or equal to 1, not '0'"]),
    "trials in words": (["--trials", "many"], ["--trials", "'many'", "integer"]),
    "an army of workers": (["--workers", "99999999"], ["--workers", "less than or equal to 1000"]),
    "no workers": (["--workers", "-1"], ["--workers", "greater than or equal to 0, not '-1'"]),
    "a GPU that is not there": (["--gpus", "97"], ["--gpus", "97", "not on this machine"]),
    "GPUs in words": (["--gpus", "all"], ["--gpus", "all", "not on this machine"]),
    "unknown flag": (["--trails", "3"], ["--trails", "--trials"]),
    "one argument too many": (["mseg"], ["mseg"]),
    "study without a name": (["--study", ""], ["--study", "''", "letters"]),
    "study above its folder": (["--study", "../mine"], ["--study", "'../mine'", "letters"]),
    "study with a slash": (["--study", "a/b"], ["--study", "'a/b'", "letters"]),
    "study of two lines": (["--study", "a\nb"], ["--study", r"'a\nb'", "letters"]),
    "study with a long name": (["--study", "a" * 400], ["--study", "aaa...", "120 letters"]),
    "storage is no URL": (["--storage", "search.db"], ["storage", "not a database URL", "sqlite:///"]),
    "storage of another kind": (["--storage", "mysql://u@h/d"], ["storage", "'mysql'", "postgresql://"]),
    "storage in memory": (["--storage", "sqlite://"], ["storage", "in memory", "sqlite:///runs"]),
    "storage in no folder": (
        ["--storage", "sqlite:////proc/no/x.db"],
        ["storage", "/proc/no", "--storage"],
    ),
    "storage is a folder": (["--storage", "sqlite:///."], ["storage", "unable to open", "--storage"]),
    "storage is no database": (
        ["--storage", "sqlite:///space.yaml"],
        ["storage", "not a database", "--storage"],
    ),
    "storage that does not answer": (
        ["--storage", "postgresql://u:secret@127.0.0.1:1/d"],
        ["storage", "127.0.0.1", "refused", "--storage"],
    ),
    "artifacts by an unset variable": (
        ["--artifacts", ""],
        ["--artifacts", "it is empty", "omit"],
    ),
    "device by an unset variable": (["--device", " "], ["--device", "it is empty"]),
    "GPUs by an unset variable": (["--gpus", ""], ["--gpus", "it is empty"]),
    "modules by an unset variable": (["--objective", ""], ["--objective", "it is empty"]),
    "nothing to run at the end": (["--on-end", ""], ["--on-end", "it is empty"]),
    "artifacts is a file": (
        ["--artifacts", "space.yaml"],
        ["--artifacts", "space.yaml", "a folder or s3:"],
    ),
    "artifacts of another kind": (["--artifacts", "gs://mine/mseg"], ["--artifacts", "'gs://mine/mseg'"]),
    "artifacts without a bucket": (["--artifacts", "s3://"], ["--artifacts", "'s3://'", "s3://BUCKET"]),
    "artifacts with a secret": (["--artifacts", "s3://id:secret@mine"], ["--artifacts", "AWS_ACCESS_KEY"]),
    "runs is a file": (["--runs", "space.yaml"], ["--runs", "space.yaml", "folder"]),
}


@pytest.mark.parametrize("name", FLAGS)
def test_a_wrong_flag_of_start_is_refused_in_one_line(search: Search, command: Command, name: str) -> None:
    flags, said = FLAGS[name]
    line = refused(command, search.folder, "start", *flags)
    for part in said:
        assert part in line
    assert "secret" not in line


def test_a_database_that_is_not_there(search: Search, command: Command, postgres_url: str) -> None:
    line = refused(command, search.folder, "start", "--storage", postgres_url.replace("/test_", "/no_", 1))
    assert 'database "no_' in line and "--storage" in line


COMMANDS = {
    "status": ["status"],
    "trials": ["trials"],
    "best": ["best"],
    "stop": ["stop"],
    "worker": ["worker"],
    "dashboard": ["dashboard"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_study_that_is_not_there(search: Search, command: Command, name: str) -> None:
    line = refused(command, search.folder, name, "--study", "other")
    assert "--study: no study 'other'" in line and "search start" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sttaus"], ["sttaus"]),
        (["trials", "ninth"], ["'ninth'", "integer"]),
        (["trials", "-1"], ["-1"]),
        (["trials", "99999999999999999999"], ["99999999999999999999", "2147483647"]),
        (["start", "--trials", "4294967296"], ["4294967296", "2147483647"]),
        (["dashboard", "--port", "99999"], ["--port", "99999"]),
        (["dashboard"], ["--storage: no study", "search start"]),
        (["check", "--set", "x.low=2"], ["x", "low 2"]),
        (["check", "--gpus", "97"], ["--gpus", "97"]),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(
    search: Search,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: list[str],
) -> None:
    if arguments == ["dashboard"]:
        monkeypatch.delenv("SEARCH_STUDY")
    line = refused(command, search.folder, *arguments)
    for part in said:
        assert part in line


@pytest.mark.parametrize("given", ["10m", "0", "-5", "nan", "inf"])
def test_seconds_after_which_a_trial_hangs(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("SEARCH_HANG_SECONDS", given)
    assert f"SEARCH_HANG_SECONDS: {given!r} is not" in refused(command, search.folder, "start")


def test_an_address_that_the_dashboard_cannot_listen_on(search: Search, command: Command) -> None:
    search.create(trials=1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        line = command("dashboard", "--port", port, code=2).err
    assert (
        line == f"--host, --port: cannot listen on 127.0.0.1:{port}: Address already in use; name another\n"
    )
    assert (
        "cannot listen on nowhere.invalid:8080"
        in command("dashboard", "--host", "nowhere.invalid", code=2).err
    )


def test_no_study_is_named(search: Search, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEARCH_STUDY")
    assert "--study" in refused(command, search.folder, "status")


def test_a_file_with_the_url_that_is_not_there(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEARCH_STORAGE")
    monkeypatch.setenv("SEARCH_STORAGE_FILE", "/run/secrets/url")
    line = refused(command, search.folder, "start")
    assert "SEARCH_STORAGE_FILE: /run/secrets/url" in line and "name a file" in line


TRAIN = "def train(config, run):\n    yield\n\n\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def train(config, run:\n", "SyntaxError"),
        ("from search.objective import EpochResults\n", "ImportError"),
        ("import nothing_like_this\n", "'nothing_like_this', which is not installed"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        (
            f"{TRAIN}configure = lambda params: params['lr']\n",
            "fails with KeyError: 'lr'; --debug",
        ),
        (f"{TRAIN}configure = lambda params: exit(2)\n", "fails with SystemExit: 2"),
        (
            f"{TRAIN}describe = lambda config, data: 3\n",
            "describe returned 3 (int); it must be",
        ),
        (
            f"{TRAIN}constraints = lambda config, _: [3]\n",
            "constraints returned 3 (int); it must",
        ),
        (f"{TRAIN}constraints = lambda config, _: None\n", "constraints returned None (NoneType)"),
    ],
)
def test_an_objective_that_cannot_be_asked(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    name = f"mine_{abs(hash(source))}"
    (search.folder / f"{name}.py").write_text(source)
    (search.folder / "space.yaml").write_text(edited(": toy", f": {name}"))
    line = refused(command, search.folder, "start")
    assert line.startswith("space.yaml:1:1: objective: ") and said in line


def test_a_users_own_package_storage_is_named(search: Search, tmp_path: Path) -> None:
    (tmp_path / "lib" / "storage").mkdir(parents=True)
    (tmp_path / "lib" / "storage" / "__init__.py").touch()
    search.environment["PYTHONPATH"] = str(tmp_path / "lib")
    answer = search.run("status", code=2)
    assert answer.err.count("\n") == 1
    assert f"PYTHONPATH: {tmp_path / 'lib' / 'storage'} is found before" in answer.err


def test_debug_shows_where(search: Search, command: Command) -> None:
    answer = command("--debug", "start", "--trials", "3", "--set", "x.low=2", code=2)
    assert "Traceback" in answer.err and "low 2.0 is not below high 1.0" in answer.err


# -- the stock objective and its data --------------------------------------------------------------


def small_folder(root: Path) -> Path:
    """Four images with masks, as CelebAMask-HQ mini has them."""
    for part in ("images", "masks"):
        (root / "train" / part).mkdir(parents=True)
    for number in range(4):
        pixels = np.full((32, 32), number, np.uint8)
        Image.fromarray(np.stack([pixels] * 3, 2)).save(root / "train" / "images" / f"{number}.jpg")
        Image.fromarray(pixels).save(root / "train" / "masks" / f"{number}.png")
    return root


def no_images(root: Path) -> None:
    for path in (root / "train" / "images").iterdir():
        path.unlink()


def no_mask(root: Path) -> None:
    (root / "train" / "masks" / "2.png").unlink()


def class_out_of_range(root: Path) -> None:
    Image.fromarray(np.full((32, 32), 77, np.uint8)).save(root / "train" / "masks" / "2.png")


def other_size(root: Path) -> None:
    Image.fromarray(np.zeros((64, 32), np.uint8)).save(root / "train" / "masks" / "2.png")


def half_an_image(root: Path) -> None:
    path = root / "train" / "images" / "2.jpg"
    path.write_bytes(path.read_bytes()[:200])


def colours_for_classes(root: Path) -> None:
    Image.new("RGB", (32, 32), (200, 10, 10)).save(root / "train" / "masks" / "2.png")


def text_for_an_image(root: Path) -> None:
    (root / "train" / "images" / "2.jpg").write_text("not an image")


def classes_of_one_name(root: Path) -> None:
    (root / "dataset.yaml").write_text("classes: [face, face]\n")


def pairs_of_no_class(root: Path) -> None:
    (root / "dataset.yaml").write_text("classes: [nothing, face]\nmirror_pairs: [[1, 7]]\n")


DAMAGES = {
    no_images: ["train"],
    no_mask: ["2.jpg", "mask"],
    class_out_of_range: ["2.png", "77"],
    other_size: ["2.png", "32"],
    half_an_image: ["2.jpg"],
    colours_for_classes: ["2.png"],
    text_for_an_image: ["2.jpg"],
    classes_of_one_name: ["dataset.yaml", "'face' twice"],
    pairs_of_no_class: ["dataset.yaml", "mirror_pairs"],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_data_are_refused_in_one_line(
    search: Search, command: Command, damage: Callable[[Path], None]
) -> None:
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    root = small_folder(search.folder / "faces")
    damage(root)
    line = refused(command, search.folder, "start", "--data", str(root), "--set", "data.val_share=0.5")
    assert str(root) in line
    for part in DAMAGES[damage]:
        assert part in line


def test_a_share_that_leaves_nothing(search: Search, command: Command) -> None:
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    root = small_folder(search.folder / "faces")
    line = refused(command, search.folder, "start", "--data", str(root))
    assert "data.val_share: 0.1 of 4 images leaves 4 to train on and 0 to validate; change it" in line


def test_data_that_are_not_there(search: Search, command: Command) -> None:
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    line = refused(command, search.folder, "start", "--data", "faces")
    assert "faces: no such folder" in line and "--data" in line


SETTINGS = {
    "data.image_size=100": ["100", "a multiple of 8, 32 to 8192"],
    "data.image_size=[64, 64, 64]": ["[64, 64, 64]", "[height, width]"],
    "data.image_size=[64, 60]": ["[64, 60]", "a multiple of 8"],
    "data.image_size={low: 64, high: 128}": ["data.image_size: 65 should be a multiple of 8"],
    "data.fit=crop": ["data.fit", "'crop'", "'resize' or 'pad'"],
    "data.imagesize=96": ["data.imagesize", "image_size"],
    "data.source=foldre": ["data.source", "foldre", "folder"],
    "data.train_limit=0": ["data.train_limit", "0"],
    "model.kind=unett": ["model.kind", "unett", "did you mean 'unet'"],
    "model.dropout.high=1.5": ["model.dropout", "1.5"],
    "optimizer.learning_rate.high=-1": ["optimizer.learning_rate", "-1"],
    "optimizer.kind=adam": ["optimizer.kind", "adam", "adamw, muon, sgd"],
    "study.direction=minimize": ["minimize would look for the worst val F per image; write maximize"],
    "trainer.epochs=5000000000": ["trainer.epochs", "5000000000", "less than or equal to 1000000"],
    "study.score=val_iou": ["study.score", "val_iou", "val_fscore, val_miou"],
    "schedule.kind=cosin": ["schedule.kind", "cosin", "cosine"],
    "schedule.warmup_epochs=-1": ["schedule.warmup_epochs", "-1"],
    "loss.dice_weight=-1": ["loss.dice_weight", "-1"],
    "loss.kind=focal": ["loss.kind", "no such setting", "ce_weight"],
    "trainer.epochs=0": ["trainer.epochs", "0"],
    "trainer.batch_size=many": ["trainer.batch_size", "many"],
    "augment.flip=2": ["augment.flip", "2"],
    "augment.hue={low: 0, high: 2}": ["augment.hue", "2"],
    "augment.gamma_min={low: 0.5, high: 3}": ["augment.gamma_max", "1.5", "augment.gamma_min 3", "larger"],
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_of_the_stock_objective(search: Search, command: Command, setting: str) -> None:
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    line = refused(command, search.folder, "start", "--profile", "quick", "--set", setting)
    assert "--set" in line or "space.yaml" in line
    for part in SETTINGS[setting]:
        assert part in line
