"""Creating a study: document, budget and the fingerprint of its data, stored once for all who join."""

from collections.abc import Mapping
from typing import Any

from search.objective import NOTHING
from search.spec.spec import Spec
from storage import engine as engines
from storage import studies


def create_study(
    url: str,
    name: str,
    spec: Spec,
    fingerprint: Mapping[str, str],
    trials: int,
    attributes: Mapping[str, Any] = NOTHING,
) -> bool:
    """Creates the study, whose data have `fingerprint`, with attributes by key.

    False where another process had created it before.
    """
    import optuna

    engines.prepare(url)
    created = optuna.create_study(
        study_name=name,
        storage=engines.optuna_storage(url),
        direction=spec.study.direction,
        load_if_exists=True,
    )
    engine = engines.connect(url)
    try:
        return studies.register(
            engine,
            created._study_id,
            document=spec.document,
            fingerprint=fingerprint,
            profile=spec.profile,
            trials=trials,
            attributes=attributes,
        )
    finally:
        engine.dispose()
