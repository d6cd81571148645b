"""A study is tied to Optuna's by a token that both have.

Optuna's own commands and the dashboard delete studies without our rows, and SQLite uses their ids again.
A study that still has all of its trials gets a token, or keeps the one that it was given when it first
used an artifact store. What is left of a deleted study gets one that Optuna's tables do not have: nobody
can find it any more, and the next study that is created removes it.
"""

import json
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy import column, table

revision = "0002"
down_revision = "0001"

KEY = "search:token"

studies = table("search_studies", column("study_id"), column("token"))
leases = table("search_leases", column("study_id"), column("trial_id"))
trials = table("trials", column("study_id"), column("trial_id"))
optunas = table("studies", column("study_id"))
attributes = table("study_system_attributes", column("study_id"), column("key"), column("value_json"))


def upgrade() -> None:
    connection = op.get_bind()
    its_trial = (trials.c.trial_id == leases.c.trial_id) & (trials.c.study_id == leases.c.study_id)
    orphaned_leases = sa.select(leases.c.study_id).where(~sa.exists().where(its_trial))
    intact = set(
        connection.scalars(
            sa.select(studies.c.study_id)
            .join(optunas, optunas.c.study_id == studies.c.study_id)
            .where(studies.c.study_id.not_in(orphaned_leases))
        )
    )
    stored = sa.select(attributes.c.study_id, attributes.c.value_json).where(attributes.c.key == KEY)
    tokens = {row.study_id: json.loads(row.value_json) for row in connection.execute(stored)}
    for study_id in intact - tokens.keys():
        tokens[study_id] = uuid4().hex
        row = {"study_id": study_id, "key": KEY, "value_json": json.dumps(tokens[study_id])}
        connection.execute(sa.insert(attributes).values(row))
    ids = list(connection.scalars(sa.select(studies.c.study_id)))
    op.add_column("search_studies", sa.Column("token", sa.String(32)))
    for study_id in ids:
        token = tokens[study_id] if study_id in intact else uuid4().hex
        connection.execute(sa.update(studies).filter_by(study_id=study_id).values(token=token))
    with op.batch_alter_table("search_studies") as batch:
        batch.alter_column("token", existing_type=sa.String(32), nullable=False)
