"""`search submit --check`: a right zip passes, and each way to score 0 is one line."""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import Command, refused
from service import Search

RUN = b"""\
import argparse
import torch
from net import Net

parser = argparse.ArgumentParser()
parser.add_argument("--input")
parser.add_argument("--output")
parser.add_argument("--weights", default="ckpt.pth")
"""
SIZES = {"1": (40, 30), "2": (32, 32), "a b": (24, 48)}
"""Width and height of each test image."""

Zip = dict[str, Any]
"""Content by name; a ZipInfo in place of a name has a member's flags."""


def png(size: tuple[int, int], mode: str = "P", value: int = 18) -> bytes:
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[0, 0] = value
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    else:
        image = image.convert(mode)
    return saved(image)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def weights(state: Any = None, key: str = "state_dict") -> bytes:
    buffer = io.BytesIO()
    torch.save({key: state or {"weight": torch.zeros(10, 3), "norm.running_mean": torch.zeros(3)}}, buffer)
    return buffer.getvalue()


def right() -> Zip:
    return {
        **{f"masks/{name}.png": png(size) for name, size in SIZES.items()},
        "solution/run.py": RUN,
        "solution/net.py": b"from torch import nn\n",
        "solution/ckpt.pth": weights(),
        "solution/requirements.txt": b"torch\npillow\nnumpy\n",
    }


def without(name: str) -> Zip:
    return {each: content for each, content in right().items() if each != name}


def changed(name: str, content: bytes) -> Zip:
    return {**right(), name: content}


def flagged(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.fixture
def images(search: Search) -> Path:
    folder = search.folder / "images"
    folder.mkdir()
    for name, size in SIZES.items():
        if name == "2":
            Image.new("RGB", size).save(folder / "2.png")
            continue
        exif = Image.Exif()
        exif[0x0112] = 6  # a camera that was held upright: the picture is seen turned by 90 degrees
        Image.new("RGB", size[::-1]).save(folder / f"{name}.jpg", exif=exif)
    return folder


@pytest.fixture
def check(command: Command, images: Path, search: Search) -> Callable[..., list[str]]:
    """Checks a zip of these members; returns the problems, a line each."""

    def run(members: Mapping[Any, bytes], *, edit: Callable[[bytes], bytes] = bytes) -> list[str]:
        path = search.folder / "submission.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content, None if isinstance(name, str) else zipfile.ZIP_DEFLATED)
        path.write_bytes(edit(path.read_bytes()))
        answer = command("submit", "--check", str(path), "--images", str(images), "--json", code=None)
        problems = [
            f"{each['place']}: {each['text']}; {each['remedy']}" for each in answer.json["problems"]
        ]
        assert answer.code == (1 if problems else 0)
        assert answer.json["ok"] is (not problems)
        plain = command("submit", "--check", str(path), "--images", str(images), code=answer.code)
        assert plain.out.splitlines() == problems
        assert "Traceback" not in answer.err + plain.err
        return problems

    return run


def test_a_right_zip_passes(check: Callable[..., list[str]], command: Command, search: Search) -> None:
    assert check(right()) == []
    answer = command("submit", "--check", "submission.zip", "--images", "images", "--json")
    assert (answer.json["masks"], answer.json["images"], answer.json["parameters"]) == (3, 3, 30)
    folders = {flagged(name, stat.S_IFDIR): b"" for name in ("masks/", "solution/")}
    grey = {f"masks/{name}.png": png(size, "L") for name, size in SIZES.items()}
    assert check({**folders, **right(), **grey}) == []


WRONG: dict[str, tuple[Callable[[], Zip], list[str]]] = {
    "a mask in colours": (
        lambda: changed("masks/1.png", png(SIZES["1"], "RGB", 1)),
        ["masks/1.png: has mode RGB, which scores 0"],
    ),
    "masks in colours with transparency": (
        lambda: right() | {f"masks/{name}.png": png(SIZES[name], "RGBA", 1) for name in ("1", "2")},
        ["masks/1.png, 2.png: has mode RGBA, which scores 0 (2 masks)"],
    ),
    "a mask of two tones": (
        lambda: changed("masks/1.png", png(SIZES["1"], "1")),
        ["masks/1.png: has mode 1, which scores 0"],
    ),
    "a mask of 16 bits": (
        lambda: changed("masks/2.png", saved(Image.fromarray(np.ones((32, 32), np.uint16)))),
        ["masks/2.png: has mode I;16, which scores 0"],
    ),
    "a grey tone for a class": (
        lambda: changed("masks/1.png", png(SIZES["1"], "L", 19)),
        ["masks/1.png: holds the value 19; save the class, 0 to 18"],
    ),
    "another size": (
        lambda: changed("masks/1.png", png((32, 32))),
        ["masks/1.png: is 32 x 32 and its image 40 x 30"],
    ),
    "a JPEG by the name of a PNG": (
        lambda: changed("masks/1.png", saved(Image.new("L", SIZES["1"]), "JPEG")),
        ["masks/1.png: is no PNG that can be read"],
    ),
    "a mask that is cut off": (
        lambda: changed("masks/1.png", saved(Image.effect_noise(SIZES["1"], 90))[:-400]),
        ["masks/1.png: is damaged"],
    ),
    "an animation": (
        lambda: changed(
            "masks/1.png",
            saved(
                Image.new("L", SIZES["1"]),
                save_all=True,
                append_images=[Image.new("L", SIZES["1"], 1)],
            ),
        ),
        ["masks/1.png: is an animation"],
    ),
    "a mask too few": (lambda: without("masks/2.png"), ["masks/2.png: missing, 1 of 3"]),
    "another name": (
        lambda: without("masks/2.png") | {"masks/2_mask.png": png(SIZES["2"])},
        ["masks/2.png: missing, 1 of 3", "masks/2_mask.png: no image has this name"],
    ),
    "another suffix": (
        lambda: without("masks/2.png") | {"masks/2.PNG": png(SIZES["2"])},
        ["masks/2.PNG: is no NAME.png of masks/", "masks/2.png: missing, 1 of 3"],
    ),
    "no masks": (
        lambda: {name: content for name, content in right().items() if "masks" not in name},
        ["masks/: has no NAME.png"],
    ),
    "a wrong folder name": (
        lambda: {name.replace("masks/", "Mask/"): content for name, content in right().items()},
        ["Mask/: is not masks/ or solution/ (3 files); rename it to masks/", "masks/: has no NAME.png"],
    ),
    "a folder around everything": (
        lambda: {f"submission/{name}": content for name, content in right().items()},
        ["submission/: holds everything; zip what is in this folder"],
    ),
    "litter of a Mac": (
        lambda: right() | {"__MACOSX/masks/._1.png": b"x", "masks/.DS_Store": b"x"},
        ["__MACOSX/masks/._1.png, masks/.DS_Store: does not belong here"],
    ),
    "a stray file": (lambda: right() | {"report.pdf": b"x"}, ["report.pdf: is not masks/ or solution/"]),
    "no run.py": (lambda: without("solution/run.py"), ["solution/run.py: missing; the graders run it"]),
    "no requirements": (
        lambda: without("solution/requirements.txt"),
        ["solution/requirements.txt: missing"],
    ),
    "no weights": (lambda: without("solution/ckpt.pth"), ["solution/ckpt.pth: missing"]),
    "a run.py that is not Python": (
        lambda: changed("solution/run.py", b"import os\nprint 'x'\n"),
        ["solution/run.py:2: is not Python"],
    ),
    "a run.py without its flags": (
        lambda: changed("solution/run.py", b"print('--input')\n"),
        ["solution/run.py: takes no --output"],
    ),
    "code of this program": (
        lambda: changed("solution/net.py", b"def f():\n    from search.mseg import weights\n"),
        ["solution/net.py:2: imports search, which the graders do not have"],
    ),
    "weights under another key": (
        lambda: changed("solution/ckpt.pth", weights(key="model_state_dict")),
        ["solution/ckpt.pth: has no key 'state_dict', only 'model_state_dict'"],
    ),
    "something else than tensors": (
        lambda: changed("solution/ckpt.pth", weights({"weight": [1.0]})),
        ["solution/ckpt.pth: state_dict holds something else than dense tensors: weight"],
    ),
    "as many parameters as the cap": (
        lambda: changed("solution/ckpt.pth", weights({"weight": torch.zeros(1_821_085)})),
        ["solution/ckpt.pth: has 1,821,085 parameters; the challenge allows fewer than 1,821,085"],
    ),
    "a small storage that is a huge tensor": (
        lambda: changed("solution/ckpt.pth", weights({"weight": torch.zeros(1).expand(2**40)})),
        ["solution/ckpt.pth: has 1,099,511,627,776 parameters"],
    ),
    "weights that diverged": (
        lambda: changed("solution/ckpt.pth", weights({"weight": torch.tensor([1.0, torch.nan])})),
        ["solution/ckpt.pth: has values that are not finite in weight"],
    ),
    "no weights in the file": (
        lambda: changed("solution/ckpt.pth", b"PK"),
        ["solution/ckpt.pth: is damaged or not a file of weights"],
    ),
    "a name that leads out": (
        lambda: right() | {"../evil.py": b"x", "/etc/evil": b"x", "masks\\1.png": b"x"},
        [
            "../evil.py: its name leads out",
            "/etc/evil: its name leads out",
            r"masks\\1.png: its name leads out",
        ],
    ),
    "a link": (
        lambda: right() | {flagged("solution/passwd", stat.S_IFLNK | 0o777): b"/etc/passwd"},
        ["solution/passwd: is a link"],
    ),
    "a huge member": (
        lambda: right() | {"solution/zeros.bin": bytes(65 * 2**20)},
        ["solution/zeros.bin: unpacks to 65 MB"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_would_score_0_or_be_refused_is_one_line_each(
    check: Callable[..., list[str]], wrong: str
) -> None:
    members, expected = WRONG[wrong]
    lines = check(members())
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)
        assert "\n" not in line and len(line) < 300


class Malicious:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_weights_that_would_run_code_are_not_loaded(
    check: Callable[..., list[str]], tmp_path: Path
) -> None:
    harmful = tmp_path / "harm"
    (line,) = check(changed("solution/ckpt.pth", weights({"weight": Malicious(harmful)})))
    assert "could run code" in line
    assert not harmful.exists()


def test_a_name_that_is_there_twice_is_not_guessed(check: Callable[..., list[str]]) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        lines = check({**right(), zipfile.ZipInfo("masks/1.png"): png(SIZES["1"])})
    assert [line.partition(";")[0] for line in lines] == [
        "masks/1.png: is in the zip 2 times",
        "masks/1.png: missing, 1 of 3",
    ]


def test_a_mask_may_have_the_other_form_of_an_accent(check: Callable[..., list[str]], images: Path) -> None:
    (images / "2.png").rename(images / "Zoe\u0308.png")
    members = without("masks/2.png")
    assert check({**members, "masks/Zo\u00eb.png": png(SIZES["2"])}) == []


def test_an_encrypted_and_a_damaged_member_are_named(check: Callable[..., list[str]]) -> None:
    def encrypted(content: bytes) -> bytes:
        entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"masks/1.png"))
        return content[: entry + 8] + struct.pack("<H", 1) + content[entry + 10 :]

    lines = check(right(), edit=encrypted)
    assert lines[0].startswith("masks/1.png: is encrypted; make the zip without a password")

    def damaged(content: bytes) -> bytes:
        place = content.index(b"masks/2.png") + len(b"masks/2.png") + 4
        return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]

    (line,) = check(right(), edit=damaged)
    assert line.startswith("masks/2.png: cannot be read")


def test_what_is_no_zip_is_refused(command: Command, search: Search, images: Path) -> None:
    (search.folder / "text.zip").write_text("not a zip")
    (search.folder / "folder.zip").mkdir()
    (search.folder / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    for name, said in (
        ("text.zip", "is no zip"),
        ("cut.zip", "is no zip"),
        ("folder.zip", "cannot be read"),
        ("none.zip", "no such file"),
    ):
        assert said in refused(command, search.folder, "submit", "--check", name, "--images", "images")
    empty = search.folder / "empty"
    empty.mkdir()
    for folder, said in ((empty, "has no .jpg"), (search.folder / "absent", "No such file")):
        line = refused(command, search.folder, "submit", "--check", "text.zip", "--images", str(folder))
        assert line.startswith("--images") and said in line


def test_without_images_it_says_what_was_not_checked(
    check: Callable[..., list[str]], command: Command, search: Search, images: Path
) -> None:
    check(without("masks/2.png"))
    answer = command("submit", "--check", "submission.zip")
    assert "names, number and sizes of the masks were not checked" in answer.err
    (search.folder / "faces" / "test").mkdir(parents=True)
    images.rename(search.folder / "faces" / "test" / "images")
    answer = command("submit", "--check", "submission.zip", "--data", "faces", code=1)
    assert answer.out.startswith("masks/2.png: missing")
