"""Creating a study: document, budget and the fingerprint of its data, stored once for all who join."""

from collections.abc import Mapping
from typing import Any

from search.errors import StudyError
from search.objective import NOTHING
from search.spec.spec import Spec
from storage import schema, studies
from storage.engine import connect
from storage.url import redacted


def create_study(
    url: str,
    name: str,
    spec: Spec,
    fingerprint: Mapping[str, str],
    trials: int,
    attributes: Mapping[str, Any] = NOTHING,
) -> bool:
    """Creates the study, whose data have `fingerprint`, with attributes by key.

    Returns:
        False where another process has created it before.

    Raises:
        StudyError: Optuna has a study of this name that was not created by this program.
    """
    schema.prepare(url)
    engine = connect(url)
    try:
        created = studies.create(
            engine,
            name,
            spec.study.direction,
            document=spec.document,
            fingerprint=fingerprint,
            profile=spec.profile,
            trials=trials,
            attributes=attributes,
        )
        if not created and studies.find(engine, name) is None:
            raise StudyError(
                f"--study: {name!r} is a study of another program in {redacted(url)}; use another name"
            )
        return created
    finally:
        engine.dispose()
