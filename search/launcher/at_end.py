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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from search import formatting
from search.errors import UserError
from search.records import Snapshot
from search.render.output import say
from search.retraining.answer_page import answer_of, in_one_sentence
from search.retraining.stages import made_stages, read_stages
from search.retraining.study import standing
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
    finished = finished_at_end(study)
    if finished is None or not endings.claim(study.engine, study.id, finished):
        return
    body = json.dumps(summary(study)).encode()
    if at_end.command is not None:
        _run(at_end.command, body)
    if at_end.url is not None:
        _post(at_end.url, body)
    endings.settle(study.engine, study.id, finished)


def finished_at_end(study: Study) -> int | None:
    """How many trials have finished in all stages; None while there is more to train.

    Neither the first round of a race is its end nor the first stage that of a search in stages.
    """
    parts = _parts(study)
    snapshots = [read_snapshot(part) for part in parts]
    last, stages = parts[-1], max(1, len(study.spec.study.stages))
    ended = len(parts) == stages and (
        snapshots[-1].budget.used_up if last.plan is None else standing(last)[2]
    )
    if not ended and not any(each.stop == "bugs" for each in snapshots):
        return None
    return sum(each.budget.finished for each in snapshots) or None  # a race that is being made has none


def summary(study: Study) -> dict[str, Any]:
    """What `search status --json` has of the study itself, with the same in a sentence as `text`.

    `stop` is what stopped it. A study that retrains also has its `answer`, a search in stages its `stages`.
    """
    snapshots = [read_snapshot(part) for part in _parts(study)]
    texts = [text for snapshot in snapshots for text in _texts(snapshot)]
    stop = next((each.stop for each in snapshots if each.stop is not None), None)
    more: dict[str, Any] = {}
    if study.spec.study.stages:
        more["stages"] = [stage.to_json() for stage in read_stages(study)]
    if study.plan is not None and study.plan.kind != "stage":
        answer = answer_of(study)
        texts.append(in_one_sentence(answer))
        more["answer"] = answer.to_json()
    return {"text": "; ".join(texts), **snapshots[0].to_json(), "stop": stop, **more}


def _parts(study: Study) -> list[Study]:
    """The study, and those of its later stages that have a plan."""
    return [study, *(stage for stage in made_stages(study) if stage.plan is not None)]


def _texts(snapshot: Snapshot) -> Iterator[str]:
    budget, best = snapshot.budget, snapshot.best
    yield f"study {snapshot.study}: {budget.finished} of {budget.trials} trials"
    if snapshot.stop == "bugs":
        yield "stopped by three failed trials in a row"
    if budget.stopped is not None:
        yield formatting.stopped(budget.stopped)
    if best is not None:
        yield f"best {formatting.score(best.value)}, {best.title}"


def _run(command: str, body: bytes) -> None:
    # A session of its own: what the shell has started ends with it. In a thread: a signal that comes while
    # it starts is raised here, where it is ended, and not between the process and its name.
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(
            subprocess.Popen, command, shell=True, stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            process = starting.result()
            process.communicate(body, timeout=COMMAND_SECONDS)
        except BaseException as error:
            process = starting.result()
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
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
