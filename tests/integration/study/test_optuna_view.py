"""Optuna's own view of a study."""

import subprocess
import sys

CODE = """
import optuna
from search.study.optuna_view import Memory
optuna.create_study(storage=Memory([], 0))
"""


def test_studies_in_memory_are_not_announced() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
