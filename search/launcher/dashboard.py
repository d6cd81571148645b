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
        UserError: there is no study at `url`, or nothing can listen on `host` and `port`.
        StorageError: `artifacts` is no place for artifacts.
    """
    if not study_names(url):
        raise UserError(f"--storage: no study in {redacted(url)}; search start makes one")
    store = open_store(artifacts)
    check_address(host, port)
    print(f"http://{host}:{port}/dashboard shows {redacted(url)}; Ctrl-C ends it", file=sys.stderr)
    run_server(optuna_storage(url), host=host, port=port, artifact_store=store)


def check_address(host: str, port: int) -> None:
    """Raises UserError where a server cannot listen on `host` and `port`, with the system's reason."""
    reason = "no address" if not host.strip() else None  # for a socket it would mean every address
    try:
        with socket.socket() as probe:  # IPv4, like the server's
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reason is None:
                probe.bind((host, port))
    except OSError as error:
        reason = error.strerror
    except UnicodeError:
        reason = "not a host's name"
    if reason is not None:
        raise UserError(f"--host, --port: cannot listen on {host[:100]}:{port}: {reason}; name another")
