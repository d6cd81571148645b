"""How long a trial and a study will still take, from what their trials took so far.

Nothing is remembered between two snapshots: a forecast is a function of one, so that `search status`
and the live view say the same.
"""

from statistics import fmean

from search.records import Record, Snapshot


def trial_left(record: Record, epochs: int | None, snapshot: Snapshot) -> float | None:
    """Seconds until the last of a running trial's `epochs`, if it is neither pruned nor stopped early."""
    if not record.epochs or not epochs:
        return None
    # An epoch is under way: on average half of it is done.
    done = record.epochs + 0.5
    if record.attempts == 1 and record.seconds is not None:
        pace = record.seconds / done
    else:
        # A trial that was taken over has counted the hours in which nobody held it.
        paces = [r.seconds / r.epochs for r in _undisturbed(snapshot) if r.seconds and r.epochs]
        if not paces:
            return None
        pace = fmean(paces)
    return max(0.0, epochs - done) * pace


def study_left(snapshot: Snapshot) -> float | None:
    """Seconds until the present workers have used up the budget; None where that cannot be said.

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
    unclaimed = snapshot.budget.trials - snapshot.budget.claimed
    unheld = snapshot.budget.running - len(held)
    to_the_last_trial = (sum(rest) + typical * (unclaimed + unheld)) / len(held)
    hours = snapshot.budget.gpu_hours_left
    if hours is None:
        return to_the_last_trial
    # When they are used the last claims were made: on average those trials are half-way.
    return min(to_the_last_trial, hours * 3600 / len(held) + typical / 2)


def _undisturbed(snapshot: Snapshot) -> list[Record]:
    return [record for record in snapshot.finished if record.attempts == 1]
