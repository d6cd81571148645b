"""The section about fresh seeds: the answers of races and of `search ablate` so far."""

from pathlib import Path

from search.render.document import Block, Paragraph, ReportSection
from search.report.report_data import ReportData
from search.retraining.answers import ablation_blocks, confirmation_blocks, predicted

NOTHING = (
    "Nothing has been trained again with other seeds: how much of the difference comes from the config is "
    "not known."
)


def fresh_seeds(data: ReportData, folder: Path) -> ReportSection:
    """Whether the best is better than the baseline when both are trained again."""
    blocks: list[Block] = list(map(Paragraph, races(data)))
    for race in data.confirmations:
        blocks += confirmation_blocks(race)
    if not any(race.winner for race in data.confirmations):
        blocks += [] if data.predicted is None else [Paragraph(predicted(data.predicted))]
        blocks.append(Paragraph(NOTHING))
    for answer in data.ablations:
        blocks += ablation_blocks(answer)
    return ReportSection("On fresh seeds", blocks)


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
