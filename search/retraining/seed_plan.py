"""`search confirm --plan`: how many seeds a race needs for a stated smallest gain. Trains nothing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from search import formatting
from search.analysis.looks import Floats
from search.analysis.needed_seeds import MOST, POWER, SeedPlan, noise_of, seed_plan
from search.errors import UserError
from search.records import Record
from search.render.document import Block, Headline, Paragraph, Table, literal
from search.retraining.confirm import TOP, ConfirmRequest
from search.retraining.contenders import check_margin, margin_of
from search.retraining.stages import made_stages
from search.retraining.study import check_searches, read_results, retraining_studies
from search.study.plan import FIRST, SEEDS
from search.study.read import read_records
from search.study.study import Study
from storage import plans


def planned_seeds(study: Study, request: ConfirmRequest, gain: float | None) -> SeedPlan:
    """The seeds that a race with these flags needs.

    Args:
        gain: the smallest one to be found; None: the smallest difference that matters to the objective.

    Raises:
        StudyError: `study` itself retrains trials. UserError: no gain is stated, or nothing repeats.
    """
    check_searches(study)
    if request.splits:
        raise UserError("--splits: --plan knows how seeds vary on one split, not how splits do; omit one")
    check_margin(study.spec, "--smallest-gain", gain)
    gain = gain or request.margin or margin_of(study.spec)
    if gain is None:
        raise UserError(
            f"--plan: objective {study.spec.objective} does not say which difference matters; give "
            "--smallest-gain X"
        )
    repeats = list(recorded_repeats(study))
    noise = noise_of([scores for _, scores in repeats])
    if noise is None:
        raise UserError(
            f"--plan: no config of study {study.name!r} has been trained with two seeds, so how much they "
            f"vary is not known; search confirm --study {study.name} --seeds {FIRST} trains the first"
        )
    contenders, seeds = request.top or TOP, request.seeds or SEEDS
    sources = [name for name, scores in repeats if noise_of([scores])]
    return seed_plan(gain, contenders, FIRST, noise, seeds, sources)


def recorded_repeats(study: Study) -> Iterator[tuple[str, Floats]]:
    """Every study with configs that were trained with several seeds, and its scores, (configs, seeds)."""
    for scores in _own_repeats(read_records(study)):
        yield study.name, scores
    retrained = [each for kind in retraining_studies(study).values() for each in kind]
    for other in (*retrained, *made_stages(study)):
        if other.plan is not None and other.plan.kind != "stage" and other.plan.split is None:
            results = read_results(other, other.plan, plans.slots(other.engine, other.id))
            yield other.name, results.scores


def _own_repeats(records: Sequence[Record]) -> Iterator[Floats]:
    """Values of the configs that the search itself trained again with another seed."""
    values = defaultdict(list)
    for record in records:
        if record.state == "complete" and record.value is not None:
            origin = record.number if record.repeat_of is None else record.repeat_of
            values[origin].append(record.value)
    yield from (np.array([each]) for each in values.values() if len(each) > 1)


def plan_blocks(plan: SeedPlan) -> list[Block]:
    """The plan for a person."""
    gain, noise = formatting.score(plan.gain), plan.noise
    needed = f"more than {MOST}" if plan.seeds is None else str(plan.seeds)
    detail = f"between {_count(plan.low)} and {_count(plan.high)}, as far as the noise is known"
    compared = f"{plan.contenders} contender{'s' if plan.contenders > 1 else ''}"
    sources = ", ".join(literal(name) for name in plan.sources)
    cost = "" if plan.trainings is None else f" That is at most {plan.trainings} trainings."
    return [
        Headline(f"A gain of {gain} over the baseline needs {needed} seeds", "plain", detail),
        Table(
            ["seeds", f"chance to find {gain}"],
            [
                [f"{plan.default_seeds}, as asked or by default", f"{100 * plan.default:.0f} %"],
                [f"{needed}, as needed", f"{100 * POWER:.0f} % or more" if plan.seeds else formatting.DASH],
            ],
        ),
        Paragraph(
            f"With these seeds a contender that is {gain} better is called better in {100 * POWER:.0f} % "
            f"of races of {compared}.{cost}"
        ),
        Paragraph(
            f"The difference of two configs on one seed varies by {formatting.score(noise.value)} (95 % "
            f"interval {formatting.score(noise.low)} to {formatting.score(noise.high)}), from repeats in "
            f"{sources}. The gain is the one you state: one that was observed is partly luck."
        ),
    ]


def _count(seeds: int | None) -> str:
    return f"more than {MOST}" if seeds is None else str(seeds)
