"""A copy of the project, to which a test adds one definition and one entry as a contributor would."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0  # seconds; the machine may be busy


class ProjectCopy:
    """The packages, space.yaml and the toy objective in `folder`, where commands run from the copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("search", "storage"):
            shutil.copytree(ROOT / package, folder / package)
        for file in ("space.yaml", "tests/support/toy.py"):
            shutil.copy(ROOT / file, folder)

    def add(self, file: str, *, registry: str, entry: str, definition: str) -> None:
        """Inserts `definition` in front of the dict literal `registry` in `file`, and `entry` into it."""
        path = self.folder / file
        text = path.read_text()
        (start,) = re.finditer(rf"^{registry}\b[^\n]*\{{\n", text, re.MULTILINE)
        definition = f"{textwrap.dedent(definition).strip()}\n\n\n"
        path.write_text(
            f"{text[: start.start()]}{definition}{start.group()}    {entry},\n{text[start.end() :]}"
        )

    def run(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """Runs the copy's `search` with these arguments to its end, which must be a success; its stdout."""
        return self.python("-m", "search", *arguments, timeout=timeout)

    def python(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """Runs Python in the folder, where `import search` finds the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "SEARCH_GPUS": "none"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout
