"""One function or class and one entry, options included, is all that a registry of the objective needs.

A copy of the project gets one new entry in each of six registries, by text inserted into one file each.
One process trains with the copy, a training for each entry.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]

EPOCHS = 2

SMALL = {
    "data.source": "drawn",
    "data.image_size": 32,
    "data.eval_size": "train",
    "data.drawn_images": 8,
    "data.val_share": 0.25,
    "trainer.epochs": EPOCHS,
    "trainer.batch_size": 3,
    "schedule.warmup_epochs": 0,
    "optimizer.learning_rate": 1e-3,
    "model.kind": "unet",
    "model.width": 8,
}


@dataclass(frozen=True)
class Addition:
    """An entry that is added, the parameters of a training that uses it, and what must come of them.

    Attributes:
        file: of the copy, the only one that is edited. registry: the dict in it.
        applied: what the trainer must read back. recorded: leaves of config.yaml, section and name.
    """

    file: str
    registry: str
    name: str
    code: str
    params: dict[str, Any]
    recorded: dict[tuple[str, str], Any]
    applied: dict[str, Any] = field(default_factory=dict)


ADDITIONS = {
    "scheduler": Addition(
        file="schedulers.py",
        registry="SCHEDULES",
        name="steps",
        code='''
def steps(
    done: float, epochs: int, *, drop: Annotated[float, Field(gt=0, le=1, description="per epoch")] = 0.5
) -> float:
    """Falls by the factor `drop` with each epoch."""
    return drop ** int(done)
''',
        params={"schedule.kind": "steps", "schedule.drop": 0.25},
        applied={"schedule.kind": "steps", "schedule.drop": 0.25},
        recorded={("training", "scheduler"): "steps", ("training", "drop"): 0.25},
    ),
    "loss term": Addition(
        file="losses/terms.py",
        registry="TERMS",
        name="generalised",
        code='''
def generalised(
    pixels: LabelledPixels,
    *,
    generalised_q: Annotated[float, Field(gt=0, le=1, description="1: mean absolute error")] = 0.7,
) -> Tensor:
    """Generalised cross-entropy (Zhang and Sabuncu 2018, arXiv:1805.07836): wrong labels harm it less."""
    return pixels.mean((1 - (generalised_q * pixels.log_p_label).exp()) / generalised_q)
''',
        params={"loss.generalised_weight": 0.5, "loss.generalised_q": 0.9},
        applied={"loss.generalised_weight": 0.5, "loss.generalised_q": 0.9},
        recorded={("loss", "generalised_weight"): 0.5, ("loss", "generalised_q"): 0.9},
    ),
    "model": Addition(
        file="models/registry.py",
        registry="MODELS",
        name="strided",
        code='''
from typing import Annotated


class Strided(SegmentationModel):
    """A strided convolution and a 1x1 one."""

    def __init__(
        self, classes: int, *, width: Annotated[int, Field(ge=1, description="channels between")] = 8
    ) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, width, 4, 4)
        self.head = torch.nn.Conv2d(width, classes, 1)

    def coarse(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.stem(images)))

    def applied(self) -> dict[str, bool | int | float | str | None]:
        return {"width": self.stem.out_channels}
''',
        params={"model.kind": "strided", "model.width": 5},
        applied={"model.width": 5},
        recorded={("model", "name"): "strided", ("model", "width"): 5},
    ),
    "optimizer": Addition(
        file="optimizers.py",
        registry="OPTIMIZERS",
        name="nadam",
        code='''
def nadam(
    weights: Iterable[Parameter],
    learning_rate: float,
    *,
    momentum_decay: Annotated[float, Field(ge=0, description="0 or more")] = 4e-3,
) -> Optimizer:
    """Adam with Nesterov momentum (Dozat 2016)."""
    return torch.optim.NAdam(weights, lr=learning_rate, momentum_decay=momentum_decay)
''',
        params={"optimizer.kind": "nadam", "optimizer.momentum_decay": 0.01},
        applied={"optimizer.momentum_decay": 0.01, "optimizer.learning_rate": 1e-3},
        recorded={("training", "optimizer"): "nadam", ("training", "momentum_decay"): 0.01},
    ),
    "augmentation": Addition(
        file="augment/photometric.py",
        registry="PHOTOMETRIC",
        name="solarize",
        code='''
def solarize(
    images: Tensor,
    rng: np.random.Generator,
    *,
    solarize_above: Annotated[float, Field(ge=0, le=1, description="inverted from this value on")] = 0.5,
) -> Tensor:
    """Bright pixels inverted."""
    return torch.where(images < solarize_above, images, 1 - images)
''',
        params={"augment.solarize": 0.5, "augment.solarize_above": 0.25},
        recorded={("gpu_augmentation", "solarize"): 0.5, ("gpu_augmentation", "solarize_above"): 0.25},
    ),
    "data source": Addition(
        file="data/sources.py",
        registry="SOURCES",
        name="stripes",
        code='''
from typing import Annotated

from pydantic import Field

from search.mseg.data.dataset import Split


class Stripes(Source):
    """Images of two halves."""

    def __init__(
        self,
        config: DataSettings,
        root: Path | None,
        *,
        stripes: Annotated[int, Field(ge=2, description="how many images")] = 10,
    ) -> None:
        super().__init__(config, root)
        self.count = stripes

    def load(self) -> SegmentationData:
        side = self.config.image_size
        masks = torch.zeros(self.count, side, side, dtype=torch.uint8)
        masks[:, :, side // 2 :] = 1
        images = (200 * masks)[:, None].expand(-1, 3, -1, -1).contiguous()
        train, val = self.config.split(self.count)
        parts = [
            Split(images[part], masks[part], tuple(map(str, part.tolist()))) for part in (train, val)
        ]
        return SegmentationData(
            train=parts[0],
            val=parts[1],
            val_targets=parts[1].masks,
            classes=("left", "right"),
            mirror_pairs=((0, 1),),
            source="stripes",
            fingerprint={"stripes": str(self.count)},
        )
''',
        params={"data.source": "stripes", "data.stripes": 12},
        recorded={("data", "source"): "stripes", ("data", "stripes"): 12, ("data", "num_train"): 9},
    ),
}

SCRIPT = """
import json, sys, traceback
from pathlib import Path

import torch
import search
from search.mseg import configure, describe, train
from search.objective import Run

torch.set_num_threads(1)
small, cases, folder = json.loads(sys.argv[1])
for name, params in cases.items():
    try:
        config = configure(small | params)
        run = Run(Path(folder) / name)
        results = list(train(config, run))
        outcome = {
            "epochs": len(results),
            "scores": [result.score for result in results],
            "applied": dict(results[-1].applied),
            "rates": [result.lr for result in results],
            "images": describe(config, None).train,
            "params": config.to_params(),
        }
    except Exception:
        outcome = {"error": traceback.format_exc()}
    print(json.dumps({"name": name, "package": search.__file__, **outcome}))
"""


def insert(text: str, addition: Addition) -> str:
    """The text of a file with the entry's code before its registry, and the entry in it."""
    before, line, after = text.partition(f"\n{addition.registry}: ")
    assert line, f"{addition.file} has no {addition.registry}"
    value = re.search(r"^(?:def|class) (\w+)", addition.code, re.MULTILINE)
    assert value is not None
    entry = f'= {{"{addition.name}": {value[1]}, '
    return f"{before}\n{addition.code}\n{line}{after.replace('= {', entry, 1)}"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of the training with each addition; files of each run are in its `folder`."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("search", "storage"):
        shutil.copytree(ROOT / package, copy / package)
    shutil.copy(ROOT / "space.yaml", copy)
    for addition in ADDITIONS.values():
        path = copy / "search" / "mseg" / addition.file
        path.write_text(insert(path.read_text(), addition))
    cases = {name: addition.params for name, addition in ADDITIONS.items()}
    process = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, json.dumps([SMALL, cases, str(copy / "runs")])],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert {Path(line["package"]).parents[1] for line in lines} == {copy}
    return {line["name"]: line | {"folder": copy / "runs" / line["name"]} for line in lines}


@pytest.mark.parametrize("name", ADDITIONS)
def test_one_entry_in_one_file_is_enough(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    addition, outcome = ADDITIONS[name], outcomes[name]
    assert "error" not in outcome, outcome["error"]
    assert outcome["epochs"] == EPOCHS and all(0 <= score <= 1 for score in outcome["scores"])
    assert addition.params.items() <= outcome["params"].items()
    assert addition.applied.items() <= outcome["applied"].items()
    recorded = yaml.safe_load((outcome["folder"] / "config.yaml").read_text())
    assert {leaf: recorded[leaf[0]].get(leaf[1]) for leaf in addition.recorded} == addition.recorded


def test_what_was_added_does_what_it_says(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["scheduler"]["rates"] == pytest.approx([1e-3, 0.25e-3])
    assert outcomes["data source"]["images"] == 9  # three quarters of 12
    assert "model.dropout" not in outcomes["model"]["applied"]
    assert "optimizer.weight_decay" not in outcomes["optimizer"]["applied"]
