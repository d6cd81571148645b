"""A hyperparameter search service for segmentation, and its Python API: docs/python.md.

    import search

    for snapshot in search.start("mseg", data="photos"):
        print(snapshot.budget.finished, snapshot.best)
    study = search.open_study("mseg")
    print(study.best.params)

`search/worker/worker.py` is the path of a trial. Importing this package imports nothing else: each name
below is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api.predictor import load_predictor
    from search.api.running import RunningSearch, start
    from search.api.study import OpenStudy, open_study
    from search.errors import SearchError, UserError
    from search.records import Record, Snapshot

__all__ = [
    "OpenStudy",
    "Record",
    "RunningSearch",
    "SearchError",
    "Snapshot",
    "UserError",
    "load_predictor",
    "open_study",
    "start",
]

_MODULES = {
    "OpenStudy": "search.api.study",
    "Record": "search.records",
    "RunningSearch": "search.api.running",
    "SearchError": "search.errors",
    "Snapshot": "search.records",
    "UserError": "search.errors",
    "load_predictor": "search.api.predictor",
    "open_study": "search.api.study",
    "start": "search.api.running",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
