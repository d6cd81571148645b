"""The source `drawn`: faces by procedure, for machines that have no data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch.nn.functional import interpolate

from search.mseg.data import drawn_faces
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.dataset import DataSettings, LabelledSplit, Pixels, SegmentationData, Source, Split
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
        self.eval_side = config.eval_size if isinstance(config.eval_size, int) else config.image_size

    def load(self) -> SegmentationData:
        train, val = self.config.split(self.count)
        available = len(train)
        train = train[: self.config.limited(available)]
        images, masks = drawn_faces.draw(self.count, self.config.image_size, self.seed)
        trained, validated = ({"images": images[part], "masks": masks[part]} for part in (train, val))
        return SegmentationData(
            train=Split.of(trained, [f"face-{index:05d}" for index in train]),
            val=Split.of(validated, [f"face-{index:05d}" for index in val]),
            val_targets=torch.from_numpy(self._scored(validated["masks"])),
            classes=CLASSES,
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
                "eval_size": str(self.eval_side),
            },
        )
        return LabelledSplit(CLASSES, lambda: labelled, self._test_images)

    def _test_images(self) -> Iterator[tuple[Pixels, Pixels]]:
        for number in range(MOST_DRAWN, MOST_DRAWN + TEST_FACES):
            images, masks = drawn_faces.draw(1, self.config.image_size, self.seed, first=number)
            yield images[0], self._scored(masks)[0]

    def _scored(self, masks: Pixels) -> Pixels:
        """Masks (N, S, S) at the size at which they are scored."""
        if self.eval_side == self.config.image_size:
            return masks
        sized = interpolate(torch.from_numpy(masks)[:, None], self.eval_side, mode="nearest-exact")
        return sized[:, 0].numpy()

    def _fingerprint(self) -> dict[str, str]:
        train, val = self.config.split(self.count)
        limit = self.config.limited(len(train))
        return {
            "faces": f"version {drawn_faces.VERSION}, {self.count} of seed {self.seed}",
            "split": f"{limit} + {len(val)}, seed {self.config.split_seed}",
            "eval_size": f"{self.eval_side} x {self.eval_side}",
        }
