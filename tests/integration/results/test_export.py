"""`search export`: what it writes works without this program and gives the same logits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from refusals import Command, refused
from service import Search
from trained import untrained

from search.mseg import export_model
from search.mseg.models.registry import MODELS
from search.mseg.weights import load_trained, parameter_count

NETWORK = """\
import torch


class Tiny(torch.nn.Module):
    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, width, 3, 2, 1)
        self.last = torch.nn.Conv2d(width, labels, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(images).relu())
"""

KINDS = {
    "microsegformer": {"dropout": 0.3, "width_4": 96},
    "deeplab": {"width": 16, "depth": 1},
    "unet": {},
    "import": {"name": "own_net.Tiny", "arguments": {"width": 4}, "classes_as": "labels"},
}

ALONE = """\
import sys
from importlib.abc import MetaPathFinder

class Refused(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        assert name.split(".")[0] not in ("search", "storage", "pydantic", "safetensors"), name

sys.meta_path.insert(0, Refused())
sys.path = [path for path in sys.path if "site-packages" in path or "lib" in path]
import torch
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    import model
    with torch.inference_mode():
        torch.save(model.load()(torch.load(folder + "/images.pt")), folder + "/logits.pt")
    sys.path.remove(folder)
    for name in ("model", "own_net"):
        sys.modules.pop(name, None)
"""


def images() -> torch.Tensor:
    return torch.rand(2, 3, 40, 72, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each kind of model: its weights, its export, and what that predicted."""
    root = tmp_path_factory.mktemp("exported")
    (root / "own_net.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        for kind, options in KINDS.items():
            weights, out = untrained(root / kind / "run", kind=kind, **options), root / kind / "out"
            out.mkdir()
            export_model(None, weights, out)
            torch.save(images(), out / "images.pt")
        folders = [str(root / kind / "out") for kind in KINDS]
        empty = root / "empty"
        empty.mkdir()
        done = subprocess.run(
            [sys.executable, "-I", "-c", ALONE, *folders], cwd=empty, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        yield root
    sys.modules.pop("own_net", None)


def test_every_kind_of_model_is_exported_here() -> None:
    assert KINDS.keys() == MODELS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_its_code_alone_gives_the_same_logits(exported: Path, kind: str) -> None:
    model = load_trained(exported / kind / "run").model
    with torch.inference_mode():
        ours, alone = model(images()), torch.load(exported / kind / "out" / "logits.pt")
    assert torch.allclose(alone, ours, rtol=0, atol=1e-5)  # sums of products depend on where weights lie


@pytest.mark.parametrize("kind", KINDS)
def test_its_code_has_no_import_of_this_program(exported: Path, kind: str) -> None:
    source = (exported / kind / "out" / "model.py").read_text()
    assert not [line for line in source.splitlines() if line.startswith(("from search", "import pydantic"))]
    assert "Annotated" not in source and "Field" not in source
    compile(source, "model.py", "exec")


def test_what_is_exported_can_be_exported_again(exported: Path, tmp_path: Path) -> None:
    again = load_trained(exported / "deeplab" / "out" / "weights.safetensors")
    first = load_trained(exported / "deeplab" / "run")
    assert (again.classes, again.fitting, again.mirror_pairs) == (
        first.classes,
        first.fitting,
        first.mirror_pairs,
    )
    assert (again.colours == first.colours).all() and again.config == first.config


def test_a_folder_says_what_it_is(command: Command, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:secret@db/search"
    monkeypatch.setattr("sys.argv", ["/usr/bin/search", "export", "--out", "out", "--storage", url])
    answer = command("export", "--model", str(model), "--out", "out", "--json")
    document = json.loads(Path("out/export.json").read_text())
    assert answer.json["model"] == document["model"]
    trained = load_trained(model)
    assert document["model"]["parameters"] == parameter_count(trained.model.state_dict())
    assert document["model"]["classes"] == list(trained.classes)
    assert document["model"]["colours"] == trained.colours.tolist()
    history = json.loads((model / "history.json").read_text())["val_f_score"]
    assert document["metrics"]["best_score"] == max(history)
    assert document["provenance"]["seed"] == 3
    assert document["provenance"]["training"]["torch"] == torch.__version__
    exported = document["provenance"]["exported"]["command"]
    assert exported.startswith("search export --out out --storage postgresql://")
    assert "secret" not in Path("out/export.json").read_text() + Path("out/README.md").read_text()
    assert Path("out/config.yaml").read_bytes() == (model / "config.yaml").read_bytes()
    card = Path("out/README.md").read_text()
    assert f"{max(history):.4f}" in card and "model = load()" in card and "19 classes" in card
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "README.md",
        "config.yaml",
        "export.json",
        "model.py",
        "weights.safetensors",
    ]


def test_onnx_gives_the_same_logits_at_any_size(command: Command, model: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    command("export", "--model", str(model), "--out", "out", "--onnx", "model.onnx")
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    network = load_trained(model).model
    for shape in ((1, 3, 32, 32), (2, 3, 40, 72)):
        noise = torch.rand(*shape, generator=torch.Generator().manual_seed(2))
        (logits,) = session.run(None, {"images": noise.numpy()})
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(logits), network(noise), atol=1e-4)


@pytest.mark.parametrize("kind", ["deeplab", "unet"])
def test_other_models_go_to_onnx_too(exported: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("onnxruntime")
    from search.mseg import export_onnx

    export_onnx(None, exported / kind / "run", tmp_path / "model.onnx")  # compares logits itself


def test_without_the_extra_onnx_is_refused(
    command: Command, model: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.mseg.standalone.onnx_file.find_spec", lambda name: None)
    line = refused(
        command, search.folder, "export", "--model", str(model), "--out", "out", "--onnx", "model.onnx"
    )
    assert "--onnx" in line and "pip install 'mseg-search[onnx]'" in line
