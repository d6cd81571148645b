"""The section about fresh seeds: the answers of races and of `search ablate` so far."""

from collections.abc import Iterator

from search.render.document import Block, Paragraph
from search.report.report_data import ReportData
from search.retraining.answer_blocks import ablation_blocks, confirmation_blocks, predicted

NOTHING = (
    "Nothing has been trained again with other seeds: how much of the difference comes from the config is "
    "not known."
)


def fresh_seeds(data: ReportData) -> Iterator[Block]:
    """Whether the best is better than the baseline when both are trained again."""
    yield from map(Paragraph, races(data))
    for race in data.confirmations:
        yield from confirmation_blocks(race)
    if not any(race.winner for race in data.confirmations):
        if data.predicted is not None:
            yield Paragraph(predicted(data.predicted))
        yield Paragraph(NOTHING)
    for answer in data.ablations:
        yield from ablation_blocks(answer)


def races(data: ReportData) -> list[str]:
    """That there was more than one race, in a sentence; empty if there was not."""
    count = len(data.confirmations) + data.deleted_races
    if count < 2:
        return []
    gone = f", {data.deleted_races} of them deleted since" if data.deleted_races else ""
    return [
        f"{count} races were run on trials of this study{gone}. The error rate of each is its own: the "
        "more races, the likelier one of them is wrong."
    ]
