"""The section about what ending trials early saved, and what it lost."""

from collections.abc import Iterator

from search.analysis.pruning_audit import audit, sentences
from search.render.document import Block, Bullets, Paragraph, Table, literal
from search.report.report_data import ReportData


def pruning(data: ReportData) -> Iterator[Block]:
    """The pruning audit."""
    pruning_audit = audit(data.records, data.snapshot.direction, data.smooth)
    items = [f"{literal(sentence[0].upper() + sentence[1:])}." for sentence in sentences(pruning_audit)]
    if not items:
        yield Paragraph("No trial was ended by the pruner.")
        return
    yield Bullets(items)
    if pruning_audit.ranks:
        rows = [[str(rank.epoch), f"{rank.value:+.2f}", str(rank.trials)] for rank in pruning_audit.ranks]
        head = ["epoch", "rank correlation with the end", "complete trials"]
        yield Table(head, rows, numeric=3)
    yield Paragraph(
        "Controls are trials that the rule would have pruned but that ran on, to show what pruning costs. "
        "A false kill is a control that ended better than the median of the other complete trials; its "
        "interval is Wilson's. How many pruned trials would have been better than the best is scaled up "
        "from the controls, with an exact bound. What a pruned trial itself would have reached is not "
        "known. The rank correlations are of complete trials, not of those that were pruned."
    )
