"""A table of real trainings: the 60 configs of real_faces.yaml at several sizes, with several seeds.

    python benchmarks/real_faces.py run --state FOLDER --data FACES     # start, or continue
    python benchmarks/real_faces.py export --state FOLDER               # add what is finished to the table

Each column of the table, a size and a seed, is a study. `run` trains one after the other by `search start`,
with one worker and one thread, at idle priority. It can be stopped at any time, by a signal or by `search
stop`, and continues from the checkpoints in the state folder. On another machine it continues from the
table alone: what is there is not trained again. benchmarks/data/README.md says what the numbers are.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from search.document.reading import read_document
from search.errors import UserError
from search.records import Record
from search.study.open import find_study
from search.study.read import read_records, read_snapshot

HERE = Path(__file__).parent
SPACE = HERE / "real_faces.yaml"
TABLE = HERE / "data" / "real_faces.jsonl"


class Column(NamedTuple):
    """A column of the table: a training size, pixels per side, and a seed."""

    size: int
    seed: int

    @property
    def study(self) -> str:
        return f"faces-{self.size}px-seed{self.seed}"


COLUMNS = (Column(64, 1), Column(128, 1), Column(64, 2), Column(96, 1), Column(96, 2))
"""In the order they are trained: first the smallest and the largest size, which stages are about."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # At idle priority a process may get no time for minutes; that is neither death nor a hang.
    "SEARCH_LEASE_SECONDS": "600",
    "SEARCH_HANG_SECONDS": "14400",
}


def run(state: Path, data: Path | None, space: Path = SPACE, table: Path = TABLE) -> int:
    """Train what the table lacks; returns the exit code of the `search start` that was the last one.

    Raises:
        UserError: the trainings in `state` are of another commit.
    """
    state.mkdir(parents=True, exist_ok=True)
    note_commit(state)
    stay_in_the_background()
    for column in COLUMNS:
        document = state / f"{column.study}.json"
        if not document.exists():
            # Once written it stays, whatever the table gets: a study cannot change its document.
            missing = document_for(column, space, read_table(table))
            if not missing["known"]:
                continue
            document.write_text(json.dumps(missing, indent=1))
        code = search_start(column, state, document, data)
        study = find_study(storage(state), column.study, read_only=True)
        if study is None or not read_snapshot(study).budget.used_up:
            return code  # stopped, or something is wrong
    return 0


def export(state: Path, space: Path = SPACE, table: Path = TABLE) -> int:
    """Add finished trainings to the table, and return their number.

    A training that diverged has finished. Others that failed have not: the next machine repeats them.
    """
    rows = {(row["config"], row["size"], row["seed"]): row for row in read_table(table)}
    before = len(rows)
    for column in COLUMNS:
        study = find_study(storage(state), column.study, read_only=True)
        for record in read_records(study) if study else ():
            key = (str(record.known), *column)
            if has_finished(record) and key not in rows:
                rows[key] = row_of(column, record, (state / "commit").read_text())
    names = [known["name"] for known in read_document(space).plain()["known"]]
    ordered = [rows[name, *column] for column in COLUMNS for name in names if (name, *column) in rows]
    beside = table.with_suffix(".tmp")
    beside.write_text("".join(f"{json.dumps(row)}\n" for row in ordered))
    beside.replace(table)
    return len(rows) - before


def read_table(table: Path) -> list[dict[str, Any]]:
    """The rows of the table; none where there is no file."""
    return [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []


def document_for(column: Column, space: Path, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The document of a column's study: its known configs are those that are not among `rows`."""
    document: dict[str, Any] = read_document(space).plain()
    done = {row["config"] for row in rows if (row["size"], row["seed"]) == column}
    document["known"] = [known for known in document["known"] if known["name"] not in done]
    document["study"]["trials"] = len(document["known"])
    document["study"]["sampler"]["seed"] = column.seed
    document["space"]["data"]["image_size"] = column.size
    return document


def has_finished(record: Record) -> bool:
    return record.state == "complete" or (record.reason is not None and record.reason.code == "diverged")


def row_of(column: Column, record: Record, commit: str) -> dict[str, Any]:
    """A row of the table; an epoch's score that is not finite is null."""
    scores = [None if score is None or math.isnan(score) else round(score, 6) for score in record.curve]
    return {
        "config": record.known,
        "size": column.size,
        "seed": column.seed,
        "params": dict(record.params),
        "scores": scores,
        "seconds": record.seconds and round(record.seconds, 1),
        "attempts": record.attempts,
        "commit": commit,
    }


def note_commit(state: Path) -> None:
    """Write down the commit that trains; it may not change while the state folder is in use."""
    path, now = state / "commit", commit()
    if path.exists() and path.read_text() != now:
        raise UserError(f"{state}: is of commit {path.read_text()}, not {now}; check that one out")
    path.write_text(now)


def commit() -> str:
    """The commit of this checkout, with `-dirty` where files differ from it."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def stay_in_the_background() -> None:
    """Take only processor time that nothing else wants; processes started from here inherit that."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def storage(state: Path) -> str:
    return f"sqlite:///{state.resolve() / 'search.db'}"


def search_start(column: Column, state: Path, document: Path, data: Path | None) -> int:
    """Run `search start` on a column, pass signals on to it, and return its exit code."""
    command = [sys.executable, "-P", "-m", "search", "start", "--study", column.study]
    command += ["--space", str(document), "--storage", storage(state), "--runs", str(state / "runs")]
    command += ["--workers", "1", "--gpus", "none", *(["--data", str(data)] if data else [])]
    process = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT})

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    parser = argparse.ArgumentParser(description="A table of real trainings.")
    parser.add_argument("action", choices=("run", "export"))
    parser.add_argument("--state", type=Path, required=True, help="folder of the database and the runs")
    parser.add_argument("--data", type=Path, help="run: a folder in CelebAMask-HQ mini's layout")
    parser.add_argument("--table", type=Path, default=TABLE, help="the table (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.action == "run":
        if arguments.data is None:
            parser.error("run needs --data")
        try:
            return run(arguments.state, arguments.data.resolve(), table=arguments.table)
        except UserError as error:
            parser.error(str(error))
    added = export(arguments.state, table=arguments.table)
    print(f"{added} trainings added; the table has {len(read_table(arguments.table))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
