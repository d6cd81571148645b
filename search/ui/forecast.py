"""How long a trial and a study will still take, judging by the trials so far.

Nothing is remembered between two snapshots: a forecast is a function of one, so that `search status`
and the live view say the same.
"""

from statistics import fmean

from search.records import Record, Snapshot


def trial_left(record: Record, epochs: int | None, snapshot: Snapshot) -> float | None:
    """Seconds until the end of a running trial, unless it is pruned or stops early; None if not known."""
    if not record.epochs or not epochs:
        return None
    # The current epoch is half done on average.
    done = record.epochs + 0.5
    if record.attempts == 1 and record.seconds is not None:
        pace = record.seconds / done
    else:
        # The time of a trial that was taken over includes waiting.
        paces = [r.seconds / r.epochs for r in _undisturbed(snapshot) if r.seconds and r.epochs]
        if not paces:
            return None
        pace = fmean(paces)
    return max(0.0, epochs - done) * pace


def study_left(snapshot: Snapshot) -> float | None:
    """Seconds until the current workers have used up the budget; None if not known.

    A trial to come is taken to last as long as those that finished did, pruned ones included; before
    any has, as long as the running ones would to their last epoch.
    """
    epochs = {worker.trial: worker.epochs for worker in snapshot.workers if worker.trial is not None}
    held = [record for record in snapshot.running if record.number in epochs]
    if not held or snapshot.stop:
        return None
    lefts = {record.number: trial_left(record, epochs[record.number], snapshot) for record in held}
    lengths = [record.seconds for record in _undisturbed(snapshot) if record.seconds]
    if not lengths:
        for record in held:
            left = lefts[record.number]
            if left is not None and record.seconds is not None and record.attempts == 1:
                lengths.append(record.seconds + left)
    if not lengths:
        return None
    typical = fmean(lengths)
    rest = [typical if left is None else left for left in lefts.values()]
    budget = snapshot.budget
    unclaimed = 0 if budget.stopped else budget.trials - budget.claimed
    unheld = snapshot.budget.running - len(held)
    to_the_last_trial = (sum(rest) + typical * (unclaimed + unheld)) / len(held)
    hours = budget.gpu_hours_left
    if hours is None:
        return to_the_last_trial
    # When the hours are used up, the last trials claimed are half done on average.
    return min(to_the_last_trial, hours * 3600 / len(held) + typical / 2)


def _undisturbed(snapshot: Snapshot) -> list[Record]:
    return [record for record in snapshot.finished if record.attempts == 1]
