"""A study that starts from the trials of another one, whose space was somewhat different.

Trials fit where the score means the same (objective, direction, smoothing, constants and data) and their
config lies in the new space. The new study's sampler learns from them as from its own; they use none of
its budget and are never its trials or its best. The new study keeps a copy, so that every worker has it and
later changes of the other study have no effect.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from search.errors import SpaceError, StudyError
from search.objective import Constraint, Description, Params, Value
from search.spec.parameter import same
from search.spec.space import Space, not_in_space
from search.spec.spec import Spec
from search.study.fingerprint import data_differences
from search.study.origin import Inherited, Origin, ranges
from search.study.study import Study
from storage import reads


def inherit(
    other: Study,
    spec: Spec,
    description: Description | None,
    constraints: Callable[[Params], Sequence[Constraint]],
) -> Origin:
    """The trials of `other` that fit a new study; raises StudyError where none fits.

    Args:
        description: of the new study's data. constraints: of its objective, for whole params.
    """
    name = f"--from: {other.name!r}"
    if other.plan is not None:
        raise StudyError(f"{name} retrains trials of {other.plan.of!r}; name that study")
    different = [
        f"{what} {before} (now {after})"
        for what, before, after in [
            ("objective", other.spec.objective, spec.objective),
            ("score", other.spec.vocabulary.score_words, spec.vocabulary.score_words),
            ("direction", other.spec.study.direction, spec.study.direction),
            ("smooth", other.spec.study.smooth, spec.study.smooth),
        ]
        if before != after
    ]
    different += [
        f"{key} {before} (now {after})" for key, after, before in data_differences(other, description)
    ]
    if different:
        raise StudyError(f"{name} scored something else: {', '.join(different)}; omit --from")
    # What only limits configs changes no score: each trial is held against the new study's limits.
    limits = {each.name for each in constraints(spec.example())}
    new_limits = {name: value for name, value in spec.space.constants.items() if name in limits}
    former = spec.vocabulary.former.items()
    constants = dict(item for item in other.spec.space.constants.items() if item not in former)
    constants |= new_limits
    fitting, left_out = [], defaultdict(list)
    for row in reads.trial_rows(other.engine, other.id):
        if row.state not in ("COMPLETE", "PRUNED") or row.value is None:
            left_out["failed" if row.state == "FAIL" else "not finished"].append(row.number)
            continue
        try:
            params = fitted(spec.space, {**constants, **row.params})
            found = constraints({**spec.space.constants, **params})
        except SpaceError as error:
            left_out[str(error)].append(row.number)
            continue
        if broken := [each.name for each in found if each.violation > 0]:
            left_out[f"infeasible by {' and '.join(broken)}"].append(row.number)
            continue
        state: Literal["COMPLETE", "PRUNED"] = "COMPLETE" if row.state == "COMPLETE" else "PRUNED"
        fitting.append(Inherited(row.number, state, row.value, row.epochs, params))
    if not fitting:
        reasons = "; ".join(f"{reason} ({ranges(numbers)})" for reason, numbers in left_out.items())
        raise StudyError(f"{name} has no trial that fits: {reasons or 'it has none'}; omit --from")
    return Origin(other.name, tuple(fitting), {reason: tuple(which) for reason, which in left_out.items()})


def check_origin(study: Study, asked: str) -> None:
    """Raises StudyError where an existing study was not started from the requested one."""
    origin = study.origin
    if origin is None or origin.study not in (asked, f"{asked}-quick"):
        began = f"was started from {origin.study!r}" if origin else "was started from no other"
        raise StudyError(
            f"--from: study {study.name!r} exists and {began}; omit --from to join it, or use another name"
        )


def fitted(space: Space, params: Params) -> dict[str, Value]:
    """A config of another space, including constants, as a config of `space`, without constants.

    Parameters that do not exist in `space` beside the others are left out: they made no difference there.

    Raises:
        SpaceError: it is no config of `space`; the message does not name the trial.
    """
    for name in params:
        if name not in space.names:
            raise SpaceError(not_in_space(name, space.names), parameter=name)
    for name, constant in space.constants.items():
        if name not in params:
            raise SpaceError(f"{name}: has no value", parameter=name)
        if not same(params[name], constant):
            raise SpaceError(f"{name}: is not the constant {constant!r}", parameter=name)
    config: dict[str, Value] = {}
    for parameter in space.parameters:
        name = parameter.name
        if not parameter.active({**space.constants, **config}):
            continue
        if name not in params:
            raise SpaceError(f"{name}: has no value", parameter=name)
        try:
            config[name] = parameter.cast(params[name])
        except SpaceError as error:  # one reason for all of them, not one for each value
            raise SpaceError(
                f"{name}: is outside {span(parameter.to_document())}", parameter=name
            ) from error
    return config


def span(range_: Mapping[str, Any]) -> str:
    """A parameter's values in words: `0.5 to 3.0`, `0 to 15 in steps of 5`, `cosine, constant`."""
    if "choices" in range_:
        return ", ".join(map(str, range_["choices"]))
    step = range_.get("step")
    return f"{range_['low']} to {range_['high']}" + (
        f" in steps of {step}" if step not in (None, 1) else ""
    )
