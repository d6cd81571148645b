"""A set larger than what may be in memory is decoded as a stream, and read for an epoch."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "large_set.py"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("images", "side", "most"),
    [
        (500, 256, 90),
        pytest.param(20_000, 64, 180, marks=pytest.mark.nightly),
    ],
)
def test_memory_does_not_grow_with_the_set(images: int, side: int, most: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--images", str(images), "--size", str(side)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    cached, decoded, read = done.stdout.splitlines()
    assert int(cached.split(": ")[1].split(" MB")[0]) > 1.3 * most
    for line in (decoded, read):
        assert int(line.split("s, ")[1].split(" MB")[0]) < most, done.stdout
