"""A network from a file beside space.yaml or a library: searched; each mistake is refused in one line."""

from pathlib import Path

import pytest
import yaml
from refusals import Command, refused
from service import Search

NETS = """
from torch import nn


class Wide(nn.Module):
    def __init__(self, classes, features=4):
        super().__init__()
        self.stem = nn.Conv2d(3, features, 4, stride=4)
        self.head = nn.Conv2d(features, classes, 1)

    def forward(self, x):
        return self.head(self.stem(x).relu())


class Deep(Wide):
    def forward(self, x):
        return [super().forward(x), x]


class Flat(Wide):
    def forward(self, x):
        return super().forward(x).mean((2, 3))


class Fixed(Wide):
    def __init__(self, classes):
        super().__init__(7)


class Joined(Wide):
    def forward(self, x):
        return super().forward(x.flatten(0, 1).unflatten(0, (1, -1))[:, :3])


class Broken(Wide):
    def forward(self, x):
        return super().forward(x[:, :2])


class Fussy(Wide):
    def __init__(self, classes, features=4):
        raise ValueError(f"no {features} features")


class Soft(Wide):
    def forward(self, x):
        return super().forward(x).softmax(1)


class Deaf(Wide):
    def forward(self, x):
        return super().forward(x).detach()


class Whole(Wide):
    def forward(self, x):
        return super().forward(x).round().long()


class Lost(Wide):
    def forward(self, x):
        return super().forward(x) + float("nan")


class Leaving(Wide):
    def __init__(self, classes, features=4):
        raise SystemExit(3)


class Layered(Wide):
    def __init__(self, classes, features):
        super().__init__(classes, features[-1] + len(features))


class Named(Wide):
    def __init__(self, out_channels, features=4):
        super().__init__(out_channels, features)


class Bare(nn.Module):
    def __init__(self, classes):
        super().__init__()


class Lazy(Wide):
    def __init__(self, classes):
        super().__init__(classes)
        self.stem = nn.LazyConv2d(4, 4, stride=4)


def function(classes):
    return Wide(classes)
"""

SPACE = """
objective: search.mseg
study: {trials: 2, smooth: 1, sampler: {kind: random, seed: 1}, pruner: {kind: none}}
space:
  data: {source: drawn, image_size: 32, eval_size: train, drawn_images: 16, val_share: 0.25}
  model:
    kind: {choices: [unet, import]}
    width: {choices: [8, 16], when: {model.kind: unet}}
    depth: 1
    name: nets_beside.Wide
    arguments:
      features: {low: 2, high: 6, step: 2, when: {model.kind: import}}
  schedule: {warmup_epochs: 0}
  trainer: {epochs: 1, batch_size: 4}
known:
  - {name: mine, model.kind: import, model.arguments.features: 6}
"""

WRONG = {
    "name=nothing_here.Net": ["model.name", "no module named 'nothing_here'", "PYTHONPATH"],
    "name=nets_beside.Wid": ["model.name", "nets_beside has no 'Wid'", "did you mean 'Wide'"],
    "name=Wide": ["model.name", "'Wide' is not MODULE.CLASS", "my_nets.TinyUNet"],
    "name=nets_beside.function": ["model.name", "not a class that derives from torch.nn.Module"],
    "name=os.system": ["model.name", "not a class that derives from torch.nn.Module"],
    "name=needing.Net": ["model.name", "needing needs 'absent_library', which is not installed"],
    "name=nets_beside.Deep": ["model.name", "returns a list", "(2, 19, h, w)", "deep supervision"],
    "name=nets_beside.Flat": ["model.name", "returns (2, 19) for (2, 3, 32, 32)"],
    "name=nets_beside.Joined": ["model.name", "returns (1, 19, 8, 8)", "not (2, 19, h, w)"],
    "name=nets_beside.Broken": ["model.name", "images of 32 x 32 pixels fail", "RuntimeError"],
    "name=nets_beside.Fussy": ["model.name", "cannot be built: ValueError: no 6 features"],
    "name=nets_beside.Soft": [
        "model.name",
        "gives values from 0 to 1, as after a softmax; leave out",
    ],
    "name=nets_beside.Deaf": ["model.name", "no gradient leads back from", "leave out no_grad and detach"],
    "name=nets_beside.Whole": ["model.name", "returns torch.int64; a loss needs logits, which are floats"],
    "name=nets_beside.Lost": ["model.name", "gives values that are not finite"],
    "name=nets_beside.Leaving": ["model.name", "cannot be built: SystemExit: 3"],
    "name=./nets_beside.Wide": ["model.name", "'./nets_beside' is a path; name the module"],
    "name=nets_beside.Fixed": ["model.arguments.features", "takes no such argument", "it takes classes"],
    "name=nets_beside.Named": ["model.classes_as", "takes no 'classes'", "out_channels"],
    "name=nets_beside.Bare": ["model.arguments.features", "takes no such argument"],
    "arguments.feature=4": ["model.arguments.feature", "did you mean 'features'"],
    "arguments.classes=4": ["model.arguments.classes", "the number of classes, which the data say"],
    "arguments=3": ["model.arguments", "3 cannot replace a section"],
    "classes_as=3": ["model.classes_as", "3", "string"],
    "depth=9": ["model.depth", "9", "less than or equal to 5"],
}


@pytest.fixture
def study(search: Search, monkeypatch: pytest.MonkeyPatch) -> Search:
    (search.folder / "space.yaml").write_text(SPACE)
    (search.folder / "nets_beside.py").write_text(NETS)
    (search.folder / "needing.py").write_text("import absent_library\n")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return search


@pytest.mark.parametrize("setting", WRONG)
def test_a_mistake(study: Search, command: Command, setting: str) -> None:
    line = refused(command, study.folder, "start", "--set", f"model.{setting}")
    for part in WRONG[setting]:
        assert part in line


def test_a_file_beside_and_an_own_model_are_searched_in_one_study(study: Search, command: Command) -> None:
    command("start", "--workers", "0")
    command("worker", "--device", "cpu")
    recorded = [
        yaml.safe_load(path.read_text())["model"] for path in sorted(study.runs.glob("trial-*/config.yaml"))
    ]
    assert len(recorded) == 2
    assert recorded[0] == {
        "name": "nets_beside.Wide",
        "kind": "import",
        "num_classes": 19,
        "arguments": {"features": 6},
        "classes_as": "classes",
    }


def test_a_list_among_the_choices_reaches_the_network_as_a_list(study: Search, command: Command) -> None:
    features = "model.arguments.features={choices: [[2, 4], [4, 8, 8]], when: {model.kind: import}}"
    command("start", "--workers", "0", "--set", "model.name=nets_beside.Layered", "--set", features)


def test_a_machine_imports_only_the_modules_it_allows(
    study: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = command("start", "--workers", "0", "--objective", "search.mseg", code=2)
    (line,) = answer.err.splitlines()
    assert (
        "model.name: nets_beside is not search.mseg, which --objective or SEARCH_OBJECTIVE allows" in line
    )
    command("start", "--workers", "0", "--objective", "search.mseg, nets_beside")
    monkeypatch.setenv("SEARCH_OBJECTIVE", "search.mseg")
    answer = command("worker", "--device", "cpu", code=2)
    assert "nets_beside is not search.mseg" in answer.err and "Traceback" not in answer.err
    assert not list(study.runs.glob("trial-*"))


def test_a_network_of_monai(tmp_path: Path) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: pip install 'mseg-search[monai]'")
    from trainings import small

    from search.mseg import check, describe, train
    from search.objective import Run

    config = small(
        model__kind="import",
        model__name="monai.networks.nets.BasicUNet",
        model__classes_as="out_channels",
        model__arguments__spatial_dims=2,
        model__arguments__in_channels=3,
        model__arguments__features=[8, 8, 8, 16, 16, 8],
        trainer__epochs=1,
        schedule__warmup_epochs=0,
    )
    description = describe(config, None)
    check(config, description)
    (result,) = train(config, Run(tmp_path))
    assert result.finite and result.applied["model.name"] == "monai.networks.nets.BasicUNet"
    assert description.parameters is not None and description.parameters < 100_000
