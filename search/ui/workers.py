"""The workers of a study, a line each: what it trains, how far that is, how well it goes.

Every column has a fixed width, so that nothing moves but the numbers. A narrow terminal loses columns
one by one, a low one rows; the curves are in the rows where there is room, else below them. All
curves have one scale, so that a trial that lags behind the others looks it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text

from search import formatting
from search.records import Record, Snapshot, WorkerView
from search.ui import forecast

FIGURES = {"score": 7, "best": 7, "LR": 6, "img/s": 5, "ETA": 7}
"""Widths of the columns of numbers; the learning rate's holds `8.0e-4`, the ETA's `59m 59s`."""

DISPENSABLE = ("img/s", "LR", "best", "ETA", "device")
"""Columns that a narrow terminal leaves out, in this order."""

GAP = 2
LONGEST_DEVICE = 20
SHORTEST_BAR = 6
LONGEST_BAR = 24
BAR_BESIDE_CURVE = 12
NARROWEST_CURVE = 20


@dataclass(frozen=True)
class WorkerRow:
    """A worker, or a running trial without a worker.

    Attributes:
        state: shown in place of the bar if there is no epoch to show.
        figures: texts by column, as in `FIGURES`.
    """

    device: str
    trial: int | None
    state: str
    epoch: int | None
    epochs: int | None
    figures: dict[str, str]
    curve: Sequence[float | None]


def rows(snapshot: Snapshot) -> list[WorkerRow]:
    """A row for each worker, then one for each running trial that no worker holds."""
    running = {record.number: record for record in snapshot.running}
    held = {worker.trial for worker in snapshot.workers}
    several = len({worker.host for worker in snapshot.workers}) > 1
    return [
        *(_of_worker(worker, running, snapshot, several) for worker in snapshot.workers),
        *(_of_orphan(record) for record in snapshot.running if record.number not in held),
    ]


def lines(snapshot: Snapshot, width: int, room: int | None = None) -> list[Text]:
    """The table, `width` columns wide and at most `room` lines long; as long as needed if None."""
    everyone = rows(snapshot)
    if not everyone:
        return []
    visible = everyone
    if room is not None and 1 + len(everyone) > room:
        visible = everyone[: max(1, room - 2)]
    table, curves_inside = _table(visible, width)
    if len(visible) < len(everyone):
        table.append(Text(f"+{len(everyone) - len(visible)} more", style="dim"))
    if not curves_inside:
        below = [Text(), *_curves(visible, width)]
        free = len(below) if room is None else room - len(table)
        table += below[:free] if free > 1 else []
    return table


def bar(parts: Iterable[tuple[float, str]], width: int) -> Text:
    """Shares of 1 with their styles, one after the other; the rest is a thin line."""
    line, end = Text(), 0.0
    for share, style in parts:
        end = min(1.0, end + share)
        line.append("━" * (round(end * width) - len(line)), style)
    return line.append("─" * (width - len(line)), "dim")


def _of_worker(
    worker: WorkerView, running: dict[int, Record], snapshot: Snapshot, several_hosts: bool
) -> WorkerRow:
    record = None if worker.trial is None else running.get(worker.trial)
    left = forecast.trial_left(record, worker.epochs, snapshot) if record else None
    device = f"{worker.host} {worker.device}" if several_hosts else worker.device
    return WorkerRow(
        device=formatting.one_line(device),
        trial=worker.trial,
        state=formatting.one_line(worker.state),
        epoch=worker.epoch,
        epochs=worker.epochs,
        figures={
            "score": formatting.score(worker.score),
            "best": formatting.score(worker.best),
            "LR": formatting.rate(worker.lr),
            "img/s": formatting.whole(worker.images_per_second),
            "ETA": "silent" if worker.state == "silent" else formatting.duration(left),
        },
        curve=record.curve if record else (),
    )


def _of_orphan(record: Record) -> WorkerRow:
    figures = dict.fromkeys(FIGURES, formatting.DASH)
    figures |= {"score": formatting.score(record.last), "best": formatting.score(record.best_score)}
    return WorkerRow(formatting.DASH, record.number, "no worker", None, None, figures, record.curve)


def _table(visible: Sequence[WorkerRow], width: int) -> tuple[list[Text], bool]:
    """Header and rows, and whether the curves are among the columns."""
    count = max((len(_count(row)) for row in visible), default=0)
    state = max(len("epoch"), *(len(row.state) for row in visible))
    device = min(LONGEST_DEVICE, max(len("device"), *(len(row.device) for row in visible)))
    epoch = max(state, SHORTEST_BAR + 1 + count)
    widths = {"device": device, "trial": 5, "epoch": epoch, **FIGURES}
    for name in DISPENSABLE:
        if _total(widths) <= width:
            break
        del widths[name]

    bar_room = width - _total(widths) + epoch - 1 - count
    curve = bar_room - BAR_BESIDE_CURVE - GAP
    curves_inside = curve >= NARROWEST_CURVE
    length = BAR_BESIDE_CURVE if curves_inside else min(bar_room, LONGEST_BAR)
    widths["epoch"] = max(state, length + 1 + count)
    if curves_inside:
        widths["curve"] = curve

    limits = formatting.extent(*(row.curve for row in visible))
    table = [_line({name: Text(name, style="dim") for name in widths}, widths)]
    for row in visible:
        cells = {name: Text(text) for name, text in row.figures.items()}
        cells["device"] = Text(row.device)
        cells["trial"] = Text(formatting.whole(row.trial))
        cells["epoch"] = _epoch(row, length, count)
        if curves_inside:
            cells["curve"] = Text(formatting.sparkline(row.curve, curve, row.epochs, limits), style="cyan")
        if row.figures["ETA"] == "silent":
            cells["ETA"].stylize("yellow")
        table.append(_line({name: cells[name] for name in widths}, widths))
    return table, curves_inside


def _line(cells: dict[str, Text], widths: dict[str, int]) -> Text:
    for name, cell in cells.items():
        cell.truncate(widths[name], overflow="ellipsis")
        cell.align("left" if name in ("device", "epoch", "curve") else "right", widths[name])
    return Text(" " * GAP).join(cells.values())


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _count(row: WorkerRow) -> str:
    return f"{row.epoch or 0}/{row.epochs}" if row.trial is not None and row.epochs else ""


def _epoch(row: WorkerRow, length: int, count: int) -> Text:
    if row.trial is None or not row.epochs:
        return Text(row.state, style="dim")
    share = (row.epoch or 0) / row.epochs
    return bar([(share, "cyan")], length).append(f" {_count(row):>{count}}")


def _curves(visible: Sequence[WorkerRow], width: int) -> list[Text]:
    """A line per row: the trial, its shape, its lowest and highest score.

    A trial without a score yet has its line too, so that the picture keeps its height.
    """
    limits = formatting.extent(*(row.curve for row in visible))
    below = []
    for row in visible:
        own = formatting.extent(row.curve)
        label = f"trial {formatting.whole(row.trial):>4}  "
        span = f"{formatting.score(own[0])} to {formatting.score(own[1])}" if own else formatting.DASH
        room = width - len(label) - GAP - max(len(span), len("0.0000 to 0.0000"))
        shape = formatting.sparkline(row.curve, room, row.epochs, limits) if room > 0 else ""
        line = Text.assemble((label, "dim"), (shape.ljust(room + GAP), "cyan"), span)
        line.truncate(width, overflow="ellipsis")
        below.append(line)
    return below
