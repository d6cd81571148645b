"""Where things are: what flags, variables and the file with the URL may name, and where output goes."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import refused
from service import COMMAND, Answer, Search

from search.cli.app import main

Command = Callable[..., Answer]

SECRET = "hunter2"
URL = f"postgresql://me:{SECRET}@127.0.0.1:9/study"

FILES = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\t\n", "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "is empty"),
    "two lines": (f"{URL}\n{URL}\n".encode(), "more than one line"),
    "a second line": (f"sqlite:///x.db\n{SECRET}\n".encode(), "more than one line"),
    "old Mac lines": (f"sqlite:///x.db\r{SECRET}".encode(), "more than one line"),
    "binary": (bytes(range(256)), "is no text"),
    "UTF-16": ("sqlite:///x.db".encode("utf-16"), "is no text"),
    "very long": (b"sqlite:///" + b"x" * 10000, "is too long"),
    "a password alone": (SECRET.encode(), "not a database URL"),
    "a NUL": (b"sqlite:///x.db\0", "not a database URL"),
}


@pytest.fixture
def file(search: Search, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What SEARCH_STORAGE_FILE names; nothing is there yet."""
    del search.environment["SEARCH_STORAGE"]
    path = search.folder / "url"
    monkeypatch.setenv("SEARCH_STORAGE_FILE", str(path))
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("arguments", [["start"], ["status"]])
def test_a_file_without_one_url_is_refused(
    search: Search, file: Path, command: Command, name: str, arguments: list[str]
) -> None:
    content, problem = FILES[name]
    file.write_bytes(content)
    line = refused(command, search.folder, *arguments)
    assert problem in line and SECRET not in line


def test_a_file_that_is_none_is_refused(
    search: Search, file: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No such file" in refused(command, search.folder, "start")
    file.mkdir()
    assert "is no file" in refused(command, search.folder, "start")
    file.rmdir()
    os.mkfifo(file)
    assert "is no file" in refused(command, search.folder, "status"), "nobody writes to it: no waiting"
    file.unlink()
    monkeypatch.setenv("SEARCH_STORAGE_FILE", URL)
    line = refused(command, search.folder, "start")
    assert "is a URL" in line and SECRET not in line
    monkeypatch.setenv("SEARCH_STORAGE_FILE", "x" * 5000)
    assert "too long" in refused(command, search.folder, "start")


@pytest.mark.parametrize("written", ["{url}", "{url}\n", "\ufeff{url}\r\n", "\n  {url}  \n\n"])
def test_a_file_with_one_url(search: Search, file: Path, command: Command, written: str) -> None:
    search.create()
    file.write_text(written.format(url=search.url), encoding="utf-8")
    assert command("status", "--json").json["study"] == "toy"


def test_empty_variables_count_as_not_set(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STORAGE", "STORAGE_FILE", "RUNS", "DATA", "ARTIFACTS", "HANG_SECONDS", "WAIT"):
        monkeypatch.setenv(f"SEARCH_{name}", "")
    command("start", "--workers", "0")
    assert (search.folder / "runs" / "search.db").exists()


@pytest.mark.parametrize("flag", ["--storage", "--runs", "--data", "--space"])
@pytest.mark.parametrize("blank", ["", " "])
def test_empty_flags_are_refused(search: Search, command: Command, flag: str, blank: str) -> None:
    assert "empty" in refused(command, search.folder, "start", flag, blank)


def test_a_tilde_is_the_home_folder(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = search.folder.parent / "home"
    (home / "faces").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SEARCH_STORAGE", "sqlite:///~/of mine/x.db")
    monkeypatch.setenv("SEARCH_RUNS", "~/runs")
    monkeypatch.setenv("SEARCH_ARTIFACTS", "~/shared")
    monkeypatch.setenv("SEARCH_DATA", "~/faces")
    command("start", "--device", "cpu", "--workers", "1", "--trials", "1")
    assert (home / "of mine" / "x.db").exists() and (home / "runs" / "toy" / "trial-0000").is_dir()
    assert (home / "shared").is_dir()
    (search.folder / "url").write_text("sqlite:///~/of mine/x.db")
    monkeypatch.delenv("SEARCH_STORAGE")
    (search.folder / "url").rename(home / "url")
    monkeypatch.setenv("SEARCH_STORAGE_FILE", "~/url")
    assert command("status", "--json").json["study"] == "toy"
    (search.folder / "space.yaml").rename(home / "mine.yaml")
    command("start", "--space=~/mine.yaml", "--runs=~/runs", "--workers", "0")
    assert not (search.folder / "~").exists()


@pytest.mark.parametrize("place", ["$HOME/x", "~/${HOME}/x"])
def test_a_variable_that_nobody_has_replaced_is_named(search: Search, command: Command, place: str) -> None:
    for flags in (["--runs", place], ["--data", place], ["--storage", f"sqlite:///{place}.db"]):
        line = refused(command, search.folder, "start", "--workers", "0", *flags)
        assert "$HOME was not replaced by its value; write that out" in line
    command("start", "--workers", "0", "--runs", "$no_such_variable")


PASSWORDS_ELSEWHERE = [
    ["start", "--study", URL],
    ["start", "--runs", URL],
    ["start", "--data", URL],
    ["start", "--space", URL],
    ["start", "--artifacts", URL],
    ["start", "--profile", URL],
    ["start", "--from", URL],
    ["start", "--gpus", URL],
    ["import", URL],
    ["status", URL],
    ["compare", URL, "best"],
    ["dashboard", "--host", URL],
    [URL],
]


@pytest.mark.parametrize("arguments", PASSWORDS_ELSEWHERE, ids=" ".join)
def test_a_url_in_a_wrong_place_is_not_repeated(
    search: Search, command: Command, arguments: list[str]
) -> None:
    if arguments[0] != "start":
        search.create()
    answer = command(*arguments, code=2)
    assert SECRET not in answer.out + answer.err
    in_full = command(*arguments, "--debug", code=2)
    assert SECRET not in in_full.out + in_full.err


# -- variables that are numbers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name", "text"),
    [
        ("start --workers 1", "SEARCH_HANG_SECONDS", "10m"),
        ("worker", "SEARCH_HANG_SECONDS", "0"),
        ("worker", "SEARCH_WAIT", "10m"),
        ("start --workers 1", "OMP_NUM_THREADS", "four"),
        ("worker", "OMP_NUM_THREADS", "-1"),
        ("worker", "OMP_NUM_THREADS", "0"),
    ],
)
def test_a_variable_that_is_no_number(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: str, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    answer = command(*arguments.split(), code=2)
    (line,) = answer.err.splitlines()
    assert name in line and text in line and answer.out == ""
    assert not (search.folder / "runs").exists() and not Path(search.folder.parent / "study.db").exists()


def test_a_lease_that_is_no_number(search: Search) -> None:
    """In a process of its own: it is read when a module is imported."""
    codes, out, err = search.run_each("start --workers 1", "worker", SEARCH_LEASE_SECONDS="30s")
    assert codes == [2, 2] and out == ""
    assert all("SEARCH_LEASE_SECONDS" in line and "30s" in line for line in err.splitlines())
    assert len(err.splitlines()) == 2
    assert not (search.folder / "runs").exists() and not Path(search.folder.parent / "study.db").exists()


# -- paths and addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--runs", "--space", "--artifacts", "--storage"])
@pytest.mark.parametrize("path", ["x" * 300, "x/" * 3000])
def test_a_path_that_is_too_long(search: Search, command: Command, flag: str, path: str) -> None:
    given = f"sqlite:///{path}/x.db" if flag == "--storage" else path
    refused(command, search.folder, "start", flag, given)


def test_a_port_in_use(search: Search, command: Command) -> None:
    search.create()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        (line,) = command("dashboard", "--port", port, code=2).err.splitlines()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7", "::1", "a..b", "x" * 300, "[", ""])
def test_a_host_that_is_not_this_machine(search: Search, command: Command, host: str) -> None:
    search.create()
    (line,) = command("dashboard", "--host", host, code=2).err.splitlines()
    assert line.startswith("--host, --port: cannot listen on ") and len(line) < 300


def test_a_working_folder_that_is_gone(search: Search, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    gone = search.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit) as ended:
        main(["status", "--study", "toy"])
    said = "the working folder: No such file or directory; change to a folder that is there\n"
    assert (ended.value.code, capfd.readouterr().err) == (2, said)


# -- output ----------------------------------------------------------------------------------------


def shell(search: Search, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=search.folder,
        env={**search.environment, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_to_a_full_device_is_one_line(search: Search) -> None:
    search.create()
    for arguments in ("trials --json", "--help"):
        done = shell(search, f"search {arguments} > /dev/full")
        assert (done.returncode, done.stderr) == (
            1,
            "output: No space left on device; --debug shows where\n",
        )
    assert shell(search, "search status --study no 2> /dev/full").returncode == 2


def test_output_that_nobody_reads_or_takes(search: Search) -> None:
    search.create()
    for arguments in ("trials --json", "--help"):
        done = shell(search, f"search {arguments} | true; exit ${{PIPESTATUS[0]}}")
        assert (done.returncode, done.stderr) == (0, ""), arguments
        done = shell(search, f"search {arguments} >&-")
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_a_terminal_that_has_only_ascii(search: Search, command: Command) -> None:
    document = (search.folder / "space.yaml").read_text().replace("by hand", "vön Hand ⟶ 手")
    (search.folder / "space.yaml").write_text(document, encoding="utf-8")
    search.create(trials=1)
    command("worker")
    ends_well = ("status", "trials", "trials 0", "best", "check", "start --workers 0")
    for environment in ({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}, {"LC_ALL": "C", "LANG": "C"}):
        codes, out, err = search.run_each(*ends_well, "status --study ü", **environment)
        assert codes == [0] * len(ends_well) + [2] and "Traceback" not in err, err
        assert "toy" in out and "toy" in err


def test_dollars_in_a_name_are_dollars_in_a_figure(search: Search, command: Command) -> None:
    document = (search.folder / "space.yaml").read_text()
    document = document.replace("by hand", r"'$\frac{'").replace("[plain, bent]", r"[plain, bent, '$x_{']")
    (search.folder / "space.yaml").write_text(document)
    search.create()
    command("worker")
    command("report")
    command("report", "--trial", "0")


def test_a_worker_imports_no_objective_but_the_one_it_may(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--objective", "search.mseg")
    answer = command("start", "--workers", "0", *flags, code=2)
    assert "toy is not search.mseg" in answer.err and len(answer.err.splitlines()) == 1
    monkeypatch.setenv("SEARCH_OBJECTIVE", "search.mseg")
    assert command("start", "--workers", "0", code=2) == answer
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("SEARCH_OBJECTIVE")
        search.create()
    for arguments in ((), flags):
        answer = command("worker", *arguments, code=2)
        assert "toy is not search.mseg" in answer.err.splitlines()[-1] and "Traceback" not in answer.err
    assert not (search.folder / "epochs.log").exists()
    command("start", "--trials", "1", "--workers", "1", "--objective", "toy")
    assert (search.folder / "epochs.log").exists()
