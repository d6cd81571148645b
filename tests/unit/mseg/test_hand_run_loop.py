"""The loop of the hand runs, the reference of the speed-up, is of our size, loss and score."""

import hand_run_loop
import numpy as np
import torch

from search.mseg.losses.fused import ce_dice
from search.mseg.metrics import counts, fscores


def test_the_reference_of_the_speed_is_no_smaller_model_and_no_other_loss_or_score() -> None:
    model = hand_run_loop.PlainSegFormer(19)
    assert sum(each.numel() for each in model.parameters() if each.requires_grad) == 1_747_923
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.integers(0, 17, (3, 8, 8)))  # two classes are absent
    logits = torch.from_numpy(rng.normal(0, 3, (3, 19, 8, 8)))
    ours, theirs = ce_dice(logits, target, 1.0, 1.5), hand_run_loop.plain_loss(logits, target)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=0.0)
    predicted = logits.argmax(1)
    per_image = fscores(counts(predicted, target, 19)).nanmean(1)
    found = [
        hand_run_loop.plain_fscore(one.numpy(), true.numpy(), 19)
        for one, true in zip(predicted, target, strict=True)
    ]
    np.testing.assert_allclose(found, per_image.numpy(), atol=1e-6)
