"""Stop rules: a search that ends before its budget is used up because of what it has found.

The rule is `study.stop` of the study's document. It is judged where a slot would be claimed, under the
study's lock, and once it is met that is stored: so no worker claims a slot afterwards, however many there
are and however the running trials end. Those end normally, and a dead worker's are taken over.
"""

import json
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select

from storage.attributes import add_study_attributes, study_attribute
from storage.tables import (
    directions,
    leases,
    study_system_attributes,
    trials,
    trials_with_values,
    user_attributes,
    values,
)

STOPPED = "search:stopped"
"""Key of what stopped a study, among its attributes; see `search.records.StoppedBy`."""


def is_met(connection: Connection, study_id: int, document: str, claimed: int) -> bool:
    """Whether the study's rule is met, now or before. The caller holds the study's lock.

    Args:
        claimed: the number of slots that are claimed, which is stored with what met the rule.
    """
    rule = json.loads(document).get("study", {}).get("stop")
    if not rule:
        return False
    if study_attribute(connection, study_id, STOPPED) is not None:
        return True
    met = _judged(connection, study_id, rule)
    if met is None:
        return False
    add_study_attributes(connection, study_id, {STOPPED: {**met, "claimed": claimed}})
    return True


def forget(connection: Connection, study_id: int) -> None:
    """Lets a stopped study continue: its rule has changed. The caller holds the study's lock."""
    attribute = study_system_attributes
    connection.execute(delete(attribute).filter_by(study_id=study_id, key=STOPPED))


def _judged(connection: Connection, study_id: int, rule: dict[str, Any]) -> dict[str, Any] | None:
    """What is stored of a rule that the finished trials meet; None where they do not.

    Trials count in the order of their ends. Neither failed trials nor repeats of a config count: they say
    nothing about whether there is a better config.
    """
    direction = select(directions.c.direction).where(directions.c.study_id == study_id)
    sign = -1.0 if connection.scalar(direction) == "MINIMIZE" else 1.0
    best: Row[Any] | None = None
    since = 0
    for row in _ended(connection, study_id):
        since += 1
        value = row.value if row.state == "COMPLETE" else None
        if value is not None and (best is None or sign * value > sign * best.value):
            best, since = row, 0
    if best is None:
        return None
    target, after = rule.get("target"), rule.get("after")
    if target is not None and sign * best.value >= sign * target:
        return {"rule": "target", "limit": target, "trial": best.number, "value": best.value}
    if after is not None and since >= after:
        return {"rule": "after", "limit": after, "trial": best.number, "value": best.value}
    return None


def _ended(connection: Connection, study_id: int) -> list[Row[Any]]:
    is_repeat = exists().where(
        user_attributes.c.trial_id == trials.c.trial_id, user_attributes.c.key == "repeat_of"
    )
    query = (
        select(trials.c.number, trials.c.state, values.c.value)
        .select_from(trials_with_values)
        .where(
            leases.c.study_id == study_id,
            leases.c.finished_at.is_not(None),
            trials.c.state.in_(["COMPLETE", "PRUNED"]),
            ~is_repeat,
        )
        .order_by(leases.c.finished_at, trials.c.number)
    )
    return list(connection.execute(query))
