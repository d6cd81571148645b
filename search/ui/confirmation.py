"""`search confirm` on a terminal: the answer, each config over its seeds, the luck in the search's best."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search import formatting
from search.analysis.confirmation import Confirmation, Row
from search.analysis.paired_seeds import Estimate
from search.render.terminal import bare_table, prose


@dataclass(frozen=True)
class Confirmed:
    """An answer, drawn to fit."""

    found: Confirmation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _title(self.found)
        yield Text()
        yield _table(self.found)
        yield Text()
        for sentence in (*_progress(self.found), *_luck(self.found)):
            yield prose(sentence)


def confirmed(found: Confirmation) -> RenderableType:
    """The whole answer for a person."""
    return Confirmed(found)


def _title(found: Confirmation) -> Text:
    winner, baseline = found.winner, formatting.one_line(found.baseline.config.name)
    if winner is None or winner.chance is None:
        return Text("not settled: too few trainings have ended", style="bold yellow")
    name = formatting.one_line(winner.config.name)
    chance = f"  chance {100 * winner.chance:.1f} %" if winner.chance < 0.999 else "  chance over 99.9 %"
    if winner.verdict == "better":
        return Text.assemble((f"{name} is better than {baseline}", "bold green"), chance)
    if all(row.verdict == "worse" for row in found.contenders):
        return Text(f"{baseline} is better than every contender", style="bold green")
    return Text.assemble(("not settled", "bold yellow"), f": is {name} better than {baseline}?{chance}")


def _table(found: Confirmation) -> Table:
    table = bare_table()
    table.add_column("config", overflow="fold")
    titles = ("in the search", "fresh seeds", "mean", "95 % interval", "difference", "95 % interval", "")
    for title in titles:
        table.add_column(title, justify="right", overflow="fold")
    for row in (*found.contenders, found.baseline):
        table.add_row(
            Text(formatting.one_line(row.config.name)),
            formatting.score(row.config.value),
            str(row.seeds),
            *_cells(row.mean, ""),
            *_cells(row.difference, "+"),
            _verdict(row),
        )
    return table


def _cells(estimate: Estimate | None, sign: str) -> tuple[str, str]:
    if estimate is None:
        return ("", "")
    value, low, high = (f"{figure:{sign}.4f}" for figure in (estimate.value, estimate.low, estimate.high))
    return value, f"{low} to {high}"


def _verdict(row: Row) -> Text:
    if row.verdict is None:
        return Text("baseline", style="dim")
    if row.settled_after is None:
        return Text("not settled", style="yellow")
    return Text(f"{row.verdict}, after {row.settled_after} seeds", style="green")


def _progress(found: Confirmation) -> Iterator[str]:
    plan = found.plan
    said = f"{found.planned} trainings with fresh seeds"
    if found.open:
        said += f", {found.open} of them not ended yet"
    if found.lost:
        said += f", {found.lost} without a score"
    looks = f"each look, after {plan.first} to {plan.last} seeds,"
    if plan.first == plan.last:
        looks = f"the one look, after {plan.last} seeds,"
    yield (
        f"{said}. Of equal configs one is called in at most 5 of 100 races: {looks} is held to "
        f"{100 * found.nominal:.2g} %."
    )
    if found.ended and not found.settled:
        yield "What is not settled stays so: the seeds or trainings that were allowed are used up."
    if plan.split:
        yield f"Every seed has a train/val split of its own ({plan.split})."


def _luck(found: Confirmation) -> Iterator[str]:
    if found.plan.split:
        yield "The search's values are of another split: how lucky its best was is not told by these."
    elif found.curse is not None:
        curse, name = found.curse, formatting.one_line(found.luckiest.name)
        said = ": that much of it was luck" if curse.value > 0 else ": no luck was in it"
        yield (
            f"The search's best value, that of {name}, is {_signed(curse.value)} ({_signed(curse.low)} to "
            f"{_signed(curse.high)}) from the mean of its fresh seeds{said}."
        )
    if (predicted := found.predicted) is not None:
        yield (
            f"Before, {_signed(predicted.curse)} was predicted, from {predicted.trials} trials and a noise "
            f"of {formatting.score(predicted.noise)}, which is what their curves show of it."
        )
    if found.expected is not None:
        yield (
            f"Over seeds a value varies by {formatting.score(found.noise)}; with that the prediction is "
            f"{_signed(found.expected)}."
        )


def _signed(value: float) -> str:
    """A difference of scores: four decimals, and no sign before a zero that was rounded."""
    return f"{round(value, 4) + 0.0:+.4f}"
