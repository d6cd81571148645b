"""Which trial has sampled which config, so that none is sampled twice.

A trial's config is stored under its name. The table takes a name once (and once more for each deliberate
repeat), so of two workers that sample the same config at the same moment one is refused here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, select

from storage.attributes import add_trial_attributes
from storage.tables import insert_or_ignore, params, points, trials

Stored = Literal["stored", "taken", "lost"]
"""The config is the trial's; another trial has sampled it; the lease is lost."""


def store(
    connection: Connection,
    study_id: int,
    trial_id: int,
    rows: Sequence[Mapping[str, Any]],
    point: str | None,
    repeat: int,
    attributes: Mapping[str, Any],
) -> Stored:
    """Stores parameters and user attributes of a trial that sampled `point` after `repeat` others had.

    `point` is None for a config that was planned and not sampled: several trials may have that one.
    """
    if point is not None and not _claimed(connection, study_id, trial_id, point, repeat):
        return "taken"
    connection.execute(
        insert_or_ignore(connection, params), [{"trial_id": trial_id, **row} for row in rows]
    )
    add_trial_attributes(connection, trial_id, attributes)
    return "stored"


def _claimed(connection: Connection, study_id: int, trial_id: int, point: str, repeat: int) -> bool:
    """Whether the name is this trial's, by this call or an earlier one."""
    key = {"study_id": study_id, "point": point, "repeat": repeat}
    connection.execute(insert_or_ignore(connection, points).values(**key, trial_id=trial_id))
    return bool(connection.scalar(select(points.c.trial_id).filter_by(**key)) == trial_id)


def trial_numbers(connection: Connection, study_id: int) -> dict[str, list[int]]:
    """The numbers of the trials that sampled a point, by its name, the first one first; failed ones too."""
    query = (
        select(points.c.point, trials.c.number)
        .join(trials, trials.c.trial_id == points.c.trial_id)
        .where(points.c.study_id == study_id)
        .order_by(points.c.repeat)
    )
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for point, number in connection.execute(query):
        numbers[point].append(number)
    return dict(numbers)
