"""What the pruner said against a control, stored when it says so: a running trial shows it already.

The first verdict stays, whoever takes the trial over and comes to another.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from storage.attributes import add_trial_attributes
from storage.leases import Lease, Leases
from storage.tables import held, leases


def note(owner: Leases, lease: Lease, attributes: Mapping[str, Any]) -> None:
    """Adds user attributes to the trial under `lease`; nothing where that is somebody else's by now."""
    query = select(leases.c.trial_id).where(held(lease.trial_id, owner.worker_id, lease.attempt))
    with owner.engine.begin() as connection:
        if connection.scalar(query.with_for_update()) is not None:
            add_trial_attributes(connection, lease.trial_id, attributes)
