"""What happens when a study ends: a command, and a request to a webhook, each with the study's summary.

Both belong to the process that was started with them. Neither is ever read from the database: whoever can
write that would otherwise run commands on every machine that works for the study.
"""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from search import formatting
from search.errors import UserError
from search.records import Snapshot
from search.render.output import say
from search.study.read import read_snapshot
from search.study.secret import secret
from search.study.study import Study
from storage import endings
from storage.errors import DATABASE_ERRORS, reason

URL = "SEARCH_ON_END_URL"
COMMAND_SECONDS = 300.0
REQUEST_SECONDS = 30.0
PAUSES = (1.0, 5.0)  # seconds before another try at a webhook


@dataclass(frozen=True)
class AtEnd:
    """A shell command, and the URL of a webhook, which is a secret; None: nothing."""

    command: str | None
    url: str | None

    def __bool__(self) -> bool:
        return self.command is not None or self.url is not None


def read_at_end(command: str | None) -> AtEnd:
    """The command of the flag, and the URL of the variable or its file; UserError where it is none."""
    url = secret(URL)
    if url is not None and not _can_be_called(url):
        raise UserError(
            f"{URL}: is not an address such as https://host/path, in ASCII and with no user name"
        )
    return AtEnd(command or None, url)


def _can_be_called(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or no IPv6 address
        return False
    return known and parts.username is None and all("!" <= character <= "~" for character in url)


def announce(study: Study, at_end: AtEnd) -> None:
    """Runs the command and tells the webhook, if the study has ended and no other process has done so.

    What a signal raises here ends the command, and leaves the end to the next process that looks.
    """
    try:
        if at_end:
            _announce(study, at_end)
    except DATABASE_ERRORS as error:
        say(f"at the end: the database does not answer: {reason(error)}")


def _announce(study: Study, at_end: AtEnd) -> None:
    snapshot = read_snapshot(study)
    if not snapshot.budget.used_up and snapshot.stop != "bugs":
        return
    finished = snapshot.budget.finished
    if not endings.claim(study.engine, study.id, finished):
        return
    body = json.dumps(summary(snapshot)).encode()
    if at_end.command is not None:
        _run(at_end.command, body)
    if at_end.url is not None:
        _post(at_end.url, body)
    endings.settle(study.engine, study.id, finished)


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """What `search status --json` has of the study itself, and the same in a sentence as `text`."""
    budget, best = snapshot.budget, snapshot.best
    parts = [f"study {snapshot.study}: {budget.finished} of {budget.trials} trials"]
    if snapshot.stop == "bugs":
        parts.append("stopped by three failed trials in a row")
    if budget.stopped is not None:
        parts.append(formatting.stopped(budget.stopped))
    if best is not None:
        parts.append(f"best {formatting.score(best.value)}, {best.title}")
    return {"text": "; ".join(parts), **snapshot.to_json(), "stop": snapshot.stop}


def _run(command: str, body: bytes) -> None:
    # A session of its own: what the shell has started ends with it.
    with subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, start_new_session=True) as process:
        try:
            process.communicate(body, timeout=COMMAND_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            say(f"--on-end: the command took more than {COMMAND_SECONDS:.0f} s and was ended")
            return
    if process.returncode:
        say(f"--on-end: the command exited with {process.returncode}")


def _post(url: str, body: bytes) -> None:
    """Sends `body`; tries again where the network or the server fails. The URL is in no message."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS):
                return
        except urllib.error.HTTPError as error:
            problem = f"it answers {error.code}"
            error.close()
            if error.code < 500:
                break
        except OSError as error:
            problem = str(getattr(error, "reason", error))
        except (HTTPException, ValueError):  # their messages may quote an address
            problem = "its answer is not HTTP"
        if pause is not None:
            time.sleep(pause)
    say(f"{URL}: the webhook was not reached: {problem}")
