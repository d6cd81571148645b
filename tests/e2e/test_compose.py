"""The compose files: read as they stand, and resolved by Docker where it is there.

The real thing (a study to its end, with everything killed and restarted on the way) is
`benchmarks/compose.py`: it takes minutes and a Docker engine.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ["docker-compose.yml", "docker-compose.worker.yml", "docker-compose.gpu.yml"]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return found


MAIN, WORKER, GPU = map(read, FILES)
OURS = [
    *((name, MAIN["services"][name]) for name in MAIN["services"] if name != "db"),
    ("worker", WORKER["services"]["worker"]),
]
WORKERS = [MAIN["services"]["worker"], WORKER["services"]["worker"]]


def without_variables(text: str) -> str:
    """What compose makes of `${NAME:-default}` and `${NAME:+other}` where no variable is set."""
    return re.sub(r"\$\{\w+:([-+])([^}]*)\}", lambda m: m[2] if m[1] == "-" else "", text)


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Target -> (source, whether it can be written)."""
    parts = [without_variables(volume).split(":") for volume in service.get("volumes", [])]
    return {target: (source, rest != ["ro"]) for source, target, *rest in parts}


def test_the_compose_files_have_these_services() -> None:
    assert set(MAIN["services"]) == {"secret", "db", "roles", "init", "worker", "dashboard"}
    assert set(WORKER["services"]) == set(GPU["services"]) == {"worker"}
    assert MAIN["name"] != WORKER["name"], "both on one machine do not end each other's workers"


def test_ports_are_published_on_this_machine_only() -> None:
    published = {
        name: [without_variables(port) for port in service["ports"]]
        for file in (MAIN, WORKER, GPU)
        for name, service in file["services"].items()
        if "ports" in service
    }
    assert published == {"db": ["127.0.0.1:5432:5432"], "dashboard": ["127.0.0.1:8080:8080"]}


@pytest.mark.parametrize("name", FILES)
def test_no_compose_file_contains_a_secret(name: str) -> None:
    for service in read(name)["services"].values():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|STORAGE|SECRET|TOKEN|KEY|CREDENTIAL", variable):
                assert variable.endswith("_FILE") and str(value).startswith("/run/"), variable
    assert not re.search(r"//\w+:[\w]+@", (ROOT / name).read_text()), "a URL with a password"


def test_only_one_service_may_write_secrets() -> None:
    """And the passwords of superuser and owner are in a volume that workers and dashboard do not see."""
    seen = {
        "secret": {"owner", "secrets"},
        "db": {"owner", "secrets"},
        "roles": {"owner"},
        "init": {"owner"},
    }
    for name, service in MAIN["services"].items():
        mounted = mounts(service)
        found = {path.removeprefix("/run/") for path in mounted if path.startswith("/run/")}
        assert found == seen.get(name, {"secrets"}), name
        for volume in found:
            assert mounted[f"/run/{volume}"] == (volume, name == "secret"), name
    assert MAIN["services"]["secret"]["network_mode"] == "none"
    assert WORKER["services"]["worker"]["secrets"][0] == "storage_url"
    assert WORKER["secrets"]["storage_url"] == {"file": "secrets/storage_url"}
    for name in (".gitignore", ".dockerignore"):
        lines = (ROOT / name).read_text().splitlines()
        assert "secrets/" in lines or "*" in lines, name


def test_tables_are_made_by_their_owner_and_workers_have_a_role_of_their_own() -> None:
    urls = {
        name: service["environment"]["SEARCH_STORAGE_FILE"]
        for name, service in MAIN["services"].items()
        if "SEARCH_STORAGE_FILE" in (service.get("environment") or {})
    }
    assert urls.pop("init") == "/run/owner/storage_url"
    assert urls == dict.fromkeys(("worker", "dashboard"), "/run/secrets/storage_url")
    script = MAIN["services"]["secret"]["command"][0]
    owners, workers = re.findall(r'echo "(\S+ \S+)" > \.new; mv \.new storage_url', script)
    assert owners.startswith("postgresql://search_owner:") and workers.startswith(
        "postgresql://search_worker:"
    )
    assert script.index(owners) < script.index("cd /run/secrets") < script.index(workers)
    given = MAIN["services"]["roles"]["command"][0]
    assert {"/roles.sql", "search_owner", "search_worker"} <= set(given.split())


def test_workers_can_be_told_which_modules_to_import() -> None:
    for service in WORKERS:
        assert service["environment"]["SEARCH_OBJECTIVE"] == "${SEARCH_OBJECTIVE:-}"


def test_data_are_read_only_and_runs_are_shared() -> None:
    for service in [MAIN["services"]["init"], *WORKERS]:
        assert mounts(service)["/data"] == ("data", False)
    for service in WORKERS:
        assert mounts(service)["/runs"] == ("runs", True)
        assert mounts(service)["/cache"] == ("cache", True)
    for file in (MAIN, WORKER):
        named = {source for service in file["services"].values() for source, _ in mounts(service).values()}
        assert {source for source in named if "/" not in source} == set(file["volumes"])


def test_workers_leave_in_time_and_come_back_after_a_crash() -> None:
    from search.launcher.supervisor import GRACE_SECONDS

    for service in WORKERS:
        assert service["stop_grace_period"] == "1m" and GRACE_SECONDS < 60
        assert service["restart"] == "on-failure", "who has finished is not started again"
        assert service["shm_size"] == "1g"
        assert "healthcheck" not in service, "`up --wait` would ask it of a worker that has finished"


@pytest.mark.parametrize(("name", "service"), OURS)
def test_containers_run_without_privileges(name: str, service: dict[str, Any]) -> None:
    assert service["init"] is True, name
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service and service.get("user") == ("postgres" if name == "roles" else None)


def test_services_wait_for_what_they_need() -> None:
    conditions = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in MAIN["services"].items()
    }
    ready = {"db": "service_healthy", "init": "service_completed_successfully"}
    assert conditions == {
        "secret": {},
        "db": {"secret": "service_completed_successfully"},
        "roles": {"db": "service_healthy"},
        "init": {"roles": "service_completed_successfully"},
        "worker": ready,
        "dashboard": ready,
    }
    assert int(WORKER["services"]["worker"]["environment"]["SEARCH_WAIT"]) > 0, "nothing to depend on there"


def test_health_checks_use_tcp() -> None:
    check = MAIN["services"]["db"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "pg_isready"] and check[check.index("-h") + 1] == "127.0.0.1"
    assert "http://127.0.0.1:8080/" in MAIN["services"]["dashboard"]["healthcheck"]["test"][-1]


def test_only_the_gpu_file_requests_a_gpu() -> None:
    devices = GPU["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    packages = GPU["services"]["worker"]["build"]["args"]["SYSTEM_PACKAGES"].split()
    assert {"gcc", "libc6-dev"} <= set(packages), "trainer.compile needs a C compiler"
    assert all("deploy" not in service for service in WORKERS)


def test_the_image_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    last = lines[stages[-1] :]
    assert [line for line in last if line.startswith("USER ")] == ["USER search"]
    assert 'ENTRYPOINT ["search"]' in last
    assert not any(line.startswith("# syntax") for line in lines), (
        "it must build without a registry's frontend"
    )
    assert not any(re.match("(COPY|ADD) (.* )?\\. ", line) for line in last), (
        "sources are mounted, not kept"
    )


def test_the_build_context_is_an_allow_list() -> None:
    allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    for line in allowed:
        assert (ROOT / line[1:]).exists(), line


@pytest.mark.parametrize("names", [FILES[:1], FILES[1:2], [FILES[0], FILES[2]], [FILES[1], FILES[2]]])
def test_docker_compose_accepts_the_files(names: list[str]) -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("no docker compose on this machine")
    files = [word for name in names for word in ("-f", name)]
    done = subprocess.run(
        ["docker", "compose", *files, "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert all(port["host_ip"] == "127.0.0.1" for s in services.values() for port in s.get("ports", []))
    assert services["worker"]["image"] == ("mseg-search:gpu" if FILES[2] in names else "mseg-search")
