"""space.yaml in a wheel, and in a process that only reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STOCK = Path(__file__).parents[3] / "space.yaml"


def test_a_wheel_holds_the_stock_file(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="building needs setuptools, which this environment lacks")
    for name in ("pyproject.toml", "setup.py", "space.yaml", "README.md", "LICENSE"):
        shutil.copy(STOCK.parent / name, tmp_path)
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "__init__.py").touch()
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", "built"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "built" / "search" / "space.yaml").read_bytes() == STOCK.read_bytes()


def test_reading_a_spec_imports_neither_torch_nor_optuna() -> None:
    code = (
        "import sys; from search.spec import spec; spec.load_spec(spec.stock_space(), profile='quick');"
        "sys.exit(bool({'torch', 'optuna', 'numpy', 'sqlalchemy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=STOCK.parent, check=False).returncode == 0
