"""Processes that are killed while they train or save: what they leave is whole, and is continued."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from trainings import SMALL, assert_same_run

from search.mseg import checkpoint, configure, train
from search.objective import Run

EVERYTHING = {"augment.mixup": 0.5, "augment.cutmix": 0.5, "trainer.ema": 0.9, "model.dropout": 0.2}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The number of threads can change the last bit."""
    torch.set_num_threads(1)


WRITERS = """
import os, sys, torch
from pathlib import Path
from search.mseg import checkpoint
for _ in sys.stdin:  # a line for each writer
    if writer := os.fork():
        os.waitpid(writer, 0)
        print("dead", flush=True)
        continue
    print(os.getpid(), flush=True)
    for epoch in range(1, 10**9):
        weights = {"weight": torch.full((400_000,), float(epoch))}
        checkpoint.write_weights(Path(sys.argv[1]), weights, {"epoch": epoch})
        checkpoint.settle_weights(Path(sys.argv[1]), best=True)
        checkpoint.save(Path(sys.argv[1]), {"epoch": epoch, "model": weights})
        print(epoch, flush=True)
"""


def test_killed_at_any_moment_leaves_whole_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw = random.Random(1)
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as writers:
        assert writers.stdin is not None and writers.stdout is not None
        for _ in range(4):
            writers.stdin.write("\n")
            writers.stdin.flush()
            pid = int(writers.stdout.readline())
            for _ in range(draw.randrange(3, 20)):
                saved = int(writers.stdout.readline())
            os.kill(pid, signal.SIGKILL)
            while (line := writers.stdout.readline()) != "dead\n":
                saved = int(line)
            loaded = checkpoint.load(tmp_path)
            assert loaded is not None
            assert loaded["epoch"] in (saved, saved + 1)
            assert (loaded["model"]["weight"] == loaded["epoch"]).all()
            best = safetensors.torch.load_file(tmp_path / "best.safetensors")["weight"]
            assert best[0].item() in (saved, saved + 1)
            assert (best == best[0]).all()
        writers.stdin.close()
    assert not caplog.records


KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from search.mseg import configure, train
from search.objective import Run

torch.set_num_threads(1)
batches = 0

def killed_in_mid_epoch():
    global batches
    batches += 1
    if batches == 6:  # the second batch of epoch 3
        os.kill(os.getpid(), signal.SIGKILL)
    return False

config, run = configure(json.loads(sys.argv[2])), Run(Path(sys.argv[1]), should_stop=killed_in_mid_epoch)
for result in train(config, run):
    print(result.epoch, flush=True)
"""


def test_a_run_killed_in_mid_epoch_costs_that_epoch(tmp_path: Path) -> None:
    params = SMALL | EVERYTHING
    straight, killed = Run(tmp_path / "straight"), Run(tmp_path / "killed")
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(killed.dir), json.dumps(params)],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.returncode == -9
    assert process.stdout.split() == ["1", "2"]
    results = list(train(configure(params), killed))
    assert [(result.epoch, result.resumed) for result in results] == [(2, True), (3, False), (4, False)]
    list(train(configure(params), straight))
    assert_same_run(straight.dir, killed.dir)
