"""One trained model for all tests of what is made from it."""

from pathlib import Path

import pytest
from trained import trained


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trained weights; tests only read it."""
    return trained(tmp_path_factory.mktemp("model") / "run")
