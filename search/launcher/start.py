"""Work on a study that is open: choose this machine's workers, run them, show progress."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from search.errors import MachineError, SearchError
from search.launcher.supervisor import LocalWorkers, Supervisor
from search.records import Snapshot
from search.render.output import say
from search.retraining.stages import next_stage
from search.runtime.devices import Device, on_cores
from search.runtime.signals import Interrupt, interruptible
from search.runtime.threads import cores, cpu_workers
from search.study.read import read_snapshot
from search.study.study import Study
from search.ui.live import follow
from search.worker.retry import retry_until_answered
from storage import studies


def divide_cores(devices: Sequence[Device], study: Study) -> Sequence[Device]:
    """As many CPU workers as pay in place of a single one; GPUs stay as they are."""
    budget = read_snapshot(study).budget
    count = cpu_workers(budget.trials - budget.finished) if devices[0].name == "cpu" else 1
    if count == 1:
        return devices
    say(f"{count} workers share {cores()} CPU cores; --workers sets another number")
    return on_cores(count)


def run(study: Study, workers: LocalWorkers) -> tuple[Snapshot, int]:
    """Works on the study until its budget is used up; returns its end and an exit code."""
    snapshot = read_snapshot(study)
    if snapshot.budget.used_up:
        return snapshot, exit_code(snapshot)
    supervisor = Supervisor(study, workers)
    with interruptible() as interrupt:
        snapshot = follow(supervisor.supervise(interrupt)) or snapshot
    if interrupt:
        return snapshot, interrupt.code
    return snapshot, outcome(snapshot, supervisor, len(workers.devices))


def outcome(snapshot: Snapshot, supervisor: Supervisor, workers: int) -> int:
    """The exit code of a search whose workers have left by themselves; says which of them did not work.

    Raises:
        MachineError: a device is broken, and no other worker is left. SearchError: bugs stopped the search.
    """
    lines = [*supervisor.turned_away, *supervisor.broken]
    nobody_is_left = len(lines) == workers
    failure = MachineError(lines.pop()) if supervisor.broken and nobody_is_left else None
    for line in lines:
        say(line)
    if failure is not None:
        raise failure
    return 0 if nobody_is_left else exit_code(snapshot)


def run_stages(study: Study, workers: LocalWorkers) -> tuple[Snapshot, int]:
    """As `run`, and then the later stages of the search, one after the other.

    Returns:
        The end of the stage that was worked on last, and its exit code.
    """
    snapshot, code = run(study, workers)
    while code == 0 and (later := started_stage(study, workers.data)) is not None:
        study = later
        snapshot, code = run(study, workers)
    return snapshot, code


def started_stage(study: Study, data: Path | None) -> Study | None:
    """The next stage of a search, ready to be worked on; None where there is none yet, or no more.

    Waits for a database that is away.
    """
    return retry_until_answered(partial(_start_next_stage, study, data), Interrupt())


def _start_next_stage(study: Study, data: Path | None) -> Study | None:
    later = next_stage(study, data)
    if later is not None:
        studies.set_stop(later.engine, later.id, None)  # starting takes back a request to stop
        say(f"next stage: study {later.name!r}, {read_snapshot(later).budget.trials} trainings")
    return later


def exit_code(snapshot: Snapshot) -> int:
    """The exit code of a search that nobody interrupted; raises SearchError where bugs stopped it."""
    if snapshot.stop == "bugs":
        raise SearchError(
            f"study {snapshot.study!r}: three trials failed in a row; the last: {last_failure(snapshot)}; "
            f"see search trials --study {snapshot.study}, then search start again"
        )
    return 0 if snapshot.budget.complete else 1


def last_failure(snapshot: Snapshot) -> str:
    """The last line of the reason of the last trial that failed."""
    reasons = [record.reason for record in snapshot.finished if record.state == "failed" and record.reason]
    return reasons[-1].text.splitlines()[-1] if reasons else "unknown"
