"""What users install: the source archive has all that the wheel needs, and the wheel runs a search."""

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = {
    "search/py.typed",
    "search/render/page.html",
    "search/schema/dataset.schema.json",
    "search/schema/space.schema.json",
    "search/space.yaml",
    "storage/py.typed",
}
SMALL = [
    "data.image_size=32",
    "data.drawn_images=20",
    "trainer.epochs=2",
    "schedule.warmup_epochs={low: 0, high: 1}",
    "schedule.restart_epochs={choices: [1, 2], when: {schedule.kind: warm_restarts}}",
]


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from the source archive, which was built from a copy."""
    folder = tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "tests")
    shutil.copytree(ROOT, folder / "checkout", ignore=ignored)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    run([sys.executable, "-c", code], folder / "checkout")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    offline = ["--no-build-isolation", "--no-deps", "--no-index", "-q"]
    run([sys.executable, "-m", "pip", "wheel", *offline, "-w", str(folder), str(source)], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.nightly
def test_a_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if ".dist-info/" not in name]
        metadata = email.message_from_bytes(
            packed.read(next(name for name in packed.namelist() if name.endswith("/METADATA")))
        )
    code = {
        str(path.relative_to(ROOT))
        for room in ("search", "storage")
        for path in (ROOT / room).rglob("*.py")
    }
    assert set(names) == code | DATA
    assert metadata["Version"] == PROJECT["version"] and metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


@pytest.mark.nightly
def test_an_installed_wheel_runs_a_search(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    offline = ["--no-deps", "--no-index", "-q", "--no-compile"]
    run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(installed), str(wheel)], tmp_path
    )
    work = tmp_path / "work"
    work.mkdir()
    python = [sys.executable, "-P"]

    def search(*arguments: str) -> str:
        return run([*python, "-m", "search", *arguments], work, PYTHONPATH=str(installed))

    where = run([*python, "-c", "import search; print(search.__file__)"], work, PYTHONPATH=str(installed))
    assert Path(where.strip()).is_relative_to(installed)
    assert search("--version") == f"mseg-search {PROJECT['version']}\n"
    assert (installed / "bin" / "search").exists()
    sets = [word for each in SMALL for word in ("--set", each)]
    search("start", "--study", "mseg", "--trials", "2", "--workers", "1", "--gpus", "none", *sets)
    status = json.loads(search("status", "--study", "mseg", "--json"))
    assert status["study"] == "mseg-quick" and status["budget"]["complete"] >= 1
    search("report", "--study", "mseg")
    assert (work / "runs" / "mseg-quick" / "report" / "report.html").exists()


@pytest.mark.nightly
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs mkdocs-material, which this environment lacks")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    run(command, ROOT, NO_MKDOCS_2_WARNING="1")
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if not (tmp_path / "site" / page / "index.html").exists()} == set()


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["title"].split(":")[0]) == (PROJECT["version"], PROJECT["name"])
    assert sorted(citation["keywords"]) == sorted(PROJECT["keywords"])
