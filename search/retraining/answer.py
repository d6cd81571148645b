"""The answer so far of `search confirm` or `search ablate`, over images too where those were kept."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from search.analysis.ablation import Ablation
from search.analysis.confirmation import Confirmation
from search.analysis.image_intervals import ImageDifference, Images, image_difference
from search.analysis.paired_seeds import Estimate
from search.analysis.racing import REFERENCE, Cell
from search.retraining.study import ENDED, standing
from search.study.study import Study
from search.study.trial_images import trial_images
from storage import plans, reads

Answer = TypeVar("Answer", Confirmation, Ablation)


def read_answer(
    judge: Callable[..., Answer], retraining: Study, runs: Path | None = None, artifacts: str | None = None
) -> Answer:
    """What `judge`, which is `confirmation` or `ablation`, makes of the results so far.

    Args:
        runs: where scores by image are looked for: the folders of the trainings.
        artifacts: a store that all machines share. With neither, the answer is about seeds only.
    """
    plan, results, ended = standing(retraining)
    answer = judge(retraining.name, plan, results, retraining.spec.study.direction, ended=ended)
    if plan.split is not None or (runs is None and artifacts is None):
        return answer  # every split validates on other images: the interval over splits is about those, too
    by_cell = _images_by_cell(retraining, runs, artifacts)
    found = [_difference(*compared, by_cell) for compared in _compared(answer)]
    return replace(answer, over_images=[each for each in found if each is not None])


def _images_by_cell(retraining: Study, runs: Path | None, artifacts: str | None) -> dict[Cell, Images]:
    slots = plans.slots(retraining.engine, retraining.id)
    found: dict[Cell, Images] = {}
    for row in reads.trial_rows(retraining.engine, retraining.id):
        if row.state in ENDED:
            slot = slots[row.slot]
            best = row.attributes.get("best_epoch"), row.attributes.get("best_score")
            found[slot.config, slot.block] = trial_images(retraining, row.number, best, runs, artifacts)
    return found


def _compared(answer: Confirmation | Ablation) -> Iterator[tuple[str, int, Estimate | None]]:
    """What is compared with the reference: its name, its config's index, the difference over seeds."""
    configs = answer.plan.configs
    if isinstance(answer, Confirmation):
        for result in answer.contenders:
            yield result.config.name, configs.index(result.config), result.difference
        return
    index_of = {config.changes: index for index, config in enumerate(configs)}
    yield "all changes together", index_of[answer.b.changes], answer.total
    if len(answer.texts) > 1:
        for effect in answer.effects:
            yield f"{effect.text} alone", index_of[answer.texts.index(effect.text),], effect.effect


def _difference(
    name: str, config: int, estimate: Estimate | None, by_cell: dict[Cell, Images]
) -> ImageDifference | None:
    if estimate is None:
        return None
    pairs = [
        (images, by_cell[REFERENCE, block])
        for (of, block), images in by_cell.items()
        if of == config and (REFERENCE, block) in by_cell
    ]
    return image_difference(name, estimate, pairs)
