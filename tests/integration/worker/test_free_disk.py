"""A disk with less than 100 MB left is noticed before anything is written."""

import shutil
from collections import namedtuple
from collections.abc import Callable

import pytest
from refusals import refused
from service import Answer, Search

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("arguments", [["start"], ["worker"], ["confirm"], ["report"]])
def test_a_disk_without_100_megabytes_is_refused(
    search: Search,
    command: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    free = 100 * 2**20
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40 - free, free - 1))
    line = refused(command, search.folder, *arguments)
    assert "has 99 MB left; make room or name another folder" in line
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40 - free, free))
    if arguments == ["start"]:
        command("start", "--workers", "0")
