"""Configs that were held against the constraints of their study, so that none is counted twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "search_constraints",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("search_studies.study_id"), primary_key=True),
        sa.Column("point", sa.String(64), primary_key=True),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("violations", sa.Text, nullable=False),
    )
