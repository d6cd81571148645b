"""Databases as older versions left them."""

import shutil
from pathlib import Path

import sqlalchemy

from storage.engine import connect

V1 = Path(__file__).parents[1] / "data" / "v1"
"""A database and its folders as the last version without schema versions wrote them; see its README."""


def copy_of_v1(folder: Path) -> Path:
    """A copy of everything in `V1`, to be written to."""
    return shutil.copytree(V1, folder / "v1")


def v1_url(kind: str, folder: Path, postgres_url: str | None = None) -> str:
    """The database of `V1` as a SQLite file in `folder`, or restored into an empty PostgreSQL database."""
    if kind == "sqlite":
        shutil.copy(V1 / "search.db", folder / "v1.db")
        return f"sqlite:///{folder / 'v1.db'}"
    assert postgres_url is not None
    engine = connect(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql((V1 / "postgres.sql").read_text().replace("%", "%%"))
    engine.dispose()
    return postgres_url


def forget_versions(url: str, *tables: str) -> None:
    """Makes the newest database one from before there were versions, without these tables."""
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE search_devices DROP COLUMN share"))
        for table in ("search_alembic_version", "search_constraints", *tables):
            connection.execute(sqlalchemy.text(f"DROP TABLE {table}"))
        connection.execute(sqlalchemy.text("ALTER TABLE search_studies DROP COLUMN token"))
    engine.dispose()
