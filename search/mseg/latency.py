"""How long a model takes for one image: what is recorded beside a trial's score."""

import time
from statistics import median

import torch

from search.mseg.learner import Learner
from search.mseg.models.model import upsample

PASSES = 20
SECONDS = 0.2  # for all passes together, unless two take longer


@torch.inference_mode()
def forward_ms(learner: Learner, height: int, width: int) -> float:
    """Milliseconds that the evaluated model needs for one image of this size, on the run's device.

    The median of up to 20 passes in the run's precision, logits at the image's size included. A first pass,
    in which libraries choose their kernels, does not count.
    """
    model = learner.evaluated.eval()
    image = torch.zeros(1, 3, height, width, device=learner.device)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) <= PASSES and (len(times) < 2 or time.perf_counter() - started < SECONDS):
        begun = time.perf_counter()
        logits = upsample(learner.coarse(model, image), (height, width))
        logits.flatten()[0].item()  # waits until the device is done
        times.append(time.perf_counter() - begun)
    return 1000 * median(times[1:])
