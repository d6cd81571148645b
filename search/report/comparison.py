"""Two runs side by side as blocks: all of them are `search compare`, some of them are parts of a report.

Each function takes what the two are called, since `a` and `b` of the command are the baseline and the best
of a report.
"""

from collections.abc import Iterator, Sequence

from search import formatting
from search.analysis.comparison import WINDOWS, Comparison, RunSide
from search.analysis.expected_gain import ExpectedGain
from search.analysis.noise import Evidence
from search.analysis.stages import TrainingStage
from search.render.document import (
    Block,
    Cell,
    Headline,
    Marked,
    Paragraph,
    Settings,
    Status,
    Table,
    code,
    literal,
)
from search.retraining.image_blocks import compared_images

Names = tuple[str, str]


def comparison_blocks(comparison: Comparison) -> list[Block]:
    """The whole answer of `search compare`."""
    names = ("a", "b")
    sides = (comparison.a, comparison.b)
    blocks: list[Block] = [
        _scores(comparison),
        verdict(comparison.evidence, names),
        *map(Paragraph, (*reasons(comparison.evidence, names), *map(literal, comparison.notes))),
        *over_images(comparison),
        changed_settings(comparison, names),
        equal_settings(comparison),
    ]
    if all(side.stages for side in sides):
        blocks.append(stage_table(sides, names))
    if comparison.claims:
        rows: list[list[Cell]] = [
            [literal(claim.text), Marked(literal(claim.recorded), "good" if claim.found else "open")]
            for claim in comparison.claims
        ]
        blocks.append(Table(["claim", "by the records"], rows))
    return blocks


def verdict(evidence: Evidence, names: Names) -> Headline:
    """Which of the two is better, as far as their own noise tells."""
    a, b = names
    text = {
        "a better": f"{a} is better",
        "b better": f"{b} is better",
        "not distinguishable": "Not distinguishable by these runs",
    }[evidence.verdict]
    status: Status = "open" if evidence.verdict == "not distinguishable" else "good"
    difference = evidence.difference
    if difference is None:
        return Headline(text, "open", "they are too short to know their noise")
    interval = formatting.interval(difference.low, difference.high)
    detail = f"{b.lower()} − {a.lower()} {difference.value:+.4f}, 95 % interval {interval}"
    return Headline(text, status, detail)


def gain_headline(gain: ExpectedGain, baseline: str) -> Headline:
    """Whether the best of a search is better than `baseline` with other seeds, too."""
    text = {
        "better": f"The best is better than {baseline}",
        "worse": f"The best is worse than {baseline}",
        "not told apart": f"The best is not told apart from {baseline}",
    }[gain.verdict]
    return Headline(
        f"{text} once the luck of the best of {gain.trials} trials is taken off",
        "good" if gain.verdict == "better" else "open",
        f"a gain of {gain.value:+.4f} is expected with other seeds, 95 % interval "
        f"{formatting.interval(gain.low, gain.high)}",
    )


def reasons(evidence: Evidence, names: Names) -> Iterator[str]:
    """What the verdict rests on, and how far it goes."""
    difference = evidence.difference
    if evidence.a is None or evidence.b is None or difference is None:
        return
    noise = _both(evidence.a.noise, evidence.b.noise, names)
    luck = _both(evidence.a.luck, evidence.b.luck, names)
    yield (
        f"By the best mean of {evidence.window} epochs. One epoch's score varies around its trend by "
        f"{noise}, as a standard deviation; picking the best mean adds about {luck} of luck."
    )
    if evidence.verdict == "not distinguishable" and difference.low * difference.high > 0:
        yield (
            "In 1 of 20 pairs of equal runs, one looks better by this much; a run is declared better only "
            "where that happens in 1 of 100."
        )
    yield "One run each: how much another seed would change them is not in the interval."


def over_images(comparison: Comparison) -> list[Block]:
    """What the two runs say about other images; nothing if they kept no scores by image."""
    difference = comparison.over_images
    return [] if difference is None else [Paragraph(compared_images(difference))]


def changed_settings(comparison: Comparison, names: Names) -> Block:
    """A row for each setting that differs."""
    if not comparison.changed:
        return Paragraph("No setting differs.")
    rows = [[code(leaf), *_told_apart(*values)] for leaf, values in comparison.changed.items()]
    return Table(["changed", *names], rows, numeric=2)


def equal_settings(comparison: Comparison, limit: int | None = None) -> Settings:
    """The settings that do not differ, what matters most first.

    Args:
        limit: how many are listed at most; what matters is listed in any case.
    """
    first = comparison.equal_first
    rest = [leaf for leaf in comparison.equal if leaf not in first]
    listed = [*first, *rest] if limit is None else [*first, *rest[: max(0, limit - len(first))]]
    values = {leaf: formatting.parameter(comparison.equal[leaf]) for leaf in listed}
    more = len(comparison.equal) - len(listed)
    return Settings("The same in both", values, first=len(first), more=more)


def stage_table(sides: Sequence[RunSide], names: Sequence[str]) -> Table:
    """Means over the epochs of each stage, run below run; columns that no run recorded are left out."""
    head = ["stage", "", "epochs", "validation", "training", "gap, points", "learning rate"]
    stages = [{stage.name: stage for stage in side.stages} for side in sides]
    rows: list[list[Cell]] = []
    for name in dict.fromkeys(name for by_name in stages for name in by_name):
        present = [
            (run, by_name[name]) for run, by_name in zip(names, stages, strict=True) if name in by_name
        ]
        for index, (run, stage) in enumerate(present):
            rows.append(["" if index else name, run, *_stage_cells(stage)])
    kept = [
        column
        for column in range(len(head))
        if column < 3 or any(row[column] != formatting.DASH for row in rows)
    ]
    rows = [[row[column] for column in kept] for row in rows]
    return Table([head[column] for column in kept], rows, numeric=len(kept) - 2)


def _scores(comparison: Comparison) -> Table:
    head = ["", "best score", "epochs", *(f"mean of {window}" for window in WINDOWS)]
    rows = [
        [
            f"{letter}  {literal(side.name)}",
            f"{formatting.score(side.best_score)} at epoch {side.best_epoch}",
            str(side.epochs),
            *(formatting.score(side.means[window]) for window in WINDOWS),
        ]
        for letter, side in (("a", comparison.a), ("b", comparison.b))
    ]
    note = f"Scores are {literal(comparison.metric)}; a mean is the best over that many consecutive epochs."
    return Table(head, rows, numeric=len(head) - 1, note=note)


def _both(of_a: float, of_b: float, names: Names) -> str:
    return (
        f"{formatting.score(of_a)} ({names[0].lower()}) and {formatting.score(of_b)} ({names[1].lower()})"
    )


def _told_apart(old: object, new: object) -> tuple[str, str]:
    """Both values with as many digits as it takes."""
    left, right = formatting.parameter(old), formatting.parameter(new)
    return (literal(left), literal(right)) if left != right else (literal(repr(old)), literal(repr(new)))


def _stage_cells(stage: TrainingStage) -> list[str]:
    return [
        formatting.epochs(stage.first, stage.last),
        formatting.score(stage.score),
        formatting.score(stage.train_score),
        formatting.DASH if stage.gap is None else f"{stage.gap:.2f}",
        formatting.rate(stage.lr),
    ]
