"""docker-compose.yml on a real engine: a study on drawn faces, while everything is killed or restarted.

    python benchmarks/compose.py [--workers 3]

Needs only a Docker engine with Compose. It makes a project of its own (mseg-check, with its own volumes and
ports), and in the middle of the study kills a worker's container, restarts and kills the database, and
stops and starts everything. Afterwards it checks, by raw SQL, over HTTP and in every place where a password
could be, that all promises hold. It prints a line for each, and exits with 1 if one does not hold.
"""

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = "mseg-check"
STUDY = "mseg-quick"
PATIENCE = 1800.0  # seconds for each thing waited for; two busy cores are slow

CURVES = """
    SELECT t.number, t.state, l.epochs, l.attempt,
           count(v.step), count(DISTINCT v.step), min(v.step), max(v.step)
    FROM trials t JOIN search_leases l USING (trial_id)
    LEFT JOIN trial_intermediate_values v USING (trial_id)
    GROUP BY t.number, t.state, l.epochs, l.attempt ORDER BY t.number
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Service:
    """The compose project, and how it is seen from outside."""

    def __init__(self) -> None:
        self.port = free_port()
        unset = {name: value for name, value in os.environ.items() if not name.startswith("SEARCH_")}
        self.environment = {
            **unset,
            "SEARCH_PORT": str(self.port),
            "SEARCH_DB_PORT": str(free_port()),
        }
        self.failed = 0

    def compose(self, *words: str) -> str:
        """Runs `docker compose`, which must succeed; what it printed on stdout."""
        command = ["docker", "compose", "-p", PROJECT, *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.returncode}\n{done.stderr}{self.logs()}")
        return done.stdout

    def logs(self) -> str:
        command = ["docker", "compose", "-p", PROJECT, "logs", "--no-color"]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        return done.stdout

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query, asked inside the database's container."""
        ask = ["exec", "-T", "db", "psql", "-U", "search", "-d", "search", "-AtX", "-F", "|", "-c", query]
        return [line.split("|") for line in self.compose(*ask).splitlines()]

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """What `docker inspect` says of the services' containers, ended ones too."""
        ids = self.compose("ps", "-aq", *services).split()
        found: list[dict[str, Any]] = json.loads(said("docker", "inspect", *ids)) if ids else []
        return found

    def epochs(self) -> int:
        return int(self.sql("SELECT count(*) FROM trial_intermediate_values")[0][0])

    def wait_for_epochs(self, more: int) -> None:
        """Until so many more epochs were reported."""
        wanted, end = self.epochs() + more, time.monotonic() + PATIENCE
        while self.epochs() < wanted:
            if time.monotonic() > end:
                sys.exit(f"no {more} epochs in {PATIENCE:.0f} s\n{self.logs()}")
            time.sleep(1.0)

    def check(self, holds: bool, text: str) -> None:
        print(f"{'ok  ' if holds else 'FAIL'}  {text}", flush=True)
        self.failed += not holds


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def step(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def disturb(service: Service, workers: int) -> None:
    """Kills, restarts and stops, each time after some epochs, while trials run."""
    service.wait_for_epochs(workers)
    victim = service.containers("worker")[0]["Id"]
    step(f"kill -9 of worker {victim[:12]}, and another in its place")
    said("docker", "kill", victim)
    service.compose("up", "-d", "--no-build", "--scale", f"worker={workers}")
    service.wait_for_epochs(workers)
    step("restart of the database")
    service.compose("restart", "db")
    service.compose("up", "-d", "--wait", "db")
    service.wait_for_epochs(workers)
    step("kill -9 of the database")
    service.compose("kill", "db")
    time.sleep(5.0)
    service.compose("up", "-d", "--wait", "db")
    service.wait_for_epochs(workers)
    step("stop of everything")
    service.compose("stop")
    codes = sorted(container["State"]["ExitCode"] for container in service.containers("worker"))
    service.check(codes == [143] * workers, f"stopped workers leave with 143, within their time: {codes}")
    step("start of everything")
    service.compose("start")


def await_end(service: Service) -> None:
    end = time.monotonic() + PATIENCE
    while any(container["State"]["Running"] for container in service.containers("worker")):
        if time.monotonic() > end:
            sys.exit(f"the study did not end in {PATIENCE:.0f} s\n{service.logs()}")
        time.sleep(2.0)


def check_study(service: Service) -> None:
    trials = int(service.sql("SELECT trials FROM search_studies")[0][0])
    rows = service.sql(CURVES)
    for row in rows:
        print("      trial {}: {}, {} epochs, attempt {}".format(*row[:4]))
    states = [row[1] for row in rows]
    service.check(len(rows) == trials, f"{len(rows)} trials of a budget of {trials}")
    service.check(set(states) <= {"COMPLETE", "PRUNED"}, f"all finished: {sorted(set(states))}")
    whole = all(row[2] == row[4] == row[5] == row[7] and row[6] == "1" for row in rows)
    service.check(whole, "each trial has every epoch from 1 to its last, once")
    service.check(any(int(row[3]) > 1 for row in rows), "trials were taken over")
    codes = [container["State"]["ExitCode"] for container in service.containers("worker")]
    service.check(set(codes) == {0}, f"workers that have finished leave with 0: {codes}")


def check_dashboard(service: Service) -> None:
    root = f"http://127.0.0.1:{service.port}"
    token = service.compose("exec", "-T", "dashboard", "cat", "/run/secrets/dashboard_token").strip()
    asked, deleting = answer(f"{root}/api/studies"), answer(f"{root}/api/studies/1", token, "DELETE")
    service.check(asked == 401, f"without its token the dashboard answers {asked}")
    service.check(deleting == 403, f"it only shows: a request to delete gets {deleting}")
    found = [
        study["study_name"]
        for study in json.loads(fetched(f"{root}/api/studies", token))["study_summaries"]
    ]
    service.check(found == [STUDY], f"the dashboard lists {found}")
    trials = json.loads(fetched(f"{root}/api/studies/1?after=0", token))["trials"]
    overlays = [
        fetched(f"{root}/artifacts/1/{trial['trial_id']}/{artifact['artifact_id']}", token)
        for trial in trials
        for artifact in trial["artifacts"]
        if artifact["filename"] == "overlay.png"
    ]
    complete = sum(trial["state"] == "Complete" for trial in trials)
    pictures = sum(overlay.startswith(b"\x89PNG") for overlay in overlays)
    service.check(pictures >= complete > 0, f"it shows {pictures} overlays of {complete} complete trials")


def request(url: str, token: str, method: str = "GET") -> urllib.request.Request:
    login = base64.b64encode(f":{token}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"} if token else {}
    return urllib.request.Request(url, headers=headers, method=method)


def answer(url: str, token: str = "", method: str = "GET") -> int:
    """The status of the answer to a request."""
    try:
        with urllib.request.urlopen(request(url, token, method), timeout=60) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        return error.code


def fetched(url: str, token: str) -> bytes:
    with urllib.request.urlopen(request(url, token), timeout=60) as answered:
        found: bytes = answered.read()
        return found


def check_secret(service: Service) -> None:
    """Looks for the passwords and the dashboard's token wherever somebody could stumble over them."""
    show = "cat /run/owner/*_password /run/secrets/dashboard_token"
    passwords = service.compose("exec", "-T", "db", "sh", "-c", show).split()
    lengths = [len(password) for password in passwords]
    service.check(len(lengths) == 4 and min(lengths) >= 32, f"passwords of {lengths} characters were made")
    places = {
        "docker inspect": json.dumps(service.containers()),
        "the image": said("docker", "image", "history", "--no-trunc", "mseg-search"),
        "logs": service.logs(),
        "arguments of processes": said("ps", "-eww", "-o", "args"),
        "tables": service.compose("exec", "-T", "db", "pg_dump", "-U", "search", "--inserts", "search"),
        "files of the trials": service.compose(
            "exec",
            "-T",
            "dashboard",
            "sh",
            "-c",
            f"grep -rlaF{' -e '.join(['', *passwords])} /runs || true",
        ),
    }
    service.check(places.pop("files of the trials") == "", "no password is in a file of the trials")
    for name, text in places.items():
        found = any(password in text for password in passwords)
        service.check(bool(text) and not found, f"no password is in: {name}")
    sees = service.compose(
        "exec", "-T", "dashboard", "sh", "-c", "ls /run/owner; cat /run/secrets/storage_url"
    )
    service.check(
        "search_worker:" in sees and "_password" not in sees, "workers have their own role's URL only"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave containers and volumes for a look")
    options = parser.parse_args()
    service = Service()
    service.compose("down", "-v")
    started = time.monotonic()
    try:
        step("docker compose up on an engine without this project")
        service.compose("up", "-d", "--build", "--wait", "--scale", f"worker={options.workers}")
        step(f"up and healthy after {time.monotonic() - started:.0f} s")
        disturb(service, options.workers)
        await_end(service)
        step(f"the study has ended after {time.monotonic() - started:.0f} s")
        check_study(service)
        check_dashboard(service)
        check_secret(service)
        step("up again, with nothing left to do")
        service.compose("up", "-d", "--wait", "--scale", f"worker={options.workers}")
        await_end(service)
        check_study(service)
    finally:
        if not options.keep:
            service.compose("down", "-v")
    sys.exit(1 if service.failed else 0)


if __name__ == "__main__":
    main()
