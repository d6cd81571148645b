"""The source `drawn`: faces by procedure, for machines that have no data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch.nn.functional import interpolate

from search.mseg.data import drawn_faces
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.dataset import DataSettings, LabelledSplit, SegmentationData, Source, Split
from search.mseg.data.fitting import in_words
from search.mseg.data.labels import IGNORED, Pixels
from search.objective import Description, LabelledTest

MOST_DRAWN = 100_000
"""Drawn faces of a study at most; those of the test split have higher numbers."""

TEST_FACES = 200
"""Faces of the test split."""


class DrawnFaces(Source):
    """Faces of a seed. What is known of them needs no drawing."""

    def __init__(
        self,
        config: DataSettings,
        root: Path | None,
        *,
        drawn_images: Annotated[
            int,
            Field(
                ge=2, le=MOST_DRAWN, description="number of drawn faces, validation included, 2 to 100000"
            ),
        ] = 300,
        drawn_seed: Annotated[
            int, Field(ge=0, lt=2**63, description="seed of the drawn faces, 0 to 2^63 - 1")
        ] = 0,
    ) -> None:
        super().__init__(config, root)
        self.count = drawn_images
        self.seed = drawn_seed
        self.eval_size = config.fitting.size if config.scored_at == "native" else config.scored_at

    def load(self) -> SegmentationData:
        train, val = self.config.split(self.count)
        available = len(train)
        train = train[: self.config.limited(available)]
        images, masks = self._drawn(self.count)
        trained, validated = ({"images": images[part], "masks": masks[part]} for part in (train, val))
        return SegmentationData(
            train=Split.of(trained, [f"face-{index:05d}" for index in train]),
            val=Split.of(validated, [f"face-{index:05d}" for index in val]),
            val_targets=torch.from_numpy(self._scored(validated["masks"])),
            classes=CLASSES,
            ignored=bool((masks == IGNORED).any()),
            mirror_pairs=MIRROR_PAIRS,
            source="drawn",
            fingerprint=self._fingerprint(),
            problems=self.config.too_few(available),
        )

    def describe(self) -> Description:
        train, val = self.config.split(self.count)
        return Description(
            train=self.config.limited(len(train)),
            val=len(val),
            classes=len(CLASSES),
            image_size=self.config.image_size,
            source="drawn",
            fingerprint=self._fingerprint(),
            problems=self.config.too_few(len(train)),
        )

    def test_split(self) -> LabelledSplit:
        """The seed's faces behind all that a study may train on or validate with."""
        labelled = LabelledTest(
            images=TEST_FACES,
            fingerprint={
                "faces": f"version {drawn_faces.VERSION}, {TEST_FACES} of seed {self.seed} "
                f"from {MOST_DRAWN}",
                "eval_size": self._scored_in_words(),
            },
        )
        return LabelledSplit(CLASSES, lambda: labelled, self._test_images)

    def _test_images(self) -> Iterator[tuple[Pixels, Pixels]]:
        for number in range(MOST_DRAWN, MOST_DRAWN + TEST_FACES):
            images, masks = self._drawn(1, number)
            yield images[0], self._scored(masks)[0]

    def _drawn(self, count: int, first: int = 0) -> tuple[Pixels, Pixels]:
        """Images and masks at the training size; drawn as squares, and fitted if that is none."""
        fitting = self.config.fitting
        images, masks = drawn_faces.draw(count, max(fitting.size), self.seed, first)
        if fitting.size == masks.shape[1:]:
            return images, masks
        pictures = [fitting.image(Image.fromarray(image.transpose(1, 2, 0))) for image in images]
        return np.stack(pictures), np.stack([fitting.mask(Image.fromarray(mask)) for mask in masks])

    def _scored(self, masks: Pixels) -> Pixels:
        """Masks (N, H, W) at the size at which they are scored."""
        if self.eval_size == self.config.fitting.size:
            return masks
        sized = interpolate(torch.from_numpy(masks)[:, None], self.eval_size, mode="nearest-exact")
        return sized[:, 0].numpy()

    def _scored_in_words(self) -> str:
        height, width = self.eval_size
        return str(height) if height == width else in_words(self.eval_size)

    def _fingerprint(self) -> dict[str, str]:
        train, val = self.config.split(self.count)
        limit = self.config.limited(len(train))
        return {
            "faces": f"version {drawn_faces.VERSION}, {self.count} of seed {self.seed}",
            "split": f"{limit} + {len(val)}, seed {self.config.split_seed}",
            "eval_size": in_words(self.eval_size),
        }
