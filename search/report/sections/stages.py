"""The section about how the two trained, stage by stage."""

from collections.abc import Iterator
from functools import partial

from search.analysis.comparison import compare
from search.analysis.stages import FAST, STEADY, WINDOW
from search.formatting import percent
from search.render.document import Block, Figure, Paragraph
from search.report import curve_figures, figures
from search.report.comparison import stage_table
from search.report.report_data import ReportData


def stages(data: ReportData) -> Iterator[Block]:
    """The two curves, and means over the stages of each."""
    comparison = data.comparison or compare(data.best.run, data.best.run, ends=data.ends)
    runs = {role: trial.run for role, trial in data.roles}
    sides = [comparison.a, comparison.b][-len(runs) :]
    yield Figure(
        figures.FOLDER / "curves.png",
        "Validation score by epoch of the best trial and the baseline",
        f"Thick: mean of {data.smooth} scores; thin: single epochs; the dot is the best epoch. Shading "
        "marks every other stage of the best.",
        partial(
            curve_figures.curves,
            best=runs["Best"],
            baseline=runs.get("Baseline"),
            smooth=data.smooth,
            stages=comparison.b.stages,
        ),
    )
    has_stages = any(side.stages for side in sides)
    if has_stages:
        yield stage_table(sides, [role.lower() for role in runs])
    yield Paragraph(_rule(data, has_stages))


def _rule(data: ReportData, has_stages: bool) -> str:
    if not has_stages:
        return "Stages are defined for scores above zero where higher is better; these are not."
    if data.ends is not None:
        cuts = ", ".join(map(str, data.ends))
        stored = tuple(data.ends) == data.spec.report.stages
        source = "as the study's report.stages says" if stored else "as requested"
        return f"Figures are means over the epochs of a stage. Stages end after epochs {cuts}, {source}."
    return (
        "Figures are means over the epochs of a stage. The warm-up is as configured; fast learning lasts "
        f"until the mean of {WINDOW} scores first reaches {percent(FAST)} of its best, the steady climb "
        f"until it reaches {percent(STEADY, 1)}; the peak goes on after the best mean for as many epochs "
        "as it took from there to it."
    )
