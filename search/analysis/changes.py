"""The changes between two configs of one space, and the configs in between that have some of them.

A conditional parameter goes with its parent: `restart_epochs` exists only with the schedule that restarts,
so the schedule and its settings are one change.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from search.errors import UserError
from search.objective import Params
from search.spec.space import Space

Change = Mapping[str, tuple[Any, Any]]
"""Parameter -> its value in A and in B, None if it does not exist; the first decides about the others."""


def changes_between(space: Space, a: Params, b: Params) -> list[Change]:
    """The changes from `a` to `b`, each of which can be made without the others."""
    changes: dict[str, dict[str, tuple[Any, Any]]] = {}
    decided_by: dict[str, str] = {}
    for parameter in space.parameters:  # parents come first
        name = parameter.name
        if a.get(name) == b.get(name) and (name in a) == (name in b):
            continue
        parents = [decided_by[parent] for parent in parameter.when if parent in decided_by]
        in_both = name in a and name in b
        decided_by[name] = name if in_both or not parents else parents[0]
        changes.setdefault(decided_by[name], {})[name] = a.get(name), b.get(name)
    return list(changes.values())


def between(space: Space, a: Params, b: Params, made: Collection[str]) -> dict[str, Any]:
    """`a` with the changes of the parameters in `made`, and whatever exists only with those.

    Raises:
        UserError: it needs a parameter that neither config has.
    """
    params: dict[str, Any] = {}
    for parameter in space.parameters:
        name = parameter.name
        if not parameter.active({**space.constants, **params}):
            continue
        first, second = (b, a) if name in made else (a, b)
        if name not in first and name not in second:
            raise UserError(f"ablate: a config between the two needs {name}, which neither of them has")
        params[name] = first[name] if name in first else second[name]
    return params


def combinations(changes: Sequence[Change]) -> list[tuple[int, ...]]:
    """The changes that each config of an ablation has: none, each alone, all, then every pair."""
    count = range(len(changes))
    alone = [(index,) for index in count] if len(changes) > 1 else []
    pairs = [(i, j) for j in count for i in range(j)] if len(changes) > 2 else []
    return [(), *alone, tuple(count), *pairs]
