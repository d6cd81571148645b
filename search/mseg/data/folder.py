"""The source `folder`: images and masks in files, decoded once per machine and memory-mapped."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from search.errors import DataError
from search.mseg.data import cache
from search.mseg.data.colours import distinct
from search.mseg.data.contents import Content, contents, digest
from search.mseg.data.dataset import LabelledSplit, SegmentationData, Source, Split
from search.mseg.data.decoding import decode, native_masks
from search.mseg.data.faults import FileFault, FileFaults
from search.mseg.data.fitting import Size, in_words
from search.mseg.data.labels import Pixels
from search.mseg.data.layout import TEST, DataFolder, ImageFiles, labelled_test, scan
from search.mseg.data.masks import mask_colours
from search.mseg.data.pictures import CHANGED, Noted, Notes
from search.mseg.data.problems import files_problems, label_problems, leaks, pair_problems
from search.mseg.data.targets import RaggedMasks, Targets
from search.objective import LabelledTest

Known = Mapping[Path, Content]
"""The contents of files by path."""

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
        available, val = self._parts()
        train = available[: config.limited(len(available))]
        # At the training size they are the masks that are there already.
        scored = None if config.scored_at == config.fitting.size else config.scored_at
        trained, validated = self._tables(train, val, known, scored)
        targets: Targets
        if scored == "native":
            targets = self._native(val, known, validated["size"])
        else:
            targets = torch.from_numpy(validated["masks" if scored is None else "targets"])
        shuffle = f"seed {config.split_seed}" + (", val folder" if files.val else "")
        notes = np.concatenate([trained["notes"], validated["notes"]]).ravel().astype(np.uint16)
        return SegmentationData(
            train=Split.of(trained, [each.name for each in train]),
            val=Split.of(validated, [each.name for each in val]),
            val_targets=targets,
            classes=files.dataset.classes,
            chosen_colours=_colours(files),
            ignored=bool((notes & Noted.PARTLY_IGNORED).any()),
            mirror_pairs=files.dataset.mirror_pairs or (),
            fixed_val=files.val is not None,
            source=str(files.root),
            fingerprint={
                **_identity(files, known),
                **_decoding(notes),
                "split": f"{len(train)} + {len(val)}, {shuffle}",
                "eval_size": "native"
                if isinstance(targets, RaggedMasks)
                else in_words(tuple(targets.shape[1:])),
            },
            problems=(
                *config.too_few(len(available)),
                *files.unread,
                *leaks(train, val, known),
                *files_problems([*train, *val], notes),
                *label_problems(files, trained["masks"], notes),
                *pair_problems(files, trained["masks"]),
            ),
        )

    def _parts(self) -> tuple[list[ImageFiles], list[ImageFiles]]:
        """What there is to train on, in the order in which `train_limit` takes it, and what validates."""
        config, files = self.config, self.files
        if files.val is None:
            train, val = ([files.train[i] for i in part] for part in config.split(len(files.train)))
            return train, val
        # Shuffled here too, so that train_limit takes a fair sample.
        return [files.train[i] for i in config.order(len(files.train))], list(files.val)

    def _tables(
        self, train: list[ImageFiles], val: list[ImageFiles], known: Known, scored: Size | str | None
    ) -> tuple[cache.Table, cache.Table]:
        """The decoded images and masks of both parts; `scored` is the size of validation's targets.

        Raises:
            FileFaults: those of both parts. DataError: no mask of a part labels anything.
        """
        faults: list[FileFault] = []

        def stored(part: str, images: list[ImageFiles], scored: Size | str | None) -> cache.Table | None:
            targets = scored if isinstance(scored, tuple) else None
            try:
                return cache.table(
                    self._key(part, images, known, scored),
                    len(images),
                    lambda: decode(images, self.config.fitting, self.files.dataset.labels, targets),
                )
            except FileFaults as error:
                faults.extend(error.faults)
                return None

        trained = stored("train", train, None)
        validated = stored("sized" if scored == "native" else "val", val, scored)
        if trained is None or validated is None:
            raise FileFaults(faults)
        for part, table in (("training", trained), ("validation", validated)):
            if (table["notes"].astype(np.uint16) & Noted.UNLABELLED > 0).all():
                raise DataError(
                    f"{self.files.described}: ignore leaves no pixel of the {part} masks; correct it"
                )
        return trained, validated

    def _native(self, val: list[ImageFiles], known: Known, sizes: NDArray[np.int32]) -> Targets:
        """The masks of `val` at their own `sizes` (N, 2)."""
        pixels = int(sizes.prod(1, dtype=np.int64).sum())
        values = cache.flat(
            self._key("native", val, known), pixels, lambda: native_masks(val, self.files.dataset.labels)
        )
        masks = RaggedMasks.of(torch.from_numpy(values), list(map(tuple, sizes.tolist())))
        return masks.values.view(len(masks), *masks.sizes[0]) if len(set(masks.sizes)) == 1 else masks

    def _key(
        self, part: str, images: Sequence[ImageFiles], known: Known, scored: Size | str | None = None
    ) -> str:
        """The name of an entry of the cache, which changes with everything that its values depend on."""
        config, labels = self.config, self.files.dataset.labels
        # As earlier versions wrote what they knew: their entries stay in use.
        side = scored[0] if isinstance(scored, tuple) and scored[0] == scored[1] else scored
        settings: list[object] = [STORED_AS, config.image_size, labels.classes, side]
        settings += [config.fit] if config.fit != "resize" else []
        settings += [labels.ignore, labels.colours] if labels else []
        hashes = [(known[each.image].sha256, known[each.mask].sha256) for each in images]
        return f"{part}-{digest([*settings, *hashes])}"

    def test_split(self) -> LabelledSplit:
        """What is in `test/images` and `test/masks`. Nothing of it is kept: no array, no name of a file."""
        images = labelled_test(self.files.root)
        return LabelledSplit(
            self.files.dataset.classes,
            lambda: self._describe_test(images),
            lambda: ((row["images"], row["targets"]) for row in self._decode_test(images)),
        )

    def _decode_test(self, images: Sequence[ImageFiles]) -> Iterator[cache.Arrays]:
        return decode(images, self.config.fitting, self.files.dataset.labels, self.config.scored_at)

    def _scored_in_words(self) -> str:
        config = self.config
        sides = config.image_size if config.eval_size == "train" else config.eval_size
        return in_words(sides) if isinstance(sides, tuple) else str(sides)

    def _describe_test(self, images: Sequence[ImageFiles]) -> LabelledTest:
        files = self.files
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
                "classes": digest(files.dataset.classes),
                **_decoding(notes),
                "eval_size": self._scored_in_words(),
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


def _colours(files: DataFolder) -> Pixels | None:
    """Those of dataset.yaml, or of the first mask's palette if that tells all classes apart."""
    if files.dataset.colours:
        return np.array(files.dataset.colours, np.uint8)
    palette, classes = mask_colours(files.train[0].mask), len(files.dataset.classes)
    return palette[:classes] if palette is not None and distinct(palette, classes) else None


def _contents(root: Path, images: Sequence[ImageFiles]) -> dict[Path, Content]:
    """What the files of these images hold; all of them are under `root`."""
    files = [file for each in images for file in (each.image, each.mask)]
    return dict(zip(files, contents(root, files), strict=True))


def _identity(files: DataFolder, known: Known) -> dict[str, str]:
    """What must be the same on every machine of a study, wherever its copy of the folder is."""
    images = (*files.train, *(files.val or ()))
    return {
        "names": digest(each.image.name for each in images),
        "sizes": digest(known[each.image].size for each in images),
        "masks": digest(known[each.mask].sha256 for each in images),
        "classes": digest((files.dataset.classes, files.dataset.mirror_pairs)),
        **({} if files.dataset.ignore is None else {"ignore": str(files.dataset.ignore)}),
        **({"colours": digest(files.dataset.colours)} if files.dataset.colours else {}),
    }


def _decoding(notes: Notes) -> dict[str, str]:
    """The part of a fingerprint that only data have which an earlier version read as other values.

    A study of such data must not be joined across versions; all other studies keep their fingerprint.
    """
    counts = [(int((notes & flag > 0).sum()), what) for flag, what in CHANGED.items()]
    read = ", ".join(f"{count} {what}" for count, what in counts if count)
    return {"decoding": read} if read else {}
