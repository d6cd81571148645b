"""The section about the stages of the search."""

from pathlib import Path

from search.render.document import ReportSection
from search.report.report_data import ReportData


def search_stages(data: ReportData, folder: Path) -> ReportSection | None:
    """What went on from stage to stage, and whether the smaller ones could be trusted."""
    return ReportSection("Stages of the search", data.stages) if data.stages else None
