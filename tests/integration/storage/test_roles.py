"""The roles of docker/roles.sql: the owner makes tables, a worker works and can make none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from service import Search
from sqlalchemy import exc

from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.worker.worker import Worker

ROLES = Path(__file__).parents[3] / "docker" / "roles.sql"


@pytest.fixture
def roles(empty_postgres_url: str) -> Iterator[dict[str, str]]:
    """An empty database's URL for each of the two roles."""
    url = sqlalchemy.make_url(empty_postgres_url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    lines = [line for line in ROLES.read_text().splitlines() if not line.startswith(("\\", "--"))]
    names = ("search_owner", "search_worker")
    with engine.connect() as connection:
        for statement in " ".join(lines).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    yield {
        name: url.set(drivername="postgresql", username=name).render_as_string(hide_password=False)
        for name in names
    }
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
            connection.exec_driver_sql(f"DROP ROLE {name}")
    engine.dispose()


def test_a_worker_needs_no_right_to_change_tables(roles: dict[str, str], tmp_path: Path) -> None:
    search = Search(tmp_path / "work", roles["search_owner"])
    search.create().engine.dispose()
    study = open_study(roles["search_worker"], "toy")
    Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt())
    assert [record.state for record in search.records()] == ["complete"] * 3
    for statement in (
        "CREATE TABLE mine (x int)",
        "DROP TABLE trials",
        "ALTER TABLE trials ADD COLUMN x int",
        "TRUNCATE trials CASCADE",
        "CREATE ROLE other SUPERUSER",
        "COPY trials TO PROGRAM 'true'",
    ):
        with pytest.raises(exc.ProgrammingError), study.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    study.engine.dispose()
    search.close()
