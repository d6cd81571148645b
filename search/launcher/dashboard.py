"""`search dashboard`: optuna-dashboard on a database and the artifacts beside it.

Optuna's storage is ours: with our locking, and finished trials are read once. Given a URL,
optuna-dashboard would read all of them every time.
"""

import socket
import sys

from optuna_dashboard import run_server

from search.errors import UserError
from search.study.open import study_names
from storage.artifacts import open_store
from storage.engine import optuna_storage
from storage.url import redacted


def serve(url: str, artifacts: str, host: str, port: int) -> None:
    """Answers until Ctrl-C.

    Raises:
        UserError: there is no study at `url`, or `host` and `port` cannot be listened on.
        StorageError: `artifacts` is no place for artifacts.
    """
    if not study_names(url):
        raise UserError(f"--storage: no study in {redacted(url)}; search start makes one")
    store = open_store(artifacts)
    check_address(host, port)
    print(f"http://{host}:{port}/dashboard shows {redacted(url)}; Ctrl-C ends it", file=sys.stderr)
    run_server(optuna_storage(url), host=host, port=port, artifact_store=store)


def check_address(host: str, port: int) -> None:
    """Raises UserError where the server could not listen: bottle would print a traceback."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
            server.bind(address)
    except OSError as error:
        raise UserError(
            f"--host, --port: cannot listen on {host}:{port}: {error.strerror}; name another"
        ) from error
