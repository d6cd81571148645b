"""`search check --propose-dataset`: a draft of the file that describes the data, where there is none."""

from pathlib import Path

from search.errors import UserError
from search.loading import load_objective
from search.spec.spec import Spec

FLAG = "--propose-dataset"


def propose_dataset(spec: Spec, data: Path | None, file: Path) -> None:
    """Writes what the objective proposes for `data` into `file`, which must not exist.

    Raises:
        UserError: the file exists or cannot be written, or the objective proposes nothing.
        DataError: the data are described already, or cannot be read.
    """
    if file.exists():
        raise UserError(f"{FLAG}: {file} exists; name another file, or move it away")
    propose = getattr(load_objective(spec.objective), "propose_dataset", None)
    if propose is None:
        raise UserError(f"{FLAG}: {spec.objective} has no propose_dataset(data); omit the flag")
    text: str = propose(data)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise UserError(
            f"{FLAG}: {file}: {error.strerror}; name a file in a folder that is writable"
        ) from error
