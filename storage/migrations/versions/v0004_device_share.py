"""How many workers may have a device with its holder, so that nobody joins one who wants it alone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("search_devices", sa.Column("share", sa.Integer))
