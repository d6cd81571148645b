"""A trial that hung gets one more attempt; a second hang is the trial's own fault."""

import json

from sqlalchemy import insert

from storage.attributes import trial_attribute
from storage.leases import Lease, Leases
from storage.tables import user_attributes

HUNG = "hung"
"""User attribute of a trial: how it hung the first time."""


def is_first_hang(leases: Leases, lease: Lease, text: str) -> bool:
    """Notes that the trial under `lease` hung; False where it had before, by another attempt."""
    told = json.dumps({"attempt": lease.attempt, "text": text})
    with leases.engine.begin() as connection:
        if (before := trial_attribute(connection, lease.trial_id, HUNG)) is not None:
            return bool(before["attempt"] == lease.attempt)
        connection.execute(
            insert(user_attributes).values(trial_id=lease.trial_id, key=HUNG, value_json=told)
        )
    return True
