"""What happens when a study ends: once, whoever sees it, and with nothing secret in the database."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lease_workers import claimed, worker
from service import PATIENCE, Answer, Search, runs
from toy_studies import staged_document

from search.errors import UserError
from search.launcher import at_end
from search.launcher.at_end import AtEnd, announce, read_at_end
from search.runtime.devices import Device
from search.runtime.signals import Interrupt, interruptible
from search.study.open import open_study
from search.study.study import Study
from search.worker.worker import Worker
from storage import endings, studies

Command = Callable[..., Answer]


class Webhook:
    """A server on loopback that keeps what it gets, and answers with `codes`, the last one for ever."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.codes = [200]
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.got.append(json.loads(body))
                code = webhook.codes.pop(0) if len(webhook.codes) > 1 else webhook.codes[0]
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/s3cret"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    found = Webhook()
    yield found
    found.server.shutdown()
    found.server.server_close()


def end_trials(study: Study, count: int, *values: float) -> None:
    """Trains `count` trials, which take turns with these values."""
    owner = worker(study.engine, study.id, "a")
    for number in range(count):
        lease, value = claimed(owner), values[number % len(values)] if values else 0.5
        assert owner.report(lease, 1, 1, value) and owner.finish(lease, "COMPLETE", value, {})
    owner.leave()


def test_an_end_is_announced_once_by_many_processes(search_on_each: Search, webhook: Webhook) -> None:
    study = search_on_each.create(trials=2)
    end_trials(study, 1)
    announce(study, AtEnd(None, webhook.url))
    assert webhook.got == [], "it has not ended"
    end_trials(study, 1)
    threads = [threading.Thread(target=announce, args=(study, AtEnd(None, webhook.url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (body,) = webhook.got
    assert body["study"] == "toy" and body["budget"]["complete"] == 2 and body["best"]["number"] == 0
    assert body["text"] == "study toy: 2 of 2 trials; best 0.5000, trial 0 (by hand)"
    studies.set_budget(study.engine, study.id, 3)
    end_trials(study, 1)
    announce(study, AtEnd(None, webhook.url))
    assert [each["budget"]["trials"] for each in webhook.got] == [2, 3], "a raised budget ends once more"


def test_who_dies_while_announcing_leaves_it_to_the_next(
    search: Search, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search.create(trials=1)
    end_trials(study, 1)
    assert endings.claim(study.engine, study.id, 1), "and then it is killed"
    announce(study, AtEnd(None, webhook.url))
    assert webhook.got == [], "it may be alive"
    monkeypatch.setattr(endings, "PATIENCE", 0.0)
    announce(study, AtEnd(None, webhook.url))
    announce(study, AtEnd(None, webhook.url))
    assert len(webhook.got) == 1


def test_a_command_gets_the_summary_and_is_in_no_database(
    search: Search, webhook: Webhook, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = search.folder / "hook"
    file.write_text(f"{webhook.url}\n")
    monkeypatch.setenv("SEARCH_ON_END_URL_FILE", str(file))
    study = search.create(trials=1)
    end_trials(study, 1)
    command("start", "--workers", "1", "--on-end", "cat > told.json")
    assert json.loads(Path("told.json").read_text()) == webhook.got[0]
    stored = Path(search.url.removeprefix("sqlite:///")).read_bytes()
    assert b"told.json" not in stored and b"s3cret" not in stored
    command("worker", "--on-end", "cat > again.json")
    assert not Path("again.json").exists() and len(webhook.got) == 1


@pytest.mark.parametrize(
    ("asked", "begins"),
    [(("ablate", "0", "1"), "From trial 0 (by hand) to"), (("confirm", "--top", "1"), "On")],
)
def test_a_race_ends_once_nothing_more_is_planned(
    search: Search, webhook: Webhook, command: Command, asked: tuple[str, ...], begins: str
) -> None:
    search.create("noise=0.02", trials=2)
    command("worker")
    made = command(*asked, "--workers", "0", "--json").json
    race = open_study(search.url, made["study"])
    end_trials(race, race.row.trials, 0.5, 0.6, 0.5, 0.52, 0.5, 0.64)
    announce(race, AtEnd(None, webhook.url))
    assert webhook.got == [], "the first round has ended, and the next is not planned yet"
    command("worker", "--study", race.name)
    command(*asked, "--workers", "1", "--on-end", "cat > told.json")
    told = json.loads(Path("told.json").read_text())
    assert told["study"] == race.name and told["stop"] is None and told["answer"]["ended"]
    assert told["answer"]["trials"]["planned"] == told["budget"]["complete"] > race.row.trials
    assert told["text"].split("; ")[1].startswith(begins)
    announce(race, AtEnd(None, webhook.url))
    assert webhook.got == [], "it was announced already"


def test_a_search_in_stages_ends_with_its_last_stage(
    search: Search, webhook: Webhook, command: Command
) -> None:
    stages = staged_document("{trials: 3, epochs: 1}", "{keep: 1, seeds: 2}", epochs=2)
    (search.folder / "space.yaml").write_text(stages)
    study = search.create()
    Worker(study, search.runs.parent, None, [Device("cpu", "cpu")]).run(Interrupt())
    announce(study, AtEnd(None, webhook.url))
    assert webhook.got == []
    command("worker", "--on-end", "cat > told.json")
    told = json.loads(Path("told.json").read_text())
    assert [each["complete"] for each in told["stages"]] == [3, 4]
    assert told["text"].startswith("study toy: 3 of 3 trials; best ")
    assert "study toy-stage-2: 4 of 4 trials" in told["text"]


def test_what_fails_at_the_end_is_one_line_without_the_url(
    search: Search, webhook: Webhook, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_end, "PAUSES", (0.0, 0.0))
    study = search.create(trials=1)
    end_trials(study, 1)
    webhook.codes = [503, 404]
    announce(study, AtEnd("exit 3", webhook.url))
    assert capfd.readouterr().err.splitlines() == [
        "--on-end: the command exited with 3",
        "SEARCH_ON_END_URL: the webhook was not reached: it answers 404",
    ]
    assert len(webhook.got) == 2, "tried again after 503, and not after 404"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/s3cret",
        "https://[hooks/s3cret",
        "https://hooks.example:x/s3cret",
        "https://hooks.example/s3cret here",
        "https://hooks.example/s3cret-ü",
        "https://me:s3cret@hooks.example/",
    ],
)
def test_a_webhook_that_cannot_be_called_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_ON_END_URL", url)
    with pytest.raises(UserError, match="SEARCH_ON_END_URL: is not an address") as refused:
        read_at_end(None)
    assert "s3cret" not in str(refused.value)


def test_a_webhook_that_does_not_speak_http_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_end, "PAUSES", ())
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            caller = server.accept()[0]
            caller.recv(1 << 16)
            caller.sendall(b"220 mail.example ESMTP\r\n")
            caller.close()

        thread = threading.Thread(target=answer)
        thread.start()
        at_end._post(f"http://127.0.0.1:{server.getsockname()[1]}/s3cret", b"{}")
        thread.join()
    assert capfd.readouterr().err == f"{at_end.URL}: the webhook was not reached: its answer is not HTTP\n"


@pytest.mark.parametrize("by", ["its time", "a signal"])
def test_a_command_that_is_ended_leaves_no_process_behind(
    tmp_path: Path, by: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_end, "COMMAND_SECONDS", 0.5 if by == "its time" else PATIENCE)
    pid = tmp_path / "pid"
    signalled = by == "a signal"

    def signal_once_it_runs() -> None:
        while not pid.exists() or not pid.read_text().strip():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    with interruptible() as interrupt, interrupt.at_once():
        if signalled:
            threading.Thread(target=signal_once_it_runs).start()
        at_end._run(f"sleep 1000 & echo $! > {pid}; wait", b"{}")
    assert bool(interrupt) == signalled
    assert ("was ended" in capfd.readouterr().err) != signalled
    child, end = int(pid.read_text()), time.monotonic() + PATIENCE
    while runs(child):
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.01)
