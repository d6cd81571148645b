"""Tables -> records: only here does a stored trial become a `Record`.

Plain SQL, no Optuna: the status of a study with hundreds of trials takes a fraction of a second.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.errors import no_trial
from search.records import Budget, Reason, Record, Snapshot, State, StoppedBy, WorkerView, candidates
from search.scoring import best_mean, epoch_of_best
from search.study.study import Study
from storage import hours, plans, reads, studies
from storage.errors import reason
from storage.reads import TrialRow
from storage.stop_rules import STOPPED
from storage.url import redacted

STATES: Mapping[str, State] = {
    "RUNNING": "running",
    "WAITING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}

OURS: Mapping[str, Any] = {
    **dict.fromkeys(("reason", "reason_text", "control"), str),
    **dict.fromkeys(("best_epoch", "reason_epoch", "control_epoch", "repeat_of", "seed"), int),
    **dict.fromkeys(("mean", "best_score", "parameters", "forward_ms"), int | float),
}
"""User attributes of a trial that this program writes, with their types."""

SILENT_SECONDS = 600.0
"""A worker without a sign of life for so long is no longer shown."""

SILENT_AFTER = 30.0
"""Seconds without a heartbeat after which a worker's state is `silent`."""


def read_records(study: Study, number: int | None = None) -> list[Record]:
    """All trials of the study by number, or the one with `number`, with their curves."""
    rows = reads.trial_rows(study.engine, study.id, number)
    curves = reads.curves(study.engine, [row.trial_id for row in rows])
    seeds = _seeds(study)
    return [_record(study, row, curves[row.trial_id], seeds) for row in rows]


def read_record(study: Study, number: int, source: str) -> Record:
    """The trial `number` with its curve.

    Args:
        source: the command or flag that named it, for the message.

    Raises:
        UserError: there is none.
    """
    records = read_records(study, number)
    if not records:
        raise no_trial(source, number, study.name)
    return records[0]


def trained_params(study: Study, record: Record) -> dict[str, Any]:
    """All that a trial trains: the constants of the space, those of its plan, and its own parameters."""
    constants = dict(study.spec.space.constants)
    if study.plan is not None:
        planned = study.planned(reads.trial_rows(study.engine, study.id, record.number)[0].slot)
        constants |= planned.constants if planned else {}
    return {**constants, **record.params}


def read_snapshot(study: Study, curves_of: Collection[str] = ("RUNNING",)) -> Snapshot:
    """The study as it is now, with the curves of its trials in these states of Optuna's."""
    row = studies.find(study.engine, study.name) or study.row  # budget and stop may have changed
    settings = study.spec.study
    # Before the trials: once either has ended the search, the trials that still run are all there are.
    gpu_hours = hours.read(study.engine, study.id)
    stopped = studies.attribute(study.engine, study.id, STOPPED) if settings.stop else None
    rows = reads.trial_rows(study.engine, study.id)
    curves = reads.curves(study.engine, [row.trial_id for row in rows if row.state in curves_of])
    seeds = _seeds(study)
    records = [_record(study, row, curves.get(row.trial_id), seeds) for row in rows]
    finished = [record for record in records if record.state != "running"]
    owners = {record.number: record.worker for record in records if record.state == "running"}
    ranked = candidates(finished, settings.direction)
    return Snapshot(
        study=study.name,
        storage=redacted(study.url),
        profile=row.profile,
        direction=settings.direction,
        smooth=settings.smooth,
        target=settings.target,
        budget=_budget(row.trials, records, gpu_hours, stopped),
        best=None if study.plan else next(iter(ranked), None),
        best_known=next((record for record in ranked if record.known), None),
        running=[record for record in records if record.state == "running"],
        epochs_run=sum(row.epochs for row in rows),
        epochs_saved=sum((row.horizon or row.epochs) - row.epochs for row in rows if row.state == "PRUNED"),
        workers=[_worker(row, owners) for row in reads.worker_rows(study.engine, study.id, SILENT_SECONDS)],
        stop=row.stop,
        finished=finished,
        answer=study.plan.command(study.name) if study.plan else None,
    )


def unanswered(before: Snapshot, error: Exception) -> Snapshot:
    """The study as it was, with a note on why nothing newer is known."""
    return replace(before, notes=[f"the database does not answer: {reason(error)}"])


def _seeds(study: Study) -> list[int]:
    """The seed of each planned slot; empty for a study without a plan, which has one seed."""
    return [slot.seed for slot in plans.slots(study.engine, study.id)] if study.plan else []


def _record(
    study: Study, row: TrialRow, curve: Mapping[int, float | None] | None, seeds: Sequence[int]
) -> Record:
    # Others write attributes, too, and may call theirs as ours are called.
    attributes = {
        name: value for name, value in row.attributes.items() if isinstance(value, OURS.get(name, object))
    }
    known = study.spec.known[row.slot].name if row.slot < len(study.spec.known) else None
    value = attributes.get("mean", row.value)
    last = row.value if row.state == "PRUNED" else None
    best_epoch, best_score = attributes.get("best_epoch"), attributes.get("best_score")
    if curve:
        settings = study.spec.study
        scores = {epoch: score for epoch, score in curve.items() if score is not None}
        if scores:
            best_epoch = epoch_of_best(scores, settings.direction)
            best_score, last = scores[best_epoch], scores[max(scores)]
            in_order = [scores[epoch] for epoch in sorted(scores)]
            value = best_mean(in_order, settings.smooth, settings.direction)
    return Record(
        number=row.number,
        state=STATES[row.state],
        value=value,
        last=last,
        best_score=best_score,
        best_epoch=best_epoch,
        params=row.params,
        known=known,
        seed=seeds[row.slot] if seeds else attributes.get("seed", study.spec.study.seed_of(row.slot)),
        repeat_of=attributes.get("repeat_of"),
        epochs=row.epochs,
        curve=[curve.get(epoch) for epoch in range(1, max(curve) + 1)] if curve else [],
        reason=_reason(attributes),
        worker=row.owner,
        attempts=row.attempt,
        seconds=row.seconds,
        horizon=row.horizon,
        control=_control(attributes),
        parameters=attributes.get("parameters"),
        forward_ms=attributes.get("forward_ms"),
    )


def _reason(attributes: Mapping[str, Any]) -> Reason | None:
    if not {"reason", "reason_text"} <= attributes.keys():
        return None
    return Reason(attributes["reason"], attributes["reason_text"], attributes.get("reason_epoch"))


def _control(attributes: Mapping[str, Any]) -> Reason | None:
    if "control" not in attributes:
        return None
    return Reason("pruned", attributes["control"], attributes.get("control_epoch"))


def _budget(
    trials: int,
    records: list[Record],
    gpu_hours: tuple[float, float] | None,
    stopped: Mapping[str, Any] | None,
) -> Budget:
    limit, used = gpu_hours or (None, None)
    states = Counter(record.state for record in records)
    return Budget(
        trials=trials,
        claimed=len(records),
        complete=states["complete"],
        pruned=states["pruned"],
        failed=states["failed"],
        running=states["running"],
        gpu_hours=limit,
        gpu_hours_used=used,
        stopped=None if stopped is None else StoppedBy(**stopped),
    )


def _worker(row: Any, owners: dict[int, str | None]) -> WorkerView:
    taken_over = owners.get(row.number, row.worker_id) != row.worker_id
    names = ("epoch", "epochs", "score", "best", "lr", "images_per_second")
    training: dict[str, Any] = {name: None if taken_over else getattr(row, name) for name in names}
    return WorkerView(
        id=row.worker_id,
        host=row.host,
        device=row.device,
        pid=row.pid,
        state="silent" if row.silent > SILENT_AFTER else row.state,
        trial=None if taken_over else row.number,
        seen_seconds_ago=max(0.0, row.silent),
        **training,
    )
