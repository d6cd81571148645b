"""The roles of docker/roles.sql: the owner makes tables, a worker works and can make none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from postgres import run_file
from service import Search
from sqlalchemy import exc

from storage import tables
from storage.engine import connect
from storage.schema import prepare

ROLES = Path(__file__).parents[3] / "docker" / "roles.sql"
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@pytest.fixture
def roles(empty_postgres_url: str) -> Iterator[dict[str, str]]:
    """An empty database's URL for the superuser and for each of the two roles."""
    url = sqlalchemy.make_url(empty_postgres_url)
    run_file(empty_postgres_url, ROLES)
    names = ("search_owner", "search_worker")
    yield {
        "superuser": empty_postgres_url,
        **{name: url.set(username=name).render_as_string(hide_password=False) for name in names},
    }
    engine = connect(empty_postgres_url)
    with engine.begin() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
            connection.exec_driver_sql(f"DROP ROLE {name}")
    engine.dispose()


def test_a_worker_needs_no_right_to_change_tables(roles: dict[str, str], tmp_path: Path) -> None:
    """A process of its own, as in a container, under the role that changes no table."""
    search = Search(tmp_path / "work", roles["search_owner"])
    search.create().engine.dispose()
    search.environment["SEARCH_STORAGE"] = roles["search_worker"]
    search.run("worker")
    search.url = roles["search_worker"]
    search.finished(3)
    engine = connect(roles["search_worker"])
    for statement in (
        "CREATE TABLE mine (x int)",
        "DROP TABLE trials",
        "ALTER TABLE trials ADD COLUMN x int",
        "TRUNCATE trials CASCADE",
        "CREATE ROLE other SUPERUSER",
        "COPY trials TO PROGRAM 'true'",
    ):
        with pytest.raises(exc.ProgrammingError), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()
    search.close()


@pytest.mark.parametrize("first", ["roles", "tables"])
def test_every_table_is_the_owners_and_workers_may_write_its_rows(
    roles: dict[str, str], first: str
) -> None:
    """Also where the tables are older than the roles; and the owner can upgrade them then."""
    prepare(roles["search_owner" if first == "roles" else "superuser"])
    run_file(roles["superuser"], ROLES)
    engine = connect(roles["search_owner"])
    with engine.begin() as connection:
        query = "SELECT tablename FROM pg_tables WHERE tableowner = 'search_owner'"
        owned = set(connection.exec_driver_sql(query).scalars())
        for table in (*tables.ours.tables, *tables.optuna_tables.tables):
            assert table in owned
            for right in RIGHTS:
                query = f"SELECT has_table_privilege('search_worker', '{table}', '{right}')"
                assert connection.exec_driver_sql(query).scalar_one(), (table, right)
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN added int")
        connection.exec_driver_sql("ALTER TYPE trialstate ADD VALUE 'OTHER'")
    engine.dispose()
