"""A study that is deleted while it is trained: its workers leave, and the name is free for a new one."""

from collections.abc import Callable

import optuna
import pytest
from service import Answer, Search


@pytest.mark.parametrize("by", ["optuna", pytest.param("us", marks=pytest.mark.nightly)])
def test_workers_of_a_deleted_study_leave_and_its_name_is_free(
    search: Search, command: Callable[..., Answer], by: str
) -> None:
    """By Optuna's own command, which asks nobody; and by ours, once the worker has been told to leave."""
    search.environment["SEARCH_LEASE_SECONDS"] = "3"  # six heartbeats: how soon it is noticed
    search.create("seconds=0.2", "epochs=500", trials=3)
    worker = search.spawn("worker")
    search.wait(lambda: search.trained())
    if by == "optuna":
        url = search.url.replace("postgresql:", "postgresql+psycopg:")
        # Optuna leaves the study as it was, and says nothing, where an epoch was stored meanwhile.
        while "toy" in optuna.get_all_study_names(url):
            optuna.delete_study(study_name="toy", storage=url)
        search.ends(worker, 2)
        assert search.said.splitlines()[-1] == "--study: 'toy' was deleted from the database"
    else:
        assert "has workers: process" in command("delete", "--files", code=2).err
        command("stop", "--now")
        search.ends(worker)
        command("delete", "--files")
        assert not search.runs.exists()
    assert "no study 'toy'" in command("status", code=2).err
    command("start", "--trials", "4", "--workers", "0", "--set", "epochs=2")
    command("worker")
    budget = command("status", "--json").json["budget"]
    assert (budget["trials"], budget["complete"]) == (4, 4)
