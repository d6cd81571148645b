"""The sections about how the two trained: stages, what was lost after the best, the gap."""

from collections.abc import Sequence
from pathlib import Path

from search import formatting
from search.analysis.comparison import Comparison, compare
from search.analysis.stages import FAST, STEADY, WINDOW
from search.analysis.training import Band, Decline, decline, gap_by_rate
from search.render.document import Block, Figure, Paragraph, Section, Table
from search.report import figures
from search.report.comparison import stage_table
from search.report.figures import FOLDER
from search.report.material import Material

CONFOUNDED = 0.5
"""Rank correlation between learning rate and epoch from which the two are said to go together."""


def dynamics(material: Material, comparison: Comparison | None, folder: Path) -> Section:
    """How the two trained, stage by stage."""
    comparison = comparison or compare(material.best.run, material.best.run, ends=material.ends)
    runs = {role: trial.run for role, trial in material.roles}
    sides = [comparison.a, comparison.b][-len(runs) :]
    path = FOLDER / "curves.png"
    figures.curves(folder / path, runs["Best"], runs.get("Baseline"), material.smooth, comparison.b.stages)
    blocks: list[Block] = [
        Figure(
            path,
            "Validation score by epoch of the best trial and the baseline",
            f"Thick: mean of {material.smooth} scores; thin: single epochs; the dot is the best epoch. "
            "Shades mark every other stage of the best.",
        )
    ]
    staged = any(side.stages for side in sides)
    if staged:
        blocks.append(stage_table(sides, [role.lower() for role in runs]))
    blocks.append(Paragraph(_rule(material, staged)))
    return Section("Training dynamics by stage", blocks)


def _rule(material: Material, staged: bool) -> str:
    if not staged:
        return "Stages are defined for scores above zero of which higher is better; these are not."
    if material.ends is not None:
        cuts = ", ".join(map(str, material.ends))
        stored = tuple(material.ends) == material.spec.report.stages
        source = "as the study's report.stages says" if stored else "as was asked"
        return f"Figures are means over the epochs of a stage. Stages end after epochs {cuts}, {source}."
    return (
        f"Figures are means over the epochs of a stage. The warm-up is as configured; fast learning lasts "
        f"until the mean of {WINDOW} scores is first at {FAST:.0%} of its best, the steady climb until it "
        f"is at {STEADY:.1%}, the peak as many epochs after the best mean as it took from there to it."
    )


def degradation(material: Material) -> Section:
    """What the two lost after their best."""
    rows = [[role, *_lost(decline(trial.run, material.smooth))] for role, trial in material.roles]
    head = ["", "best mean", "last mean", "epochs after", "drop, points", "by luck alone"]
    return Section(
        "Degradation after the best",
        [
            Table(head, rows, numeric=5),
            Paragraph(
                f"drop = 100 × (best mean of {material.smooth} consecutive scores − mean of the last "
                f"{material.smooth}), positive where it got worse. The best is picked, so a run that loses "
                "nothing shows a drop as well; how much is expected of that alone, by the noise of the "
                "run, is in the last column."
            ),
        ],
    )


def _lost(lost: Decline) -> list[str]:
    luck = "too short to know" if lost.luck is None else f"{lost.luck:z.2f}"
    return [
        formatting.score(lost.best),
        formatting.score(lost.last),
        str(lost.after),
        f"{lost.drop:z.2f}",
        luck,
    ]


def gaps(material: Material, folder: Path) -> Section:
    """The gap between training and validation by learning rate."""
    title = "Gap by learning rate"
    found = [(role, trial, *gap_by_rate(trial.run)) for role, trial in reversed(material.roles)]
    if not any(bands for _, _, bands, _ in found):
        return Section(title, [Paragraph("Training scores and learning rates were not recorded.")])
    blocks: list[Block] = []
    for role, trial, bands, together in found:
        if not bands:
            blocks.append(Paragraph(f"{role}: the columns for it were not recorded."))
            continue
        if not any(isinstance(block, Figure) for block in blocks):
            path = FOLDER / "gap.png"
            figures.gap(folder / path, trial.run)
            caption = f"{role}: every epoch as a dot, its colour the epoch."
            blocks.append(Figure(path, "Gap by learning rate and by epoch", caption))
        blocks.append(_bands(role, bands))
        blocks.append(Paragraph(_together(role, together)))
    blocks.append(Paragraph("gap = 100 × (training score − validation score) of the same epoch."))
    return Section(title, blocks)


def _bands(role: str, bands: Sequence[Band]) -> Table:
    rows = [
        [
            f"{formatting.rate(band.low)} to {formatting.rate(band.high)}",
            str(band.epochs),
            f"{band.epoch:.0f}",
            f"{band.gap:.2f}",
        ]
        for band in bands
    ]
    return Table([f"{role.lower()}: learning rate", "epochs", "mean epoch", "mean gap"], rows, numeric=3)


def _together(role: str, correlation: float | None) -> str:
    if correlation is None:
        return f"{role}: the learning rate never changed, so the gap cannot depend on it here."
    said = f"{role}: rank correlation between learning rate and epoch {correlation:+.2f}."
    if abs(correlation) >= CONFOUNDED:
        return (
            f"{said} The two are confounded: the gap also grows with the number of epochs, and this run "
            "cannot say which of them it follows."
        )
    return f"{said} The gap also grows with the number of epochs; here the two go together only in part."
