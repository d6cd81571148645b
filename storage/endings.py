"""Who announces that a study has ended: one process for each end, whichever is first.

An end is known by the number of finished trials, so that a study whose budget is raised ends once more.
Whoever claims it and dies before it is settled leaves it to the next process that looks after `PATIENCE`.
"""

from sqlalchemy import Engine, select

from storage.attributes import set_study_attribute, study_attribute
from storage.clock import now
from storage.studies import lock

ANNOUNCED = "search:on_end"
"""Key of the end that was announced last among the study's attributes."""
PATIENCE = 600.0
"""Seconds that announcing takes at most."""


def claim(engine: Engine, study_id: int, finished: int) -> bool:
    """Whether the caller is to announce the end after `finished` trials."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))
        time = float(connection.scalar(select(now())) or 0.0)
        last = study_attribute(connection, study_id, ANNOUNCED)
        known = last is not None and last["finished"] == finished
        if known and (last["done"] or time - last["at"] < PATIENCE):
            return False
        end = {"finished": finished, "at": time, "done": False}
        set_study_attribute(connection, study_id, ANNOUNCED, end)
        return True


def settle(engine: Engine, study_id: int, finished: int) -> None:
    """Records that the end after `finished` trials is announced."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))
        end = {"finished": finished, "at": 0.0, "done": True}
        set_study_attribute(connection, study_id, ANNOUNCED, end)
