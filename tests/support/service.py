"""The service as a user has it: a folder with a space.yaml, a database, and the commands.

`Search` starts real processes with the toy objective and looks at the study from outside, the way
`search status` does.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from sqlalchemy.exc import SQLAlchemyError

from search.records import Record, Snapshot
from search.study.open import find_study
from search.study.read import read_records, read_snapshot
from search.study.study import Study
from storage import studies
from storage.engine import connect
from storage.url import sqlite_file

if TYPE_CHECKING:
    from search.worker.joining import WorkerOptions

TESTS = Path(__file__).parent
SHARED = Path(__file__).parents[3] / "shared"
"""Beside a developer's checkout there are real data; a fresh machine has none of it."""
COMMAND = Path(sys.executable).with_name("search")
STUDY = "toy"
PATIENCE = 180.0  # seconds before a test gives up; the machine may be busy

DOCUMENT = """\
objective: toy
study:
  trials: 3
  smooth: 2
  target: 0.9
  sampler: {kind: random, seed: 7}
  pruner: {kind: none}
space:
  x: {low: 0.0, high: 1.0}
  kind: {choices: [plain, bent]}
  bend: {low: 1, high: 9, when: {kind: bent}}
  epochs: 4
  seconds: 0.0
  trouble: null
  data: {version: 1}
known:
  - {name: by hand, x: 0.3, kind: plain}
profiles:
  short: {space: {epochs: 2}}
"""

EACH = """\
import sys
from search.cli.app import main

codes = []
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as ended:
        codes.append(ended.code or 0)
print(*codes, sep=",", file=sys.stderr)
"""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


class Search:
    """A folder with a space.yaml, and a database at `url`."""

    def __init__(self, folder: Path, url: str, document: str = DOCUMENT) -> None:
        self.folder = folder
        self.url = url
        self.runs = folder / "runs" / STUDY
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "SEARCH_GPUS": "none",
            "SEARCH_STORAGE": url,
            "SEARCH_STUDY": STUDY,
            "SEARCH_TOY_LOG": str(folder),
        }
        self.prepared_file: Path | None = None
        self._seen: Study | None = None
        self._has_run = False
        self._started: list[subprocess.Popen[bytes]] = []
        folder.mkdir(exist_ok=True)
        (folder / "space.yaml").write_text(document)

    # -- commands --------------------------------------------------------------------------------

    def run(self, *arguments: str, code: int | None = 0) -> Answer:
        """Runs a command to its end; its exit code must be `code`, None for any."""
        self._has_run = True
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert code is None or answer.code == code, answer
        return answer

    def run_each(self, *commands: str, **environment: str) -> tuple[list[int], str, str]:
        """Runs several commands in one process; their exit codes, and what all of them printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", EACH, *commands],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        err, _, codes = done.stderr.rstrip().rpartition("\n")
        return [int(code) for code in codes.split(",")], done.stdout, err

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a command that goes on; what it says is in `said`. `start` finds the tables there."""
        if arguments[0] == "start":
            self._prepare()
        with (self.folder / f"said-{len(self._started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [COMMAND, *arguments], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    def ends(self, process: subprocess.Popen[bytes], code: int = 0) -> None:
        """Waits for the end of what `spawn` started; its exit code must be `code`."""
        assert process.wait(PATIENCE) == code, self.said

    @property
    def said(self) -> str:
        """Everything that spawned commands and their workers have said."""
        logs = [*sorted(self.folder.glob("said-*.log")), *sorted(self.runs.glob("workers/*.log"))]
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in logs)

    def close(self) -> None:
        """Ends what a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        if (self._has_run or self._started) and (snapshot := self.snapshot()) is not None:
            for worker in snapshot.workers:
                if runs(worker.pid) and is_search_worker(worker.pid):
                    os.kill(worker.pid, signal.SIGKILL)

    # -- the study -------------------------------------------------------------------------------

    def create(self, *overrides: str, trials: int | None = None, data: Path | None = None) -> Study:
        """Creates the study in this process, or joins it, as `search start` does first."""
        from search.launcher.creation import StartOptions, open_or_create

        self._prepare()
        space = self.folder / "space.yaml"
        wanted = StartOptions(
            study=STUDY,
            url=self.url,
            runs=self.folder / "runs",
            data=data,
            space=space,
            overrides=overrides,
            trials=trials,
        )
        return open_or_create(wanted)[0]

    def worker_options(self) -> "WorkerOptions":
        """What `search worker` would be told here, for a worker in this process."""
        from search.worker.joining import WorkerOptions

        return WorkerOptions(
            url=self.url,
            study=STUDY,
            runs=self.folder / "runs",
            data=None,
            artifacts=None,
            gpus="none",
            device=None,
            wait=None,
        )

    def finish(self, *commands: str) -> None:
        """Runs commands in this process, which goes on as if they had not been."""
        from search.cli.app import main

        environment, folder = dict(os.environ), Path.cwd()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        try:
            for command in commands:
                with pytest.raises(SystemExit) as ended:
                    main(command.split())
                assert not ended.value.code, command
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)

    def take(self, finished: "Search") -> None:
        """Becomes a copy of another search, of its folder and its SQLite database."""
        shutil.copytree(finished.folder, self.folder, dirs_exist_ok=True)
        theirs, mine = sqlite_file(finished.url), sqlite_file(self.url)
        assert theirs is not None and mine is not None
        # Not the file alone: a part may still be in its log.
        with closing(sqlite3.connect(theirs)) as source, closing(sqlite3.connect(mine)) as target:
            source.backup(target)

    def _prepare(self) -> None:
        """Creates the tables by copying a file that has them; nothing where there is none."""
        if self.prepared_file is not None and (path := sqlite_file(self.url)) and not path.exists():
            shutil.copy(self.prepared_file, path)

    def study(self) -> Study | None:
        return find_study(self.url, STUDY, read_only=True)

    def _look(self) -> Study | None:
        """The study as it is now, on the engine of the last look, which has compiled the queries."""
        if self._seen is not None and self._seen.url == self.url:
            with suppress(SQLAlchemyError):
                if studies.find(self._seen.engine, STUDY) == self._seen.row:
                    return self._seen
            self._seen.engine.dispose()
        self._seen = self.study()
        return self._seen

    def snapshot(self) -> Snapshot | None:
        if (study := self._look()) is None:
            return None
        try:
            return read_snapshot(study)
        finally:
            study.engine.dispose()

    def records(self) -> list[Record]:
        """All trials with their curves; none where there is no study yet."""
        if (study := self._look()) is None:
            return []
        try:
            return read_records(study)
        finally:
            study.engine.dispose()

    def pids(self) -> list[int]:
        """Processes of the workers that have joined and not left."""
        snapshot = self.snapshot()
        return [worker.pid for worker in snapshot.workers] if snapshot else []

    def count(self, query: str) -> int:
        """The number that a query on the study's database yields."""
        engine = connect(self.url, read_only=True)
        try:
            with engine.connect() as connection:
                return int(connection.exec_driver_sql(query).scalar_one())
        finally:
            engine.dispose()

    def wait(self, look: Callable[[], Found | None], seconds: float = PATIENCE) -> Found:
        """What `look` finds, once it finds something."""
        end = time.monotonic() + seconds
        while True:
            begun = time.thread_time()
            if found := look():
                return found
            assert time.monotonic() < end, f"did not happen in {seconds:.0f} s\n{self.said}"
            time.sleep(max(0.1, 6 * (time.thread_time() - begun)))  # leaves the processor to who is watched

    def wait_for_epoch(self, number: int, epoch: int) -> None:
        """Until trial `number` has reported `epoch`."""
        self.wait(lambda: any(r.number == number and r.epochs >= epoch for r in self.records()))

    def trained(self) -> Counter[tuple[int, int]]:
        """How often each (trial, epoch) was really trained, by the toy's own log."""
        log = self.folder / "epochs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(
            (int(name.removeprefix("trial-")), int(epoch)) for name, epoch, _ in map(str.split, lines)
        )

    def finished(self, trials: int, epochs: int = 4) -> list[Record]:
        """The trials of a search that ended well, held against what was promised of it."""
        records = self.records()
        assert [record.number for record in records] == list(range(trials))
        assert {record.state for record in records} == {"complete"}
        for record in records:
            assert len(record.curve) == epochs and None not in record.curve, record
        assert self.trained().keys() == {
            (number, epoch + 1) for number in range(trials) for epoch in range(epochs)
        }
        folders = sorted(path.name for path in self.runs.glob("trial-*"))
        assert folders == [f"trial-{number:04d}" for number in range(trials)]
        assert not list(self.runs.glob("trial-*/.*")), "somebody's unfinished work was left"
        return records


def runs(pid: int) -> bool:
    """Whether a process lives; one that nobody has waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def is_search_worker(pid: int) -> bool:
    """Whether a process is `search worker`: tests also write workers with invented process ids."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"worker" in arguments


def ended_search(
    root: Path, prepared_file: Path, *overrides: str, document: str = DOCUMENT, trials: int | None = None
) -> Search:
    """A search that one worker has trained to its end, to be copied by `Search.take`."""
    found = Search(root / "work", f"sqlite:///{root / 'study.db'}", document)
    found.prepared_file = prepared_file
    found.create(*overrides, trials=trials)
    found.finish("worker")
    return found
