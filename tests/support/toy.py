"""An objective without torch: a known curve, a checkpoint of one number, and every way to go wrong.

Its own log (`epochs.log` in the folder of SEARCH_TOY_LOG) says which epochs were really trained, by
whom: what a study claims can be held against it.
"""

import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search import mseg
from search.objective import Constraint, Description, EpochResult, Run

__all__ = [
    "configure",
    "constraints",
    "describe",
    "train",
    "vocabulary",
]

# Folders of the toy have the stock layout; a study may minimize its score.
vocabulary = replace(mseg.vocabulary, direction=None)


def configure(params: Mapping[str, Any]) -> dict[str, Any]:
    return dict(params)


def describe(config: Mapping[str, Any], data: Path | None) -> Description:
    return Description(
        train=10,
        val=5,
        classes=2,
        image_size=32,
        source="thin air",
        parameters=1,
        fingerprint={"data": str(config.get("data.version", 1))},
    )


def constraints(config: Mapping[str, Any], description: Description | None) -> list[Constraint]:
    """Where the config has a `cap`, x must not be above it."""
    if config.get("cap") is None:
        return []
    assert description is not None and description.classes == 2
    x, cap = float(config["x"]), float(config["cap"])
    return [
        Constraint(name="cap", violation=x - cap, text=f"cap: x {x:.3f} is above {cap}; make it smaller")
    ]


def score(config: Mapping[str, Any], epoch: int) -> float:
    """Rises from zero to `quality`, half of the way every two epochs."""
    quality = 1.0 - abs(float(config["x"]) - 0.3)
    return quality * (1.0 - 0.5 ** (epoch / 2))


def luck(config: Mapping[str, Any], seed: int) -> float:
    """What this seed and split add to every score: normal, with the standard deviation `noise`."""
    chance = random.Random(f"{seed} {config.get('data.split_seed')} {config['x']}")
    return float(config.get("noise", 0.0)) * chance.gauss(0.0, 1.0)


def images(config: Mapping[str, Any], seed: int, score: float) -> dict[str, float]:
    """Scores of so many `images` with the mean `score`; what a config makes of an image stays so."""
    count = int(config.get("images", 0))
    liking = [random.Random(f"{config['x']} {image}").gauss(0.0, 0.05) for image in range(count)]
    chance = random.Random(f"images {seed} {config['x']}")
    parts = [part + chance.gauss(0.0, 0.01) for part in liking]
    return {f"{image}.png": score + part - sum(parts) / count for image, part in enumerate(parts)}


def train(config: Mapping[str, Any], run: Run) -> Iterator[EpochResult]:
    epochs = int(config.get("epochs", 5))
    checkpoint = run.dir / "last.pt"
    first = 1
    if checkpoint.exists():
        done = json.loads(checkpoint.read_text())["epoch"]
        told = score(config, done) + luck(config, run.seed)
        yield EpochResult(epoch=done, epochs=epochs, score=told, resumed=True)
        first = done + 1
    for epoch in range(first, epochs + 1):
        end = time.monotonic() + float(config.get("seconds", 0.0))
        while time.monotonic() < end:
            if run.should_stop():
                return
            time.sleep(0.005)
        misbehave(config, epoch)
        note(run, epoch)
        beside = checkpoint.with_suffix(".tmp")
        beside.write_text(json.dumps({"epoch": epoch}))
        beside.replace(checkpoint)
        value = score(config, epoch) + luck(config, run.seed)
        if config.get("trouble") == "nan" and epoch == 3:
            value = float("nan")
        applied = {"x": config["x"]} if config.get("trouble") != "not applied" else {"x": 0.123}
        yield EpochResult(
            epoch=epoch,
            epochs=epochs,
            score=value,
            lr=0.1 / epoch,
            applied=applied,
            images=images(config, run.seed, value),
        )
        if config.get("trouble") == "early" and epoch == 2:
            return


def misbehave(config: Mapping[str, Any], epoch: int) -> None:
    trouble = config.get("trouble")
    if trouble == "bug" and epoch == 2:
        raise ZeroDivisionError("the objective has a bug")
    if trouble == "memory" and epoch == 2:
        raise MemoryError("no room for the batch")
    if trouble == "device" and epoch == 2:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if trouble == "ecc" and epoch == 2:
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
    if trouble == "death" and epoch == 2:
        os._exit(9)
    if trouble == "hang" and epoch == 3:
        time.sleep(3600)
    if trouble == "hang once" and epoch == 3:
        marker = Path(os.environ["SEARCH_TOY_LOG"]) / "hung"
        if not marker.exists():
            marker.touch()
            time.sleep(3600)


def note(run: Run, epoch: int) -> None:
    folder = os.environ.get("SEARCH_TOY_LOG")
    if folder:
        with (Path(folder) / "epochs.log").open("a") as log:
            log.write(f"{run.dir.name} {epoch} {os.getpid()}\n")
