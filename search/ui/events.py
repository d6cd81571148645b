"""What happened in a study between two snapshots: the lines of a log."""

from collections.abc import Iterator

from search import formatting
from search.records import Record, Snapshot, WorkerView
from search.ui import forecast
from search.ui.overview import cause, distance_to_known, parameters, stopping

LISTED = 4
"""Running trials that a progress line names."""


def beginning(snapshot: Snapshot) -> Iterator[str]:
    """The state of a study at the first look."""
    profile = f", profile {snapshot.profile}" if snapshot.profile else ""
    yield f"study {snapshot.study}{profile}, {snapshot.storage}"
    yield progress(snapshot)
    for worker in snapshot.workers:
        yield f"worker {_name(worker)} is {worker.state}"
    for record in snapshot.running:
        where = _where(record, snapshot)
        yield f"trial {record.number} is at epoch {record.epochs}{where}{_values(record)}"
    yield from _announcements(None, snapshot)


def events(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """What is new in `after`, in an order in which it may have happened."""
    yield from _workers(before, after)
    yield from _ended(before, after)
    yield from _taken_up(before, after)
    yield from _announcements(before, after)


def progress(snapshot: Snapshot) -> str:
    """The progress of a study and its running trials, on one line."""
    budget = snapshot.budget
    parts = [
        f"{budget.finished} of {budget.trials} trials finished",
        f"{budget.complete} complete, {budget.pruned} pruned, {budget.failed} failed",
    ]
    if budget.gpu_hours is not None:
        parts.append(formatting.gpu_hours(budget))
    if snapshot.best:
        parts.append(f"best {formatting.score(snapshot.best.value)}")
    left = forecast.study_left(snapshot)
    if left is not None:
        parts.append(f"{formatting.roughly(left)} left")
    trials = [
        f"trial {r.number} epoch {r.epochs} {formatting.score(r.last)}"
        if r.epochs
        else f"trial {r.number} starts"
        for r in snapshot.running
    ]
    if trials:
        more = f", +{len(trials) - LISTED} more" if len(trials) > LISTED else ""
        parts.append(", ".join(trials[:LISTED]) + more)
    return "; ".join(parts)


def _workers(before: Snapshot, after: Snapshot) -> Iterator[str]:
    old = {worker.id: worker for worker in before.workers}
    new = {worker.id: worker for worker in after.workers}
    for key, worker in new.items():
        if key not in old:
            yield f"worker {_name(worker)} joined"
    running = {record.number for record in after.running}
    for key, worker in old.items():
        if key not in new:
            # A worker that leaves in good order has given its trial back or reported its end.
            lost = worker.state != "stopping" and worker.trial in running
            yield f"worker {_name(worker)} " + (f"lost with trial {worker.trial}" if lost else "left")


def _ended(before: Snapshot, after: Snapshot) -> Iterator[str]:
    known = {record.number for record in before.finished}
    for record in sorted(after.finished, key=lambda record: record.number):
        if record.number not in known:
            yield _end(record)
    best = after.best
    if best and (before.best is None or before.best.number != best.number):
        distance = distance_to_known(best, after.best_known, after.direction)
        yield f"new best {formatting.score(best.value)}, trial {best.number}" + (
            f", {distance}" if distance else ""
        )


def _taken_up(before: Snapshot, after: Snapshot) -> Iterator[str]:
    old = {record.number: record for record in before.running}
    for record in after.running:
        if record.number not in old:
            yield _started(record, after)
        elif record.attempts > old[record.number].attempts:
            yield f"trial {record.number} taken over{_where(record, after)} after epoch {record.epochs}"


def _announcements(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    if after.stop and (before is None or before.stop != after.stop):
        yield stopping(after.stop)
    if (by := after.budget.stopped) and (before is None or before.budget.stopped is None):
        yield formatting.stopped(by)
    for note in after.notes:
        if before is None or note not in before.notes:
            yield note


def _started(record: Record, snapshot: Snapshot) -> str:
    verb = "started" if record.attempts <= 1 else f"continues after epoch {record.epochs}"
    return f"trial {record.number} {verb}{_where(record, snapshot)}{_values(record)}"


def _end(record: Record) -> str:
    line = f"trial {record.number} {record.state} after {formatting.whole(record.epochs)} epochs"
    line += f" in {formatting.duration(record.seconds)}"
    if record.state == "complete":
        score, best = formatting.score(record.value), formatting.score(record.best_score)
        line += f": {score}, best epoch {formatting.whole(record.best_epoch)} with {best}"
        return f"{line}; {cause(record)}" if record.reason else line
    return f"{line}: {cause(record)}"


def _values(record: Record) -> str:
    known = f", the known config {record.known}" if record.known else ""
    values = ", ".join(str(text) for text in parameters(record))
    return f"{known}: {values}" if values else known


def _where(record: Record, snapshot: Snapshot) -> str:
    worker = next((worker for worker in snapshot.workers if worker.id == record.worker), None)
    return f" on {_name(worker)}" if worker else ""


def _name(worker: WorkerView) -> str:
    return f"{worker.host} {worker.device}"
