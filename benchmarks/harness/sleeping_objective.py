"""An objective that only sleeps, for `chaos.py` and `concurrency.py`.

Each epoch sleeps, scores a known curve and saves a checkpoint of one number. The objective's own log (the
file EPOCH_LOG, a line for every epoch that begins) shows what was really trained, and by which worker.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search.objective import EpochResult, Run

SPACE = """\
objective: harness.sleeping_objective
study:
  trials: {trials}
  smooth: 2
  sampler: {{kind: tpe, seed: {seed}}}
  pruner: {{kind: median}}
space:
  x: {{low: 0.0, high: 1.0}}
  trainer: {{epochs: {epochs}, seconds: {seconds}}}
"""


def score(x: float, epoch: int) -> float:
    """Rises from zero to the quality of its config; the distance halves every two epochs."""
    return (1.0 - abs(x - 0.3)) * (1.0 - 0.5 ** (epoch / 2))


def train(config: Mapping[str, Any], run: Run) -> Iterator[EpochResult]:
    epochs, x = int(config["trainer.epochs"]), float(config["x"])
    checkpoint = run.dir / "last.json"
    first = 1
    if checkpoint.exists():
        done = json.loads(checkpoint.read_text())["epoch"]
        yield EpochResult(epoch=done, epochs=epochs, score=score(x, done), resumed=True)
        first = done + 1
    for epoch in range(first, epochs + 1):
        log_begin(run.dir.name, epoch)
        end = time.monotonic() + float(config["trainer.seconds"])
        while time.monotonic() < end:
            if run.should_stop():
                return
            time.sleep(0.01)
        temporary = checkpoint.with_suffix(".tmp")
        temporary.write_text(json.dumps({"epoch": epoch}))
        temporary.replace(checkpoint)
        yield EpochResult(epoch=epoch, epochs=epochs, score=score(x, epoch))


def log_begin(trial: str, epoch: int) -> None:
    """Logs that an epoch begins; a line this short is written whole or not at all."""
    line = f"{os.environ['EPOCH_LOG_WORKER']} {int(trial.removeprefix('trial-'))} {epoch} {time.time()}\n"
    with Path(os.environ["EPOCH_LOG"]).open("a") as log:
        log.write(line)
