"""The storm of `benchmarks/chaos.py` in small: its full form takes minutes, and root for PostgreSQL."""

import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
SMALL = (
    "--database sqlite --workers 3 --trials 9 --epochs 6 --seconds 0.1 --lease 3 --patience 120 "
    "--kills 6 --terms 2 --stops 1"
)


def test_a_small_storm(tmp_path: Path) -> None:
    command = [sys.executable, CHAOS, "--seed", "3", "--keep", tmp_path, *SMALL.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kill -9, 2 SIGTERM, 1 SIGSTOP" in done.stdout
    assert "trials   9 of 9:" in done.stdout and "0 running" in done.stdout
    assert "every promise held" in done.stdout
