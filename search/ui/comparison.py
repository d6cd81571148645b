"""`search compare` on a terminal: the verdict first, then what changed, what did not, stages, claims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search import formatting
from search.analysis.comparison import WINDOWS, Comparison, Side, what_matters_first
from search.analysis.noise import Evidence
from search.analysis.stages import Stage
from search.render.terminal import bare_table, prose
from search.ui.overview import flow

WIDEST = 120


@dataclass(frozen=True)
class SideBySide:
    """A comparison, drawn to fit."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        yield from _sides(self.comparison)
        yield Text()
        yield from _verdict(self.comparison)
        yield Text()
        yield from _leaves(self.comparison, width)
        if self.comparison.a.stages and self.comparison.b.stages:
            yield Text()
            yield _stages(self.comparison.a, self.comparison.b)
        if self.comparison.claims:
            yield Text()
            yield _claims(self.comparison)


def side_by_side(comparison: Comparison) -> RenderableType:
    """The whole comparison for a person."""
    return SideBySide(comparison)


def _sides(comparison: Comparison) -> Iterator[RenderableType]:
    table = _table("", "best score", "epochs", *(f"mean of {window}" for window in WINDOWS))
    for letter, side in (("a", comparison.a), ("b", comparison.b)):
        best = f"{formatting.score(side.best_score)} at epoch {side.best_epoch}"
        means = [formatting.score(side.means[window]) for window in WINDOWS]
        name = Text.assemble((f"{letter}  ", "bold"), formatting.one_line(side.name))
        table.add_row(name, best, str(side.epochs), *means)
    yield table
    yield Text(f"scores are {comparison.metric}", style="dim")


def _verdict(comparison: Comparison) -> Iterator[RenderableType]:
    found = comparison.evidence
    style = "bold yellow" if found.verdict == "not distinguishable" else "bold green"
    title = Text.assemble((found.verdict, style))
    if found.difference is not None and found.low is not None and found.high is not None:
        title.append(
            f"  b − a {found.difference:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}"
        )
    yield title
    for sentence in (*_reasons(found), *comparison.notes):
        yield prose(sentence, "dim")


def _reasons(found: Evidence) -> list[str]:
    """Where the verdict comes from and how far it goes."""
    if found.a is None or found.b is None:
        return ["Too few epochs to know how much the scores of a run vary by themselves."]
    noise, luck = (
        f"{formatting.score(left)} and {formatting.score(right)}"
        for left, right in ((found.a.noise, found.b.noise), (found.a.luck, found.b.luck))
    )
    said = [
        f"By the best mean of {found.window} epochs. An epoch's score varies by {noise} around its trend, "
        f"and taking the best mean adds about {luck} of luck.",
        "One run each: how much another seed would change them is not in it.",
    ]
    if found.verdict == "not distinguishable" and (found.low or 0.0) * (found.high or 0.0) > 0:
        said.append(
            "Of two equal runs one looks better as clearly as this in 1 of 20 pairs; called is 1 of 100."
        )
    if found.seeds is not None:
        count = "more than 1000" if found.seeds > 1000 else f"at least {found.seeds}"
        said[1] += f" To tell a difference of this size takes {count} seeds a side."
    return said


def _leaves(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    if comparison.changed:
        table = _table("changed", "a", "b")
        for leaf, values in comparison.changed.items():
            cells = (Text(formatting.parameter(value)) for value in values)  # foreign text is no markup
            table.add_row(Text(formatting.one_line(leaf)), *cells)
        yield table
    else:
        yield Text("changed: nothing", style="bold")
    if comparison.equal:
        yield Text()
        yield Text("equal in both", style="dim")
        yield from flow(_equal(comparison.equal), width, indent=2)


def _equal(equal: Mapping[str, object]) -> list[Text]:
    """What matters first, each as `name value`."""
    first, rest = what_matters_first(equal)
    names = formatting.short_names(equal)
    return [
        Text.assemble(
            (f"{formatting.one_line(names[leaf])} ", "dim"),
            (formatting.parameter(equal[leaf]), "bold" if leaf in first else ""),
        )
        for leaf in (*first, *rest)
    ]


def _stages(a: Side, b: Side) -> Table:
    """Epochs and means of both runs by stage; the gap is training less validation score, in points."""
    measured = (
        ["val", "train", "gap"] if any(s.gap is not None for s in (*a.stages, *b.stages)) else ["val"]
    )
    table = _table("stage", "a", *measured, "b", *measured)
    first, second = ({stage.name: stage for stage in side.stages} for side in (a, b))
    for name in dict.fromkeys([*first, *second]):
        cells = (_stage(stages.get(name))[: 1 + len(measured)] for stages in (first, second))
        table.add_row(name, *chain.from_iterable(cells))
    return table


def _stage(stage: Stage | None) -> Sequence[str]:
    if stage is None:
        return ("", "", "", "")
    gap = formatting.DASH if stage.gap is None else f"{stage.gap:.2f}"
    means = formatting.score(stage.score), formatting.score(stage.train_score)
    return (f"{stage.first}-{stage.last}", *means, gap)


def _claims(comparison: Comparison) -> Table:
    table = _table("claim", "by the records", justify="left")
    for claim in comparison.claims:
        said = Text(formatting.one_line(claim.said), style="green" if claim.found else "yellow")
        table.add_row(Text(formatting.one_line(claim.text)), said)
    return table


def _table(first: str, *columns: str, justify: Literal["left", "right"] = "right") -> Table:
    table = bare_table()
    table.add_column(first, overflow="fold", no_wrap=first == "stage")
    for title in columns:
        table.add_column(title, justify=justify, overflow="fold")
    return table
