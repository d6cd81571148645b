"""The storm of `benchmarks/chaos.py` in small: its full form takes minutes, and root for PostgreSQL."""

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
STORM = "--database sqlite --epochs 6 --seconds 0.1 --lease 3 --patience 600"


@pytest.mark.parametrize(
    ("workers", "trials", "kills", "terms"),
    [(2, 5, 2, 1), pytest.param(3, 9, 6, 2, marks=pytest.mark.nightly)],
)
def test_a_storm_of_kills_breaks_no_promise(
    tmp_path: Path, workers: int, trials: int, kills: int, terms: int
) -> None:
    size = f"--workers {workers} --trials {trials} --kills {kills} --terms {terms} --stops 1"
    command = [sys.executable, CHAOS, "--seed", "3", "--keep", tmp_path, *STORM.split(), *size.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=700)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kill -9, {terms} SIGTERM, 1 SIGSTOP" in done.stdout
    assert f"trials   {trials} of {trials}:" in done.stdout and "0 running" in done.stdout
    assert "every promise held" in done.stdout
