"""`search export`: a trained model as a folder that works without this program."""

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from search.cli import options as flag
from search.cli.groups import NamedWeights
from search.errors import UserError
from search.render.output import say, write_json

Out = Annotated[Path, flag.path_option("--out", "A new folder for the model.")]
Onnx = Annotated[
    Path | None, flag.path_option("--onnx", "Also an ONNX file; needs the extra [onnx].", "FILE")
]


def export(
    out: Out,
    named: NamedWeights,
    onnx: Onnx = None,
    as_json: flag.Json = False,
) -> int:
    """Write a trained model as a folder that works on its own.

    Weights, code that needs PyTorch alone, and a model card.
    """
    from search.results.export import export
    from search.results.masks import whole_file
    from storage.url import without_passwords

    if onnx is not None and not onnx.absolute().parent.is_dir():
        raise UserError(f"--onnx: {onnx.parent}: no such folder; make it, or name a file in another")
    if onnx is not None and onnx.is_dir():
        raise UserError(f"--onnx: {onnx} is a folder; name a file")
    command = without_passwords(shlex.join(["search", *sys.argv[1:]]))  # the card may be published
    with ExitStack() as stack:
        weights = stack.enter_context(named.load())
        if onnx is not None:
            write_onnx = weights.part("export_onnx", "--onnx")
            write_onnx(weights.config, weights.path, stack.enter_context(whole_file(onnx)))
        document = export(weights, out, command)
    if as_json:
        write_json({"out": str(out), "onnx": None if onnx is None else str(onnx), **document})
    else:
        print(out)
        if onnx is not None:
            print(onnx)
    say(f"{weights.title}; {out / 'README.md'} says what it is and how to load it")
    return 0
