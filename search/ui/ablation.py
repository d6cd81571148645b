"""`search ablate` on a terminal: what each change does alone, what pairs do, what is left unexplained."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search import formatting
from search.analysis.ablation import Ablation
from search.analysis.paired_seeds import Estimate
from search.render.terminal import bare_table, prose

STYLES = {"helps": "green", "hurts": "red", "small": "dim", "not settled": "yellow"}


@dataclass(frozen=True)
class Ablated:
    """An answer, drawn to fit."""

    found: Ablation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        a, b = (formatting.one_line(config.name) for config in (self.found.a, self.found.b))
        yield Text.assemble((f"from {a} to {b}", "bold"), f"  {_figure(self.found.total)}")
        yield Text()
        yield _table(self.found)
        yield Text()
        for sentence in _sentences(self.found):
            yield prose(sentence)


def ablated(found: Ablation) -> RenderableType:
    """The whole answer for a person."""
    return Ablated(found)


def _table(found: Ablation) -> Table:
    table = bare_table()
    table.add_column("change", overflow="fold")
    for title in ("seeds", "effect", "95 % interval", ""):
        table.add_column(title, justify="right", overflow="fold")
    for each in found.effects:
        style = STYLES[each.verdict]
        name = Text(f"{formatting.one_line(each.text)} alone")
        table.add_row(name, str(each.seeds), *_cells(each.effect), Text(each.verdict, style=style))
    for pair in found.pairs:
        one, other = (formatting.one_line(found.texts[change]) for change in pair.changes)
        table.add_row(Text(f"{one} and {other}, both"), "", *_cells(pair.both), "")
        table.add_row(Text("  beyond the sum of each alone"), "", *_cells(pair.interaction), "")
    if found.left is not None:
        table.add_row(Text("unexplained"), "", *_cells(found.left), "")
    return table


def _cells(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return (formatting.DASH, "")
    return f"{estimate.value:+.4f}", f"{estimate.low:+.4f} to {estimate.high:+.4f}"


def _figure(estimate: Estimate | None) -> str:
    if estimate is None:
        return "too few trainings have ended"
    return f"{estimate.value:+.4f}, 95 % interval {estimate.low:+.4f} to {estimate.high:+.4f}"


def _sentences(found: Ablation) -> Iterator[str]:
    said = f"{found.planned} trainings with fresh seeds"
    if found.open:
        said += f", {found.open} of them not ended yet"
    if found.lost:
        said += f", {found.lost} without a score"
    if found.noise is not None:
        said += f"; over seeds a value varies by {formatting.score(found.noise)}"
    yield f"{said}."
    words = (
        "An effect is A with that change less A, on the same seeds. Small: its interval holds nothing "
        "half as large as the largest effect."
    )
    if found.left is not None:
        words += " Unexplained: what changes alone and the pairs shown do not add up to."
    yield words
    if found.ended and any(each.verdict == "not settled" for each in found.effects):
        yield "What is not settled stays so: the seeds or trainings that were allowed are used up."
