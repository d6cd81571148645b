"""`search dashboard`: optuna-dashboard on a database and the artifacts beside it, behind a guard.

Optuna's storage is ours: with our locking, and finished trials are read once. Given a URL,
optuna-dashboard would read all of them every time.

optuna-dashboard has no login, and whoever reaches its port can delete studies. So the guard lets through
what only reads, unless writing was asked for, and wants a token where other machines can reach the port.
"""

import ipaddress
import secrets
import socket
import sys
from base64 import b64decode
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna_dashboard import wsgi

from search.errors import UserError
from search.study.open import study_names
from search.study.secret import secret
from storage.artifacts import open_store
from storage.engine import optuna_storage
from storage.url import redacted

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

TOKEN = "SEARCH_DASHBOARD_TOKEN"
READING = ("GET", "HEAD", "OPTIONS")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """A WSGI application in front of optuna-dashboard's.

    Args:
        token: the password of every request, with any user name (HTTP Basic); None where only this machine
            reaches the port.
        write: whether requests that change something are let through.
    """

    def __init__(self, app: "WSGIApplication", token: str | None, write: bool) -> None:
        self.app = app
        self.token = token
        self.write = write

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        refusal = self._refusal(environ)
        if refusal is None:
            return self.app(environ, start_response)
        status, reason = refusal
        headers = [("Content-Type", "application/json")]
        if status.startswith("401"):
            headers.append(("WWW-Authenticate", 'Basic realm="the password is the token"'))
        start_response(status, headers)
        return [f'{{"reason": "{reason}"}}'.encode()]

    def _refusal(self, environ: dict[str, Any]) -> tuple[str, str] | None:
        host = environ.get("HTTP_HOST", "")
        if self.token is not None:
            if not secrets.compare_digest(_password(environ), self.token.encode()):
                return "401 Unauthorized", f"the password is the token, see {TOKEN}"
        elif host.rpartition(":")[0] not in LOOPBACK_NAMES and host not in LOOPBACK_NAMES:
            # A page of another site whose name was made to mean this machine (DNS rebinding).
            return "403 Forbidden", "use http://127.0.0.1 or http://localhost"
        if environ["REQUEST_METHOD"] in READING:
            return None
        if not self.write:
            return "403 Forbidden", "this dashboard is read-only; search dashboard --write changes that"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != host:
            return "403 Forbidden", "the request comes from a page of another site"
        return None


class _Server(ThreadingMixIn, WSGIServer):
    """Browsers open connections before they use them, which would keep a single thread waiting."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Prints no line for each request."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def dashboard(url: str, artifacts: str, token: str | None, write: bool) -> Guard:
    """The application for the studies at `url`.

    Raises:
        StorageError: `artifacts` is no place for artifacts.
    """
    return Guard(wsgi(optuna_storage(url), artifact_store=open_store(artifacts)), token, write)


def serve(url: str, artifacts: str, host: str, port: int, write: bool) -> None:
    """Answers until Ctrl-C; without SEARCH_DASHBOARD_TOKEN it makes a token up where it needs one.

    Raises:
        UserError: there is no study at `url`, or nothing can listen on `host` and `port`.
        StorageError: `artifacts` is no place for artifacts.
    """
    if not study_names(url):
        raise UserError(f"--storage: no study in {redacted(url)}; search start makes one")
    address = check_address(host, port)
    token = given = secret(TOKEN, "token")
    if token is None and not address.is_loopback:
        token = secrets.token_urlsafe(16)
    app = dashboard(url, artifacts, token, write)
    with make_server(host, port, app, _Server, _Quiet) as server:
        shown = socket.gethostname() if address.is_unspecified else host
        what = "shows" if not write else "shows and changes"
        print(f"http://{shown}:{port}/dashboard {what} {redacted(url)}; Ctrl-C ends it", file=sys.stderr)
        if token is not None:
            which = f"the one in {TOKEN}" if given else token
            print(f"its password is the token: {which}; any user name will do", file=sys.stderr)
        server.serve_forever()


def check_address(host: str, port: int) -> ipaddress.IPv4Address:
    """The address of `host`; raises UserError, with the system's reason, where no server can listen."""
    reason = "no address" if not host.strip() else None  # for a socket it would mean every address
    try:
        with socket.socket() as probe:  # IPv4, like the server's
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reason is None:
                probe.bind((host, port))
                return ipaddress.IPv4Address(probe.getsockname()[0])
    except OSError as error:
        reason = error.strerror
    except UnicodeError:
        reason = "not a host's name"
    raise UserError(f"--host, --port: cannot listen on {host[:100]}:{port}: {reason}; name another")


def _password(environ: dict[str, Any]) -> bytes:
    """Of a request with HTTP Basic authentication; empty for any other."""
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        return b64decode(encoded).partition(b":")[2] if scheme.lower() == "basic" else b""
    except ValueError:  # not Base64, or not ASCII
        return b""
