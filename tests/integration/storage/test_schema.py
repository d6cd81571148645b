"""Versions of the tables: old databases are upgraded or shown as they are, newer ones are refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lease_workers import claimed, new_study, worker
from old_databases import forget_versions, v1_url
from optuna.study import StudyDirection
from races import at_once
from service import Answer, Search

from search.errors import StudyError
from search.study.create import create_study
from search.study.open import find_study, study_names
from storage import hours, imports, schema, studies, tables, test_reads
from storage.engine import connect, optuna_storage
from storage.errors import StorageError
from storage.leases import Status
from storage.samples import Samples
from storage.schema import OPTUNA_REVISION, REVISION, VERSION_TABLE, open_database, prepare
from storage.url import one_line_errors

LATER = ["search_devices", "search_takeovers", "search_points", "search_imports", "search_test_reads"]
"""Tables that versions have added one after the other, before there were schema versions."""


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that the last version without schema versions has written."""
    server = request.getfixturevalue("empty_postgres_url") if request.param == "postgresql" else None
    return v1_url(request.param, tmp_path, server)


def differences(url: str) -> list[Any]:
    """What Alembic would change for a database to have the tables that `storage.tables` describes."""
    ours = set(tables.ours.tables)
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "include_object": lambda item, name, kind, reflected, other: kind != "table" or name in ours,
    }
    engine = connect(url, read_only=True)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), tables.ours)
    engine.dispose()
    return list(found)


def execute(url: str, *statements: str) -> None:
    engine = connect(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def scalars(url: str, query: str) -> list[Any]:
    engine = connect(url, read_only=True)
    with engine.connect() as connection:
        found = list(connection.scalars(sqlalchemy.text(query)))
    engine.dispose()
    return found


def opened(url: str, *, read_only: bool = False) -> None:
    engine = open_database(url, read_only=read_only)
    assert engine is not None
    engine.dispose()


def test_the_last_migration_is_the_newest_version() -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_a_new_database_has_the_tables_that_are_described(empty_url: str) -> None:
    assert open_database(empty_url) is None
    prepare(empty_url)
    assert differences(empty_url) == []
    assert scalars(empty_url, f"SELECT version_num FROM {VERSION_TABLE}") == [REVISION]
    assert scalars(empty_url, "SELECT version_num FROM alembic_version") == [OPTUNA_REVISION]


def test_an_old_database_gets_the_same_tables_and_keeps_its_rows(old_url: str) -> None:
    query = "SELECT trial_id FROM search_leases ORDER BY trial_id"
    before, names = scalars(old_url, query), study_names(old_url)
    opened(old_url)
    assert differences(old_url) == []
    assert scalars(old_url, query) == before
    assert study_names(old_url) == names and "toy" in names
    engine = connect(old_url)
    tokens = {
        studies.token(engine, study_id) for study_id in scalars(old_url, "SELECT study_id FROM studies")
    }
    engine.dispose()
    assert len(tokens) == len(names), "each study has a token of its own"


def test_tables_that_an_old_database_lacks_are_created(url: str) -> None:
    engine, study_id = new_study(url, trials=2)
    forget_versions(url, *LATER)
    assert imports.listed(engine, study_id) == [] and imports.find(engine, study_id, "night") is None
    assert test_reads.reads(engine, study_id) == [] and test_reads.reads_by_others(engine, 0, "x") == 0
    opened(url)
    assert differences(url) == []
    assert hours.set_limit(engine, study_id, 1.0) == 1.0
    a = worker(engine, study_id, "a")
    a.release(claimed(a))
    assert claimed(a).attempt == 2
    assert Samples(engine, study_id).points() == {}


def upgrade(url: str) -> None:
    opened(url)


def test_eight_processes_upgrade_an_old_database_together(old_url: str) -> None:
    assert at_once(upgrade, [(old_url,)] * 8) == [None] * 8
    assert differences(old_url) == []


def test_reading_an_old_database_changes_nothing(tmp_path: Path) -> None:
    url = v1_url("sqlite", tmp_path)
    before = (tmp_path / "v1.db").read_bytes()
    study = find_study(url, "toy", read_only=True)
    assert study is not None and study.row.trials == 6
    study.engine.dispose()
    assert (tmp_path / "v1.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1.db"]


def test_a_user_who_may_only_read_sees_an_old_database(empty_postgres_url: str, tmp_path: Path) -> None:
    v1_url("postgresql", tmp_path, empty_postgres_url)
    execute(
        empty_postgres_url,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    reader = (
        sqlalchemy.make_url(empty_postgres_url).set(username="reader").render_as_string(hide_password=False)
    )
    study = find_study(reader, "toy", read_only=True)
    assert study is not None and study.row.trials == 6
    study.engine.dispose()
    with pytest.raises(
        StorageError, match="may not upgrade it; run the same command once as its owner"
    ) as caught:
        find_study(reader, "toy")
    assert "\n" not in str(caught.value)
    execute(empty_postgres_url, "DROP OWNED BY reader", "DROP ROLE reader")


COUNTING = """
import sys
from sqlalchemy import Engine, event
from storage.schema import open_database

queries = []
event.listen(Engine, "before_cursor_execute", lambda _, cursor, query, *rest: queries.append(query))
open_database(sys.argv[1])
print(sum("SELECT" in query for query in queries), "alembic" in sys.modules, "optuna" in sys.modules)
"""


def test_opening_the_newest_version_takes_one_query_and_no_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    prepare(url)
    done = subprocess.run([sys.executable, "-c", COUNTING, url], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["1", "False", "False"], "")


NEWER = f"UPDATE {VERSION_TABLE} SET version_num = '0999'"
OPTUNA_NEWER = "UPDATE alembic_version SET version_num = 'v9.0.0.a'"
OPTUNA_OLDER = "UPDATE alembic_version SET version_num = 'v3.0.0.d'"


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (NEWER, f"of version 0999, newer than this program's {REVISION}; upgrade mseg-search"),
        (OPTUNA_NEWER, f"v9.0.0.a, the installed Optuna .* needs {OPTUNA_REVISION}; upgrade optuna"),
        (
            OPTUNA_OLDER,
            f"v3.0.0.d, the installed Optuna .* needs {OPTUNA_REVISION}; `optuna storage upgrade",
        ),
    ],
)
def test_another_version_is_refused_in_one_line(
    url: str, statement: str, message: str, read_only: bool
) -> None:
    execute(url, statement)
    calls = [
        lambda: open_database(url, read_only=read_only),
        lambda: prepare(url),
        lambda: study_names(url),
    ]
    for call in calls:
        with pytest.raises(StorageError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


COMMANDS = ["status", "trials", "best", "stop", "start", "worker", "report", "compare 0 1", "confirm",
            "ablate 0 1", "import --remove night", "dashboard"]  # fmt: skip


def test_every_command_refuses_a_newer_database(command: Callable[..., Answer], search: Search) -> None:
    prepare(search.url)
    execute(search.url, NEWER)
    for arguments in COMMANDS:
        answer = command(*arguments.split(), code=2)
        (line,) = answer.err.splitlines()
        assert "its tables are of version 0999" in line and answer.out == "", arguments
    assert scalars(search.url, f"SELECT version_num FROM {VERSION_TABLE}") == ["0999"]
    execute(search.url, NEWER.replace("0999", REVISION))  # so that the fixture can look at it


# -- studies that Optuna's own commands have deleted or made ---------------------------------------


def delete(url: str, name: str) -> None:
    """As optuna-dashboard and `optuna delete-study` do it."""
    storage = optuna_storage(url)
    storage.delete_study(storage.get_study_id_from_name(name))
    storage.remove_session()


def test_what_is_left_of_a_deleted_study_is_nobodys(url: str) -> None:
    engine, first = new_study(url, trials=3)
    claimed(worker(engine, first, "a"))
    claimed(worker(engine, first, "b"))
    delete(url, "toy")
    assert studies.find(engine, "toy") is None
    optuna_storage(url).create_new_study([StudyDirection.MAXIMIZE], "another")  # SQLite uses the id again
    assert studies.find(engine, "another") is None and studies.names(engine) == []
    engine, second = new_study(url, trials=5)
    row = studies.find(engine, "toy")
    assert row is not None and row.trials == 5
    assert scalars(url, "SELECT study_id FROM search_studies") == [second]
    assert scalars(url, "SELECT study_id FROM search_leases") == []
    assert scalars(url, "SELECT study_id FROM search_workers") == []
    assert claimed(worker(engine, second, "c")).slot == 0


def test_a_deleted_study_leaves_its_trials_ids_to_others(url: str) -> None:
    """SQLite numbers on from the highest id there is: another study's next trial gets a dead one's."""
    engine, kept = new_study(url, trials=9)
    other = new_study(url, trials=9, name="other")
    a, b = worker(engine, kept, "a"), worker(*other, "b")
    claimed(a)
    b.release(claimed(b))
    claimed(b)  # a take-over is on record
    delete(url, "other")
    a2 = worker(engine, kept, "a2")
    assert [claimed(a2).number] == [1]


def test_who_works_on_a_deleted_study_is_told_and_writes_nothing(url: str) -> None:
    engine, study_id = new_study(url, trials=3)
    a = worker(engine, study_id, "a")
    lease = claimed(a)
    assert a.report(lease, 1, 2, 0.5)
    delete(url, "toy")
    answer = a.beat(Status(state="training"), lease)
    assert answer.study_deleted and not answer.held
    assert a.claim() == "deleted"
    assert not a.report(lease, 2, 2, 0.5)
    assert not a.finish(lease, "COMPLETE", 0.5, {"x": 1})
    a.release(lease)
    a.leave()
    assert scalars(url, "SELECT count(*) FROM trial_intermediate_values") == [0]
    assert scalars(url, "SELECT count(*) FROM trial_values") == [0]


def test_a_study_of_another_program_is_refused(search_on_each: Search) -> None:
    search = search_on_each
    study = search.create()
    optuna_storage(search.url).create_new_study([StudyDirection.MAXIMIZE], "foreign")
    assert find_study(search.url, "foreign") is None
    with pytest.raises(StudyError, match="'foreign' is a study of another program"):
        create_study(search.url, "foreign", study.spec, {}, trials=3)
    study.engine.dispose()


def test_orphans_of_an_old_database_are_found(url: str) -> None:
    """Their Optuna study may be gone, or another one may have its id by now."""
    engine, study_id = new_study(url, trials=3)
    claimed(worker(engine, study_id, "a"))
    whole = new_study(url, trials=3, name="whole")[1]
    delete(url, "toy")
    optuna_storage(url).create_new_study([StudyDirection.MAXIMIZE], "another")
    forget_versions(url)
    execute(url, f"DELETE FROM study_system_attributes WHERE study_id = {whole}")
    opened(url)
    assert studies.names(engine) == ["whole"]


def test_another_program_may_make_optunas_tables_in_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dashboard, say, which does not know our lock."""
    url, real = f"sqlite:///{tmp_path}/new.db", schema.rdb_storage

    def too_late(url: str, *, create_tables: bool) -> None:
        monkeypatch.setattr(schema, "rdb_storage", real)
        real(url, create_tables=create_tables).engine.dispose()
        with one_line_errors(url):
            raise sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr(schema, "rdb_storage", too_late)
    prepare(url)
    opened(url)
