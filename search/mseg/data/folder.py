"""The source `folder`: images and masks in files, decoded once per machine and memory-mapped."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from search.mseg.data import cache
from search.mseg.data.contents import Content, contents, digest
from search.mseg.data.dataset import LabelledSplit, Pixels, SegmentationData, Source, Split
from search.mseg.data.decoding import decode
from search.mseg.data.faults import FileFault, FileFaults
from search.mseg.data.layout import TEST, DataFolder, ImageFiles, labelled_test, scan
from search.mseg.data.pictures import CHANGED
from search.mseg.data.problems import files_problems, label_problems, leaks, pair_problems
from search.objective import LabelledTest

STORED_AS = "2"
"""Version of what the cache holds; another decoder needs another."""


class Folder(Source):
    """A folder in the layout of `search/mseg/data/layout.py`."""

    @cached_property
    def files(self) -> DataFolder:
        return scan(self.root)

    def load(self) -> SegmentationData:
        config, files = self.config, self.files
        known = _contents(files.root, (*files.train, *(files.val or ())))
        if files.val is None:
            train, val = ([files.train[i] for i in part] for part in config.split(len(files.train)))
        else:  # shuffled here too, so that train_limit takes a fair sample
            train, val = [files.train[i] for i in config.order(len(files.train))], list(files.val)
        available, limit = len(train), config.limited(len(train))
        train = train[:limit]
        scored_at = None if config.eval_size == "train" else config.eval_size
        faults: list[FileFault] = []

        def stored(
            part: str, images: list[ImageFiles], eval_size: int | Literal["native"] | None
        ) -> cache.Table | None:
            size, classes = config.image_size, len(files.classes)
            hashes = [(known[each.image].sha256, known[each.mask].sha256) for each in images]
            key = f"{part}-{digest([STORED_AS, size, classes, eval_size, *hashes])}"
            try:
                return cache.table(key, len(images), lambda: decode(images, size, classes, eval_size))
            except FileFaults as error:
                faults.extend(error.faults)
                return None

        trained, validated = stored("train", train, None), stored("val", val, scored_at)
        if trained is None or validated is None:
            raise FileFaults(faults)
        targets = validated["masks" if scored_at is None else "targets"]
        shuffle = f"seed {config.split_seed}" + (", val folder" if files.val else "")
        notes = np.concatenate([trained["notes"], validated["notes"]]).ravel()
        return SegmentationData(
            train=Split.of(trained, [each.name for each in train]),
            val=Split.of(validated, [each.name for each in val]),
            val_targets=torch.from_numpy(targets),
            classes=files.classes,
            mirror_pairs=files.mirror_pairs or (),
            source=str(files.root),
            fingerprint={
                **_identity(files, known),
                **_decoding(notes),
                "split": f"{limit} + {len(val)}, {shuffle}",
                "eval_size": " x ".join(map(str, targets.shape[1:])),
            },
            problems=(
                *config.too_few(available),
                *leaks(train, val, known),
                *files_problems([*train, *val], notes),
                *label_problems(files, trained["masks"], notes),
                *pair_problems(files, trained["masks"]),
            ),
        )

    def test_split(self) -> LabelledSplit:
        """What is in `test/images` and `test/masks`. Nothing of it is kept: no array, no name of a file."""
        images = labelled_test(self.files.root)
        return LabelledSplit(
            self.files.classes, lambda: self._describe_test(images), lambda: self._test(images)
        )

    def _test(self, images: Sequence[ImageFiles]) -> Iterator[tuple[Pixels, Pixels]]:
        for row in self._decode_test(images):
            yield row["images"], row["targets"]

    def _decode_test(self, images: Sequence[ImageFiles]) -> Iterator[dict[str, Pixels]]:
        config = self.config
        size = config.image_size if config.eval_size == "train" else config.eval_size
        return decode(images, config.image_size, len(self.files.classes), size)

    def _describe_test(self, images: Sequence[ImageFiles]) -> LabelledTest:
        files, config = self.files, self.config
        known = _contents(files.root / TEST, images)
        # Every fault shows up here.
        notes = np.concatenate([row["notes"] for row in self._decode_test(images)])
        seen = _contents(files.root, (*files.train, *(files.val or ()))).values()
        hashes = {content.sha256 for content in seen}
        leaked = sum(known[each.image].sha256 in hashes for each in images)
        return LabelledTest(
            images=len(images),
            fingerprint={
                "names": digest(each.image.name for each in images),
                "contents": digest((known[each.image].sha256, known[each.mask].sha256) for each in images),
                "classes": digest(files.classes),
                **_decoding(notes),
                "eval_size": str(config.image_size if config.eval_size == "train" else config.eval_size),
            },
            problems=[
                *(
                    [f"{leaked} of {len(images)} test images are training or validation images, too."]
                    if leaked
                    else []
                ),
                *(f"{problem}." for problem in files_problems(images, notes, named=False)),
            ],
        )


def _contents(root: Path, images: Sequence[ImageFiles]) -> dict[Path, Content]:
    """What the files of these images hold; all of them are under `root`."""
    files = [file for each in images for file in (each.image, each.mask)]
    return dict(zip(files, contents(root, files), strict=True))


def _identity(files: DataFolder, known: Mapping[Path, Content]) -> dict[str, str]:
    """What must be the same on every machine of a study, wherever its copy of the folder is."""
    images = (*files.train, *(files.val or ()))
    return {
        "names": digest(each.image.name for each in images),
        "sizes": digest(known[each.image].size for each in images),
        "masks": digest(known[each.mask].sha256 for each in images),
        "classes": digest((files.classes, files.mirror_pairs)),
    }


def _decoding(notes: Pixels) -> dict[str, str]:
    """The part of a fingerprint that only data have which an earlier version read as other values.

    A study of such data must not be joined across versions; all other studies keep their fingerprint.
    """
    counts = [(int((notes & flag > 0).sum()), what) for flag, what in CHANGED.items()]
    read = ", ".join(f"{count} {what}" for count, what in counts if count)
    return {"decoding": read} if read else {}
