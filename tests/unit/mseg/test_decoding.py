"""Pictures as cameras and tools write them: what their pixels are, and what is refused."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from search.errors import DataError
from search.mseg.data import drawn_faces
from search.mseg.data.decoding import decode
from search.mseg.data.fitting import Fitting
from search.mseg.data.labels import Labels
from search.mseg.data.layout import ImageFiles
from search.mseg.data.pictures import Noted

WIDTH, HEIGHT = 48, 32
SIDE = 32
LABELS = np.zeros((HEIGHT, WIDTH), np.uint8)
LABELS[:10, :20], LABELS[20:, 30:] = 1, 2  # no orientation leaves it as it is
PHOTO = np.stack([LABELS * 100, 250 - LABELS * 60, np.full_like(LABELS, 40)], -1)
ORIENTATION = 0x112


def decoded(
    tmp_path: Path, image: bytes | Image.Image, mask: bytes | Image.Image, classes: int = 19
) -> Any:
    """The row of a pair; its targets are the mask at its own size."""
    files = []
    for name, content in (("image.png", image), ("mask.png", mask)):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else written(content))
        files.append(path)
    (row,) = decode([ImageFiles("image", *files)], Fitting((SIDE, SIDE)), Labels(classes), "native")
    return row


def written(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(values: np.ndarray, bits: int, colour: int = 0, *, extra: bytes = b"") -> bytes:
    """A PNG of so many bits a value, which Pillow itself does not write. `values`: (H, W) or (H, W, C)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = values.shape[:2]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        digits = [np.unpackbits(row.astype(np.uint8)[..., None], -1)[..., -bits:].ravel() for row in values]
        rows = [np.packbits(row).tobytes() for row in digits]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def resized(image: Image.Image) -> np.ndarray:
    """As data were always resized."""
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)).transpose(
        2, 0, 1
    )


def photo() -> Image.Image:
    return Image.fromarray(PHOTO)


def labels() -> Image.Image:
    return Image.fromarray(LABELS)


# -- turned ----------------------------------------------------------------------------------------


def as_stored(image: Image.Image, orientation: int) -> Image.Image:
    """The pixels of which a viewer that reads `orientation` shows `image`."""
    # For each way of turning, one of the eight turns it back.
    for candidate in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = candidate
        stored = ImageOps.exif_transpose(Image.open(io.BytesIO(written(image, exif=exif))))
        exif[ORIENTATION] = orientation
        shown = ImageOps.exif_transpose(Image.open(io.BytesIO(written(stored, exif=exif))))
        if shown.size == image.size and (np.asarray(shown) == np.asarray(image)).all():
            return stored
    raise AssertionError(orientation)


def with_orientation(image: Image.Image, orientation: int, format: str = "PNG", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return written(as_stored(image, orientation), format, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("which", ["image", "mask", "both"])
def test_images_and_masks_are_turned_as_they_are_shown(
    tmp_path: Path, orientation: int, which: str
) -> None:
    image: Any = photo() if which == "mask" else with_orientation(photo(), orientation)
    mask: Any = labels() if which == "image" else with_orientation(labels(), orientation)
    row = decoded(tmp_path, image, mask)
    np.testing.assert_array_equal(row["targets"], LABELS)
    np.testing.assert_array_equal(row["images"], resized(photo()))
    assert row["notes"][0] == (Noted.TURNED if orientation > 1 else 0)


def test_a_jpeg_is_turned_and_a_palette_mask_keeps_its_indices(tmp_path: Path) -> None:
    mask = labels().convert("P")
    mask.putdata(LABELS.ravel().tolist())
    mask.putpalette([value for index in range(256) for value in (255 - index, index * 7 % 256, 40)])
    row = decoded(tmp_path, with_orientation(photo(), 6, "JPEG", quality=95), with_orientation(mask, 8))
    np.testing.assert_array_equal(row["targets"], LABELS)
    assert np.abs(row["images"].astype(int) - resized(photo())).mean() < 6


def test_sizes_are_compared_as_they_are_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="48 x 32, its image 32 x 48 as it is shown, turned by its EXIF"):
        decoded(tmp_path, with_orientation(photo().transpose(Image.Transpose.ROTATE_90), 6), labels())


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_turns_nothing(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    row = decoded(tmp_path, written(photo(), exif=exif), labels())
    np.testing.assert_array_equal(row["images"], resized(photo()))
    assert row["notes"][0] == 0


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\xff\xff"])
@pytest.mark.filterwarnings("ignore")
def test_a_sound_photo_with_broken_exif_is_read(tmp_path: Path, exif: bytes) -> None:
    row = decoded(tmp_path, written(photo(), "JPEG", quality=95, exif=exif), labels())
    assert np.abs(row["images"].astype(int) - resized(photo())).mean() < 6


# -- depth and colour ------------------------------------------------------------------------------


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, colour: int, channels: int) -> None:
    grey = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    values = np.stack([grey] * channels, -1)
    if colour & 4:
        values[..., -1] = 65535
    row = decoded(tmp_path, png(values, 16, colour), labels())
    np.testing.assert_array_equal(row["images"], resized(Image.fromarray((grey >> 8).astype(np.uint8))))
    assert row["notes"][0] == (Noted.SCALED if colour == 0 else 0)  # colour was always read like this


def test_sixteen_bits_of_which_few_are_used_are_noted(tmp_path: Path) -> None:
    row = decoded(tmp_path, png(np.full((HEIGHT, WIDTH), 4095), 16), labels())
    assert Noted(int(row["notes"][0])) == Noted.SCALED | Noted.DARK
    assert row["images"].max() == 15


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_photos_of_few_bits_reach_from_black_to_white(tmp_path: Path, bits: int) -> None:
    row = decoded(tmp_path, png(np.full((HEIGHT, WIDTH), 2**bits - 1), bits), labels())
    assert (row["images"] == 255).all() and row["notes"][0] == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_photos_of_other_modes_are_what_they_look_like(tmp_path: Path, mode: str) -> None:
    image = photo().convert(mode)
    content = written(image, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    row = decoded(tmp_path, content, labels())
    np.testing.assert_array_equal(row["images"], resized(Image.open(io.BytesIO(content))))
    assert row["notes"][0] == 0
    if mode == "CMYK":
        assert np.abs(row["images"].astype(int) - resized(photo())).mean() < 8


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "RGB", "opaque"])
@pytest.mark.filterwarnings("error")
def test_transparency_is_ignored_and_noted(tmp_path: Path, mode: str) -> None:
    alpha = Image.fromarray(np.where(LABELS == 1, 0, 255).astype(np.uint8))
    image, options, expected = photo(), {}, photo()
    if mode == "P":
        image = expected = photo().quantize(8)
        options = {"transparency": b"\0\x80\xff"}
    elif mode == "RGB":
        options = {"transparency": tuple(PHOTO[0, 0].tolist())}
    elif mode == "LA":
        expected = photo().convert("L")
        image = Image.merge("LA", [expected, alpha])
    else:
        image.putalpha(255 if mode == "opaque" else alpha)
    row = decoded(tmp_path, written(image, **options), labels())
    np.testing.assert_array_equal(row["images"], resized(expected))
    assert row["notes"][0] == (0 if mode == "opaque" else Noted.TRANSPARENT)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_photos_whose_range_nobody_knows_are_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(DataError, match=rf"image.png: an image of mode {mode}; save it with 8 or 16 bits"):
        decoded(tmp_path, written(photo().convert("L").convert(mode), "TIFF"), labels())


@pytest.mark.parametrize(
    ("which", "format"),
    [("mask", "GIF"), ("mask", "PNG"), *(("image", each) for each in ("GIF", "PNG", "TIFF", "WEBP"))],
)
def test_animations_and_documents_of_pages_are_refused(tmp_path: Path, which: str, format: str) -> None:
    page = photo() if which == "image" else labels()
    several = written(page, format, save_all=True, append_images=[page.rotate(180)])
    pair: dict[str, Any] = {"image": photo(), "mask": labels(), which: several}
    with pytest.raises(
        DataError, match=rf"{which}.png: an animation or a document of 2 pictures; keep one"
    ):
        decoded(tmp_path, **pair)


def test_the_photo_of_a_phone_that_stores_two_is_its_first(tmp_path: Path) -> None:
    content = written(photo(), "MPO", save_all=True, append_images=[photo().rotate(180)], quality=95)
    row = decoded(tmp_path, content, labels())
    assert np.abs(row["images"].astype(int) - resized(photo())).mean() < 6


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("colour", [0, 3], ids=["grey", "palette"])
def test_a_mask_has_the_values_in_its_file(tmp_path: Path, bits: int, colour: int) -> None:
    if colour == 3 and bits == 16:
        pytest.skip("palettes have 8 bits at most")
    palette = bytes(range(255, -1, -1)) * 3
    plte = struct.pack(">I", 3 * 2 ** min(bits, 8)) + b"PLTE" + palette[: 3 * 2 ** min(bits, 8)]
    extra = plte + struct.pack(">I", zlib.crc32(plte[4:])) if colour == 3 else b""
    values = (np.arange(WIDTH) // 3 + np.arange(HEIGHT)[:, None]) % min(2**bits, 19)
    row = decoded(tmp_path, photo(), png(values, bits, colour, extra=extra))
    np.testing.assert_array_equal(row["targets"], values)
    assert row["notes"][0] == (Noted.RESTORED if bits in (2, 4) and colour == 0 else 0)


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF"])
def test_lossless_masks_of_any_name_are_read(tmp_path: Path, format: str) -> None:
    row = decoded(tmp_path, photo(), written(labels(), format))
    np.testing.assert_array_equal(row["targets"], LABELS)


@pytest.mark.parametrize(
    ("format", "options", "kind"),
    [
        ("JPEG", {}, "JPEG"),
        ("JPEG", {"quality": 100}, "JPEG"),
        ("WEBP", {}, "WEBP"),
        ("WEBP", {"lossless": True}, "WEBP"),
        ("JPEG2000", {}, "JPEG2000"),
        ("MPO", {"save_all": True, "append_images": [labels()]}, "JPEG"),
        ("TIFF", {"compression": "jpeg"}, "TIFF"),
        ("PPM", {}, "PPM"),  # Pillow scales its values
    ],
)
def test_a_mask_of_another_format_is_refused_whatever_its_name(
    tmp_path: Path, format: str, options: Any, kind: str
) -> None:
    with pytest.raises(
        DataError, match=f"mask.png: a {kind} file; a mask must be lossless: export it again"
    ):
        decoded(tmp_path, photo(), written(labels(), format, **options))


@pytest.mark.parametrize("how", ["jpeg", "bilinear", "nearest"])
def test_a_mask_that_was_treated_as_a_picture_is_noted(tmp_path: Path, how: str) -> None:
    mask = Image.fromarray(drawn_faces.draw(1, 128, seed=0)[1][0])
    if how == "jpeg":
        mask = Image.open(io.BytesIO(written(mask, "JPEG", quality=90)))
        mask = Image.fromarray(np.minimum(np.asarray(mask), 18))
    method = Image.Resampling.BILINEAR if how == "bilinear" else Image.Resampling.NEAREST
    mask = mask.resize((96, 96), method)
    row = decoded(tmp_path, photo().resize((96, 96)), mask)
    assert row["notes"][0] == (0 if how == "nearest" else Noted.BLURRED)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_grey_masks_in_colour_channels_are_read_and_others_refused(tmp_path: Path, mode: str) -> None:
    row = decoded(tmp_path, photo(), labels().convert(mode))
    np.testing.assert_array_equal(row["targets"], LABELS)
    if mode != "LA":
        with pytest.raises(
            DataError, match=f"a mask of mode {mode}, in colours; give `colours` in dataset"
        ):
            decoded(tmp_path, photo(), photo().convert(mode))
    if mode != "RGB":
        mask = labels().convert(mode)
        mask.putalpha(128)
        with pytest.raises(DataError, match=f"a mask of mode {mode}, with transparency; save classes"):
            decoded(tmp_path, photo(), mask)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_masks_of_16_bits_in_colour_are_refused(tmp_path: Path, colour: int, channels: int) -> None:
    values = np.stack([LABELS.astype(np.uint16)] * channels, -1)
    with pytest.raises(DataError, match=r"a mask of mode RGBA? with 16 bits; save classes"):
        decoded(tmp_path, photo(), png(values, 16, colour))


@pytest.mark.parametrize(
    ("values", "bits", "classes", "sentence"),
    [
        (LABELS.astype(int) + 300, 16, 19, "class 302; the 19 classes are 0 to 18; correct the mask"),
        (LABELS + 1, 8, 3, "class 3; the 3 classes are 0 to 2; if the masks count from 1, subtract 1"),
        (np.where(LABELS, 255, 0), 8, 2, "class 255; the 2 classes are 0 to 1; write 1 in place of 255"),
        (np.where(LABELS, 255, 3), 8, 19, "0 to 18; if 255 means 'ignore', write `ignore: 255` into"),
        (LABELS * 5, 4, 9, "class 10; the 9 classes are 0 to 8; correct"),
    ],
)
def test_classes_out_of_range_come_with_a_remedy(
    tmp_path: Path, values: np.ndarray, bits: int, classes: int, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        decoded(tmp_path, photo(), png(values.astype(np.uint16), bits), classes)


def test_a_mask_of_background_is_noted(tmp_path: Path) -> None:
    row = decoded(tmp_path, photo(), Image.new("L", (WIDTH, HEIGHT)))
    assert row["notes"][0] == Noted.EMPTY
