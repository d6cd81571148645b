"""The section about what ending trials early saved, and what it lost."""

from pathlib import Path

from search.analysis.pruning_audit import audit, sentences
from search.render.document import Block, Bullets, Paragraph, ReportSection, Table, literal
from search.report.report_data import ReportData

TITLE = "What pruning saved and lost"


def pruning(data: ReportData, folder: Path) -> ReportSection:
    """The pruning audit."""
    pruning_audit = audit(data.records, data.snapshot.direction, data.smooth)
    items = [f"{literal(sentence[0].upper() + sentence[1:])}." for sentence in sentences(pruning_audit)]
    if not items:
        return ReportSection(TITLE, [Paragraph("No trial was ended by the pruner.")])
    blocks: list[Block] = [Bullets(items)]
    if pruning_audit.ranks:
        rows = [[str(rank.epoch), f"{rank.value:+.2f}", str(rank.trials)] for rank in pruning_audit.ranks]
        head = ["epoch", "rank correlation with the end", "complete trials"]
        blocks.append(Table(head, rows, numeric=3))
    definitions = (
        "Controls are trials that the rule would have pruned but that ran on, to show what pruning costs. "
        "A false kill is a control that ended better than the median of the other complete trials; its "
        "interval is Wilson's. How many pruned trials would have been better than the best is scaled up "
        "from the controls, with an exact bound. What a pruned trial itself would have reached is not "
        "known. The rank correlations are of complete trials, not of those that were pruned."
    )
    return ReportSection(TITLE, [*blocks, Paragraph(definitions)])
