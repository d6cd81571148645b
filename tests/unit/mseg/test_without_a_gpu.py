"""What would bite on a GPU, found without one.

PyTorch's meta device stands in for it: an operation there has shapes and types and no values, so whatever
has to wait for a value fails.
"""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import roofline
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trainings import SMALL

from search.mseg import configure
from search.mseg.augment import augment
from search.mseg.data.sources import load
from search.mseg.learner import Learner, build
from search.mseg.losses.criterion import Criterion
from search.mseg.metrics import Scores

META = torch.device("meta")
AUGMENTED = {
    f"augment.{name}": 1.0
    for name in ("rotation", "affine", "colour", "crop", "hue", "gamma", "cutout", "mixup", "cutmix")
} | {"augment.blur": 1.0, "augment.blur_sigma_max": 1.0, "augment.fill": "ignored"}


class OneDevice(TorchDispatchMode):
    """Refuses what on a GPU waits for the host or fails: tensors of two devices, and copies that wait.

    A copy to the device must be `non_blocking`; a number (a tensor of no dimension) may be on either.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim}
        sent = func is torch.ops.aten._to_copy.default and (kwargs or {}).get("non_blocking")
        if len(devices) > 1 and not sent:
            raise AssertionError(f"{func} has tensors on {' and '.join(sorted(devices))}")
        return out


def on_meta(**changes: Any) -> Learner:
    """A learner whose weights are on the meta device, for which there is no fused optimiser."""
    changes["trainer__grad_clip"] = None  # PyTorch has no clipping there either
    config = configure(SMALL | {name.replace("__", "."): value for name, value in changes.items()})
    data = load(config.data, None)
    learner = build(config, data, torch.device("cpu"))
    model = learner.model.to(META).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
    criterion = Criterion(
        config.loss, may_ignore="loss__lovasz_weight" in changes, class_frequencies=lambda: torch.ones(19)
    )
    return replace(learner, device=META, model=model, optimizer=optimizer, criterion=criterion)


@pytest.mark.parametrize("kind", ["microsegformer", "deeplab", "unet"])
@pytest.mark.parametrize(
    "loss", [{}, {"loss__lovasz_weight": 1.0, "loss__boundary_weight": 1.0}], ids=["fused", "terms"]
)
def test_a_step_waits_for_no_value_and_stays_on_its_device(
    kind: str, loss: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "_autocast", lambda _: nullcontext())  # there is none for this device
    learner = on_meta(model__kind=kind, **loss)
    images = torch.rand(2, 3, 64, 64, device=META)
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8, device=META)
    with OneDevice():
        total, prediction = learner.step(images, masks)
        scores = Scores(19)
        scores.add(prediction, masks)
    assert (total.device.type, prediction.device.type, prediction.shape) == ("meta", "meta", (2, 64, 64))


def test_augmentation_waits_for_no_value_and_stays_on_its_device() -> None:
    config = configure(SMALL | AUGMENTED)
    images = torch.rand(4, 3, 32, 32, device=META)
    masks = torch.zeros(4, 32, 32, dtype=torch.uint8, device=META)
    with OneDevice():
        changed = augment(images, masks, config.augment, [(4, 5)])
    assert [each.device.type for each in changed] == ["meta", "meta"]


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x + torch.ones(3),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: x + torch.ones(3).to(META),
    ],
    ids=["item", "mask", "fetch", "two devices", "index on the host", "copy that waits"],
)
def test_the_tests_above_would_notice(wait: Any) -> None:
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), OneDevice():
        wait(torch.zeros(3, device=META))


def test_a_gpu_takes_the_full_protocols_batch_in_one_part() -> None:
    learner = replace(on_meta(), device=torch.device("cuda"))
    assert learner.images_at_once(19, (512, 512)) >= 32


@pytest.mark.parametrize(("precision", "kernels", "mib"), [("float32", 805, 128), ("bfloat16", 1025, 117)])
def test_a_step_has_no_more_kernels_and_bytes_than_it_had(precision: str, kernels: int, mib: int) -> None:
    once = roofline.step(64, 2, torch.device("cpu"), {"trainer.precision": precision})
    once()
    with roofline.Moved() as moved:
        once()
    assert moved.kernels <= kernels
    assert moved.bytes / 2**20 <= mib


def test_gradients_of_bfloat16_are_those_of_float32() -> None:
    """The direction of the whole gradient, and that of every weight large enough to have one."""
    gradients = []
    for precision in ("float32", "bfloat16"):
        config = configure(SMALL | {"model.dropout": 0.0, "trainer.precision": precision})
        torch.manual_seed(0)
        learner = build(config, load(config.data, None), torch.device("cpu"))
        learner.optimizer.step = lambda: None  # type: ignore[method-assign]
        torch.manual_seed(1)
        learner.step(torch.rand(4, 3, 64, 64), torch.randint(19, (4, 64, 64), dtype=torch.uint8))
        gradients.append({name: each.grad.flatten() for name, each in learner.model.named_parameters()})
    exact, rough = gradients
    whole = [torch.cat(list(each.values())) for each in gradients]
    assert torch.cosine_similarity(*whole, dim=0) > 0.999
    for name, gradient in exact.items():
        if gradient.norm() > 1e-3 * whole[0].norm():
            assert torch.cosine_similarity(gradient, rough[name], dim=0) > 0.99, name
