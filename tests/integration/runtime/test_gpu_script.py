"""`benchmarks/gpu.sh` on a machine with nothing but a Python, which here only says what it is asked."""

import argparse
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer

from search.cli.app import app

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu.sh"
PYTHON = f"""#!/bin/sh
[ "$2" = zipfile ] && exec {sys.executable} "$@"
echo asked: "$@"
ls "$(echo "$PYTHONPATH" | cut -d: -f2)"
case "$*" in *resume*) exit 3 ;; esac
"""


def run(folder: Path, part: str, *data: str, **variables: str) -> subprocess.CompletedProcess[str]:
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "DEVICE": "cpu"} | variables
    command = ["bash", str(SCRIPT), part, str(folder / "out"), *data]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


def test_a_part_goes_on_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    for name in ("helper-1.0-py3-none-any", "torch-9.9-cp311-linux"):
        with zipfile.ZipFile(tmp_path / "wheels" / f"{name}.whl", "w") as wheel:
            wheel.writestr(f"{name.split('-')[0]}_unpacked.py", "")
    done = run(tmp_path, "works", WHEELS=str(tmp_path / "wheels"))
    rows = [line.split("|")[1:3] for line in done.stdout.splitlines()[-6:]]
    results = {name.strip(): result.strip() for name, result in rows}
    assert done.returncode == 1, done.stderr
    assert results["cuda-and-cpu"] == "done" and results["resume"] == "failed (3)"
    assert results["attention"] == results["gpu-tests"] == "done"
    said = (tmp_path / "out" / "works" / "resume.txt").read_text()
    assert "asked: " in said and "gpu_checks.py resume --device cpu" in said
    assert "helper_unpacked.py" in said and "torch_unpacked.py" not in said
    assert "mseg_search-0.1.0.dist-info" in said, "trainings record the version"


@pytest.mark.parametrize("part", ["works", "time", "numbers", "service"])
def test_every_step_is_a_command_that_there_is(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step writes what it said; here, whether what it runs can be imported and takes its flags."""
    (tmp_path / "faces").mkdir()
    run(tmp_path, part, "faces", SMOKE="1")
    said = [path.read_text() for path in (tmp_path / "out" / part).glob("*.txt")]
    asked = [text.partition("asked: ")[2].partition("\n")[0].split() for text in said]
    scripts = [words for words in asked if words[0].endswith(".py")]
    assert len(scripts) == {"works": 4, "time": 2, "numbers": 2, "service": 4}[part]
    for words in scripts:
        assert takes_its_flags(words, monkeypatch), words
    searches = [words[3:] for words in asked if "search" in words]
    assert len(searches) == (part == "time")
    for words in searches:  # it reads its options, and then does nothing but help
        typer.main.get_command(app).main([*words, "--help"], standalone_mode=False)


def takes_its_flags(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Runs a script up to the point where it has read its command line."""

    class Parsed(Exception):
        pass

    really = argparse.ArgumentParser.parse_args

    def parse(*arguments: Any) -> None:
        raise Parsed(really(*arguments))

    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", words)
        patched.syspath_prepend(SCRIPT.parent)
        patched.setattr(argparse.ArgumentParser, "parse_args", parse)
        try:
            runpy.run_path(words[0], run_name="__main__")
        except Parsed:
            return True
    return False


def test_what_there_is_no_time_for_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "service", LIMIT="0")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "| assert | no time left | |"


def test_another_part_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, "everything")
    assert done.returncode == 2 and done.stderr.startswith("gpu.sh: everything is no part; name works")
    assert not (tmp_path / "out").exists()
