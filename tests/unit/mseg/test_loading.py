"""Importing objectives: the vocabulary they have, the default one, and why an import fails."""

import sys
from itertools import islice
from pathlib import Path

import pytest

from search import mseg
from search.errors import SpaceError
from search.loading import load_objective, vocabulary_of
from search.mseg.config import SETTINGS
from search.mseg.naming import RECORDED_KINDS
from search.mseg.optimizers import OPTIMIZERS
from search.mseg.schedulers import SCHEDULES
from search.objective import CurveShape, Vocabulary


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder for modules of the user's own."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(name: str) -> str:
    with pytest.raises(SpaceError) as caught:
        load_objective(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_stock_objective_has_one() -> None:
    assert vocabulary_of() == vocabulary_of("search.mseg") == mseg.vocabulary


def test_recorded_kinds_are_kinds_there_are() -> None:
    assert RECORDED_KINDS.keys() <= OPTIMIZERS.keys() | SCHEDULES.keys()
    assert "schedule.warmup_epochs" in SETTINGS and "schedule.restart_epochs" in SETTINGS


def test_a_warm_up_delays_a_curve() -> None:
    shape = mseg.vocabulary.curve(
        {"schedule.kind": "cosine", "schedule.warmup_epochs": 4, "trainer.epochs": 9}
    )
    assert (shape.delay, shape.horizon, tuple(shape.restarts), shape.kind) == (4, 9, (), "cosine")
    assert mseg.vocabulary.curve({}) == CurveShape()


def test_warm_restarts_throw_a_curve_back_where_cycles_begin() -> None:
    params = {
        "schedule.kind": "warm_restarts",
        "schedule.warmup_epochs": 5,
        "schedule.restart_epochs": 10,
        "schedule.restart_factor": 2,
    }
    assert list(islice(mseg.vocabulary.curve(params).restarts, 3)) == [16, 36, 76]
    other = params | {"schedule.kind": "constant"}
    assert tuple(mseg.vocabulary.curve(other).restarts) == ()


@pytest.mark.parametrize("source", ["def train(config, run): ...\n", "import nothing_like_this\n", ""])
def test_an_objective_without_one_gets_the_default(folder: Path, source: str) -> None:
    name = f"silent_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(source)
    assert vocabulary_of(name) == Vocabulary()


def test_what_an_import_prints_stays_off_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "chatty.py").write_text("print('hello')\ndef train(config, run): ...\n")
    vocabulary_of("chatty")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize("package", ["search", "storage"])
@pytest.mark.parametrize(
    "source",
    ["from {0}.mine import x\n", "from {0} import mine\n", "import {0}\n{0}.mine\n", "import {0}.mine\n"],
)
def test_a_package_that_ours_hides_is_named(folder: Path, package: str, source: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    (folder / package / "mine.py").write_text("x = 1\n")
    name = f"beside_{package}_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(source.format(package))
    message = refusal(name)
    assert name in message and str(folder / package) in message
    assert "this program has a package" in message and "rename the folder" in message


def test_an_objective_in_a_package_that_ours_hides(folder: Path) -> None:
    (folder / "storage").mkdir()
    (folder / "storage" / "mine.py").write_text("def train(config, run): ...\n")
    assert "rename the folder" in refusal("storage.mine")


def test_a_misspelt_import_of_ours_is_no_hidden_package(folder: Path) -> None:
    (folder / "typo.py").write_text("from search.objective import EpochResults\n")
    message = refusal("typo")
    assert "ImportError" in message and "rename" not in message
