"""A trial's own log, beside its other files."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.worker.retry import LeaveTrial
from search.worker.workspace import LOG

log = logging.getLogger(__name__)


@contextmanager
def trial_log(folder: Path) -> Iterator[None]:
    """Sends what is logged in this block to the trial's log as well."""
    handler = logging.FileHandler(folder / LOG, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except LeaveTrial:
        raise
    except Exception:
        log.exception("the worker ends")
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
