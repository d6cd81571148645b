"""Functions that run at the same time, each call in a process of its own."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
# What a process of a race needs is imported once: then they really run at the same time.
PROCESSES.set_forkserver_preload(["optuna", "storage.schema", "storage.studies", "storage.leases"])


def at_once(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What `function` returns for each of these arguments; an error as its text. The order is by end."""
    results = PROCESSES.Queue()
    processes = [PROCESSES.Process(target=_call, args=(function, call, results)) for call in calls]
    for process in processes:
        process.start()
    returned = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return returned


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], results: Any) -> None:
    try:
        results.put(function(*arguments))
    except Exception as error:
        results.put(repr(error))
