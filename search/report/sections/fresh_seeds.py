"""The section about fresh seeds: the answers of `search confirm` and `search ablate` so far."""

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
    blocks: list[Block] = []
    if data.confirmation is not None and data.confirmation.winner is not None:
        blocks += confirmation_blocks(data.confirmation)
    else:
        blocks += [] if data.predicted is None else [Paragraph(predicted(data.predicted))]
        blocks.append(Paragraph(NOTHING))
    for answer in data.ablations:
        blocks += ablation_blocks(answer)
    return ReportSection("On fresh seeds", blocks)
