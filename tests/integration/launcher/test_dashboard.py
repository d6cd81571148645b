"""The dashboard's guard, in front of the real optuna-dashboard, by requests over a socket."""

import json
import re
import sqlite3
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from wsgiref.simple_server import make_server

import pytest
from service import Search

from search.launcher.dashboard import Guard, dashboard

Ask = Callable[..., tuple[int, bytes]]
Serve = Callable[..., Ask]


@pytest.fixture
def serve(search: Search) -> Iterator[Serve]:
    """Starts a dashboard over a study, and returns what asks it."""
    search.create()
    servers = []

    def start(token: str | None = None, write: bool = False) -> Ask:
        app = dashboard(search.url, str(search.folder / "artifacts"), token, write)
        server = make_server("127.0.0.1", 0, app)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()

        def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
            address = f"http://127.0.0.1:{server.server_port}{path}"
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            request = urllib.request.Request(address, method=method, headers=named)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        return ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def dump(search: Search) -> list[str]:
    with closing(sqlite3.connect(search.url.removeprefix("sqlite:///"))) as connection:
        return list(connection.iterdump())


def changing_routes(search: Search) -> list[tuple[str, str]]:
    """Method and path of every route of optuna-dashboard that is not read, with 1 for each id."""
    app: Any = dashboard(search.url, str(search.folder / "artifacts"), None, False).app
    routes = [(route.method, re.sub(r"<[^>]*>", "1", route.rule)) for route in app.routes]
    return [(method, path) for method, path in routes if method not in ("GET", "HEAD")]


def test_a_read_only_dashboard_refuses_every_route_that_changes_something(
    search: Search, serve: Serve
) -> None:
    ask, before, routes = serve(), dump(search), changing_routes(search)
    assert {("DELETE", "/api/studies/1"), ("POST", "/api/trials/1/tell")} <= set(routes)
    for method, path in routes:
        code, body = ask(path, method, Content_Type="application/json")
        assert code == 403 and "--write" in json.loads(body)["reason"], (method, path)
    assert dump(search) == before
    assert b"toy" in ask("/api/studies")[1] and ask("/dashboard")[0] == 200


def test_with_write_a_study_can_be_deleted_but_not_from_a_page_of_another_site(serve: Serve) -> None:
    ask = serve(write=True)
    code, body = ask("/api/studies/1", "DELETE", Origin="http://evil.example")
    assert code == 403 and b"another site" in body and b"toy" in ask("/api/studies")[1]
    assert ask("/api/studies/1", "DELETE")[0] == 204 and b"toy" not in ask("/api/studies")[1]


def test_without_a_token_another_name_for_this_machine_is_refused(serve: Serve) -> None:
    ask = serve()
    assert ask("/api/studies", Host="evil.example:8080")[0] == 403
    assert ask("/api/studies", Host="localhost:8080")[0] == 200


def test_a_dashboard_with_a_token_answers_nobody_else(serve: Serve) -> None:
    ask = serve(token="correct horse")

    def basic(password: str) -> str:
        return f"Basic {b64encode(f'anybody:{password}'.encode()).decode()}"

    for wrong in (
        "",
        basic("battery staple"),
        basic(""),
        "Basic ???",
        "Basic \xe9",
        "Bearer correct horse",
    ):
        assert ask("/api/studies", Authorization=wrong)[0] == 401, wrong
    asked = basic("correct horse")
    assert ask("/api/studies", Authorization=asked, Host="gpu7.example:8080")[0] == 200
    assert ask("/api/studies/1", "DELETE", Authorization=asked)[0] == 403


def test_only_the_machine_itself_needs_no_token(
    search: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On every other address one is made up and printed, unless a variable or its file holds one."""
    from search.launcher import dashboard as module

    search.create()
    tokens = []

    class Server:
        def __init__(self, host: str, port: int, app: Guard, *_: Any) -> None:
            tokens.append(app.token)

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def serve_forever(self) -> None:
            pass

    monkeypatch.setattr(module, "make_server", Server)

    def start(host: str) -> str:
        module.serve(search.url, str(search.folder / "artifacts"), host, 0, False)
        return capsys.readouterr().err

    assert "token" not in start("127.0.0.1")
    assert (first := start("0.0.0.0")) and tokens[-1] in first
    start("0.0.0.0")
    assert tokens[0] is None and len({*tokens}) == 3 and min(map(len, tokens[1:])) >= 20
    file = search.folder / "token"
    file.write_text("from a file\n")
    monkeypatch.setenv("SEARCH_DASHBOARD_TOKEN_FILE", str(file))
    said = start("0.0.0.0")
    assert tokens[-1] == "from a file" and "from a file" not in said
    start("127.0.0.1")
    assert tokens[-1] == "from a file", "who sets one gets one"
