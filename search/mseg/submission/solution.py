"""The folder `solution` of a submission: what must be there, weights below the cap, code by itself.

Code is parsed and never run; weights are loaded with `weights_only=True`.
"""

import ast
import io
import zipfile
from typing import Any

import torch
from torch import Tensor

from search.errors import DataError, listed
from search.mseg.standalone.bundle import imported_packages
from search.mseg.submission.archive import MOST_IN_ALL, Archive
from search.mseg.weights import damaged, parameter_count, read_pickle

RUN, WEIGHTS, REQUIREMENTS = "run.py", "ckpt.pth", "requirements.txt"
CAP = 1_821_085
"""Trainable parameters of the challenge, exclusive."""

KEY = "state_dict"
OURS = ("search", "storage")
"""Packages of this program, which the graders do not have."""

FLAGS = ("--input", "--output")


def check_solution(archive: Archive, folder: str) -> int | None:
    """The parameters of the solution in `folder` (`solution/`); problems go into the archive.

    None if its weights cannot be read.
    """
    files = {name.removeprefix(folder) for name in archive.names if name.startswith(folder)}
    for required, remedy in (
        (RUN, "the graders run it"),
        (REQUIREMENTS, "list in it what run.py needs, such as torch"),
    ):
        if required not in files:
            archive.problem(f"{folder}{required}", "missing", remedy)
    for name in sorted(files):
        if name.endswith(".py") and (content := archive.read(f"{folder}{name}")) is not None:
            _check_code(archive, f"{folder}{name}", content, name == RUN, files)
    if WEIGHTS not in files:
        archive.problem(f"{folder}{WEIGHTS}", "missing", f"save the weights there, under the key {KEY!r}")
        return None
    return _check_weights(archive, f"{folder}{WEIGHTS}")


def _check_code(archive: Archive, place: str, content: bytes, is_run: bool, files: set[str]) -> None:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        archive.problem(f"{place}{where}", "is not Python", "correct it; the graders would get no mask")
        return
    own = {name.partition("/")[0].removesuffix(".py") for name in files if name.endswith(".py")}
    for line, module in imported_packages(tree):
        if module in OURS and module not in own:
            archive.problem(
                f"{place}:{line}",
                f"imports {module}, which the graders do not have",
                "put what it needs into solution/ as files of its own",
            )
    if is_run:
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        if absent := [flag for flag in FLAGS if flag not in texts]:
            archive.problem(
                place,
                f"takes no {' and no '.join(absent)}",
                "it is called as python run.py --input IMAGE --output MASK",
            )


def _check_weights(archive: Archive, place: str) -> int | None:
    content = archive.read(place)
    if content is None:
        return None
    try:
        if _unpacked(content) > MOST_IN_ALL:
            raise damaged(place, ValueError("it unpacks to more than a gigabyte"))
        state = read_pickle(io.BytesIO(content), place)
    except DataError as error:
        text, _, remedy = str(error).removeprefix(f"{place}: ").partition("; ")
        archive.problem(place, text, remedy)
        return None
    tensors = state.get(KEY) if isinstance(state, dict) else None
    if not isinstance(tensors, dict):
        keys = listed([repr(key) for key in state]) if isinstance(state, dict) else type(state).__name__
        archive.problem(place, f"has no key {KEY!r}, only {keys or 'nothing'}", "save a dict with that key")
        return None
    if wrong := [str(name) for name, value in tensors.items() if not _is_dense(value)]:
        text = f"{KEY} holds something else than dense tensors: {listed(wrong)}"
        archive.problem(place, text, "save tensors only")
        return None
    count = parameter_count(tensors)
    if count >= CAP:
        archive.problem(place, f"has {count:,} parameters", f"the challenge allows fewer than {CAP:,}")
    elif infinite := [str(name) for name, value in tensors.items() if not _is_finite(value)]:
        archive.problem(place, f"has values that are not finite in {listed(infinite)}", "train it again")
    if not count:
        archive.problem(place, "has no parameters", "save the trained weights")
    return count


def _unpacked(content: bytes) -> int:
    """Bytes that a file of weights takes once PyTorch has unpacked it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            return sum(info.file_size for info in inner.infolist())
    except zipfile.BadZipFile:  # the older format, which is not packed
        return len(content)


def _is_dense(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized


def _is_finite(value: Tensor) -> bool:
    """Whether no element is infinite or NaN; of a view that is larger than its storage it is not asked."""
    return value.numel() >= CAP or bool(torch.isfinite(value).all())
