"""Whether what a study aims at can be: its direction, its target and that of its stop rule."""

from search.errors import SpaceError
from search.spec.spec import Spec


def check_goal(spec: Spec) -> None:
    """Raises SpaceError where the study wants what the objective's score cannot be, or the worst of it."""
    settings, words = spec.study, spec.vocabulary
    if words.direction not in (None, settings.direction):
        name = "study.direction"
        text = f"{name}: {settings.direction} would look for the worst {words.score_words}"
        raise spec.located(SpaceError(f"{text}; write {words.direction}", parameter=name))
    targets = {"study.target": settings.target}
    if settings.stop is not None:
        targets["study.stop.target"] = settings.stop.target
    for name, target in targets.items():
        if target is not None and (problem := words.impossible(target)):
            raise spec.located(SpaceError(f"{name}: {problem}", parameter=name))
