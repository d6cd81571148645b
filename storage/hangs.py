"""A trial that hung gets one more attempt; a second hang is the trial's own fault."""

from storage.attributes import insert_trial_attributes, trial_attribute
from storage.claims import Lease
from storage.leases import Leases

HUNG = "hung"
"""User attribute of a trial: its first hang."""


def is_first_hang(leases: Leases, lease: Lease, text: str) -> bool:
    """Records that the trial under `lease` hung; False where an earlier attempt had recorded a hang."""
    with leases.engine.begin() as connection:
        if (before := trial_attribute(connection, lease.trial_id, HUNG)) is not None:
            return bool(before["attempt"] == lease.attempt)
        hang = {"attempt": lease.attempt, "text": text}
        insert_trial_attributes(connection, lease.trial_id, {HUNG: hang})
    return True
