"""Differences over seeds and images: the validation images are a sample, too. Pure: scores in, numbers out.

An interval over seeds says what other seeds would give on the same images. The difference that one seed
shows on one image is modelled by crossed random effects (Cornfield & Tukey 1956):

    d[seed, image] = difference + seed + image + noise

With S seeds and N images the images' part of the mean's variance is estimated from the mean squares,

    v = (MS_image - MS_noise) / (S N), at least 0,     or MS_image / N for one seed

whose noise cannot be told from its images. Its margin t(N - 1, 0.975) sqrt(v) is added to that of the
interval over seeds by their squares: the MOVER of Zou & Donner (2008), which takes any interval, whatever
it was made by:

    low' = value - sqrt((value - low)^2 + margin^2),     high' likewise

The scores by image are those of each training's best epoch, while a value is a mean over several epochs.
`benchmarks/image_calibration.py` measures how often the intervals hold.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.analysis.interval import Interval, student_margin

Images = Mapping[str, float]
"""What each validation image scored in a training's best epoch, by its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDifference:
    """A difference that is to hold for other seeds and for other images of the same kind.

    Attributes:
        name: of what is compared.
        over_seeds: the difference for other seeds on the same images; for two single runs, for the same
            trainings.
        over_both: for other seeds and other images.
        seeds: trainings whose scores by image were kept. images: their number.
    """

    name: str
    over_seeds: Interval
    over_both: Interval
    seeds: int
    images: int

    def to_json(self) -> dict[str, Any]:
        difference = self.over_both.to_json()
        return {"name": self.name, "seeds": self.seeds, "images": self.images, "difference": difference}


def image_difference(
    name: str, over_seeds: Interval, pairs: Sequence[tuple[Images, Images]]
) -> ImageDifference | None:
    """The difference over images, too; None without two images that all trainings have scored.

    Args:
        over_seeds: the difference from the reference.
        pairs: the scores of one config and of the reference, trained with the same seed.
    """
    kept = [pair for pair in pairs if pair[0] and pair[0].keys() == pair[1].keys()]
    kept = [pair for pair in kept if pair[0].keys() == kept[0][0].keys()]
    if not kept or len(kept[0][0]) < 2:
        return None
    names = list(kept[0][0])
    differences = np.array([[ours[image] - theirs[image] for image in names] for ours, theirs in kept])
    value, margin = over_seeds.value, image_margin(differences)
    return ImageDifference(
        name=name,
        over_seeds=over_seeds,
        over_both=Interval(
            value,
            value - math.hypot(value - over_seeds.low, margin),
            value + math.hypot(over_seeds.high - value, margin),
        ),
        seeds=len(kept),
        images=len(names),
    )


def image_margin(differences: NDArray[np.float64]) -> float:
    """Half the width of the 95 % interval of what the images add to the mean difference.

    Args:
        differences: (S, N), one row for each seed; N is at least 2.
    """
    seeds, images = differences.shape
    of_images = differences.mean(axis=0)
    variance = float(of_images.var(ddof=1)) / images
    if seeds > 1:
        of_seeds = differences.mean(axis=1, keepdims=True)
        noise = differences - of_seeds - of_images + differences.mean()
        mean_square = float((noise**2).sum()) / ((seeds - 1) * (images - 1))
        variance = max(0.0, variance - mean_square / (seeds * images))
    return student_margin(math.sqrt(variance), images - 1)
