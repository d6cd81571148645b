"""Running a solution as the graders do: in a process that cannot import this program."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from search.errors import DataError, SearchError
from search.mseg.submission.solution import OURS

REFUSING = f"""\
import json, runpy, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Refused(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OURS!r}:
            raise ImportError(name + " is not part of the solution")

sys.meta_path.insert(0, Refused())
sys.path.insert(0, "")
"""

MANY = """
import run
model = run.load(Path("ckpt.pth"))
for line in sys.stdin:
    image, mask = map(Path, json.loads(line))
    try:
        run.write_mask(model, image, mask)
        print(json.dumps(None), flush=True)
    except run.FileFault as fault:
        print(json.dumps(str(fault)), flush=True)
"""

ONE = """
sys.argv = ["run.py", *sys.argv[1:]]
runpy.run_path("run.py", run_name="__main__")
"""


def write_masks(solution: Path, masks: Mapping[Path, Path]) -> Iterator[Path]:
    """Writes the mask of each image by the solution's `run.py`, in one process; yields each image then.

    Raises:
        DataError: an image cannot be read. SearchError: the solution does not run.
    """
    with subprocess.Popen(
        _command(MANY),
        cwd=solution,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            for image, mask in masks.items():
                answer = _ask(child, [str(image.absolute()), str(mask.absolute())])
                if answer is None:
                    yield image
                else:
                    raise DataError(f"--images: {answer}; every image needs a mask")
        finally:
            child.kill()


def write_mask(solution: Path, image: Path, mask: Path) -> None:
    """Writes one mask by `python run.py --input IMAGE --output MASK`.

    Raises:
        SearchError: it fails.
    """
    arguments = ["--input", str(image.absolute()), "--output", str(mask.absolute())]
    done = subprocess.run(_command(ONE, *arguments), cwd=solution, capture_output=True, text=True)
    if done.returncode or not mask.exists():
        raise _failed(done.stderr)


def _command(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-c", REFUSING + code, *arguments]


def _ask(child: "subprocess.Popen[str]", question: Any) -> Any:
    """One line to the child, and its answer; SearchError if it has ended."""
    stdin, stdout, stderr = (cast(IO[str], pipe) for pipe in (child.stdin, child.stdout, child.stderr))
    try:
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        answer = stdout.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise _failed(stderr.read())
    return json.loads(answer)


def _failed(stderr: str) -> SearchError:
    last = (stderr.strip().splitlines() or ["no message"])[-1][:200]
    return SearchError(f"the solution's run.py fails without this program: {last}; nothing is written")
