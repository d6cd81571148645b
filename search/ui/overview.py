"""A study at one moment, drawn to fit: its progress, its workers, the best so far.

`search status` and the live view both show this, so what a person learns from one holds for the other.
"""

import textwrap
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from search import formatting
from search.records import Record, Snapshot
from search.render.terminal import flow
from search.scoring import Direction
from search.ui import forecast
from search.ui import workers as roster

WIDEST = 140
"""Columns beyond which wider output is no easier to read."""

STOPPING = {
    "drain": "stopping: running trials finish, no new ones start",
    "now": "stopping now: running trials save a checkpoint and wait to be resumed",
    "bugs": "stopped: three bugs in a row (search trials N shows the traceback of one)",
}


@dataclass(frozen=True)
class StudyHeadline:
    """The study's name and progress, without its workers."""

    snapshot: Snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (*headline(self.snapshot, min(options.max_width, WIDEST)), Text())


@dataclass(frozen=True)
class Overview:
    """The whole picture; with `fit` no taller than the terminal, else with every worker."""

    snapshot: Snapshot
    fit: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        head = headline(self.snapshot, width)
        tail = [*_best(self.snapshot, width), *_notes(self.snapshot, width)]
        # Two blank lines separate the parts; one line is left for the cursor.
        height = options.size.height - 1
        room = height - len(head) - len(tail) - 2 if self.fit else None
        workers = roster.lines(self.snapshot, width, room)
        lines = [*head, Text(), *workers, *([Text()] if workers else []), *tail]
        yield from lines[:height] if self.fit else lines


def headline(snapshot: Snapshot, width: int) -> list[Text]:
    """The study's name, its progress, the states of its trials, and the time left."""
    budget = snapshot.budget
    title = Text.assemble((formatting.one_line(snapshot.study), "bold"))
    if snapshot.profile:
        title.append(f"  profile {formatting.one_line(snapshot.profile)}", "dim")
    if snapshot.direction == "minimize":
        title.append("  lower is better", "dim")
    trials = max(1, budget.trials)
    share = f" {budget.finished}/{budget.trials}"
    done = [
        (budget.complete / trials, "green"),
        (budget.pruned / trials, "yellow"),
        (budget.failed / trials, "red"),
    ]
    counts = Text("  ").join(
        Text.assemble((str(count), style if count else "dim"), (f" {label}", "dim"))
        for count, label, style in (
            (budget.complete, "complete", "green"),
            (budget.pruned, "pruned", "yellow"),
            (budget.failed, "failed", "red"),
            (budget.running, "running", "cyan"),
            (budget.trials - budget.claimed, "not run" if budget.stopped else "to go", ""),
        )
    )
    if budget.gpu_hours is not None:
        counts.append(f"  {formatting.gpu_hours(budget)}")
    left = forecast.study_left(snapshot)
    remains = Text("" if left is None else f"{formatting.roughly(left)} left")
    counts.truncate(width, overflow="ellipsis")
    fits = counts.cell_len + 2 + remains.cell_len <= width
    return [
        _ends(title, Text(formatting.one_line(snapshot.storage), style="dim"), width),
        roster.bar(done, max(0, width - len(share))).append(share),
        *([_ends(counts, remains, width)] if fits else [counts, remains]),
    ]


def parameters(record: Record) -> list[Text]:
    """The sampled parameters, each as `name value`."""
    names = formatting.short_names(record.params)
    return [
        Text.assemble((f"{names[name]} ", "dim"), formatting.parameter(value))
        for name, value in record.params.items()
    ]


def cause(record: Record) -> str:
    """Why a trial ended before its last epoch; of a traceback, the line that names the exception."""
    if record.reason is None:
        return formatting.DASH
    lines = [line for line in record.reason.text.splitlines() if line.strip()]
    text = formatting.one_line(lines[-1]) if lines else formatting.DASH
    return f"{record.reason.code}, {text}" if record.state == "failed" else text


def stopping(stop: str) -> str:
    """What a study's stop state means for its trials."""
    return STOPPING.get(stop, f"stopping: {stop}")


def distance_to_known(record: Record, known: Record | None, direction: Direction) -> Text | None:
    """How much better a trial is than the best known config; None if that is not known."""
    if record.known:
        return Text(f"the known config {formatting.one_line(record.known)}")
    better = formatting.gain(record.value, known.value if known else None, direction)
    if known is None or better is None:
        return None
    return Text.assemble(
        (formatting.score(abs(better)), "bold"),
        " better" if better >= 0 else " worse",
        f" than {formatting.one_line(known.known or 'the known config')} ({formatting.score(known.value)})",
    )


def distance_to_target(value: float | None, target: float | None, direction: Direction) -> Text | None:
    """How far a value is from the target; None if there is no target."""
    better = formatting.gain(value, target, direction)
    if better is None:
        return None
    if better >= 0:
        return Text.assemble(f"target {formatting.score(target)} ", ("reached", "green"))
    return Text.assemble(
        (formatting.score(-better), "bold"), f" short of target {formatting.score(target)}"
    )


def _best(snapshot: Snapshot, width: int) -> list[Text]:
    best, indent = snapshot.best, len("best  ")
    if snapshot.answer is not None:
        return [Text(line) for line in textwrap.wrap(f"fresh seeds  {snapshot.answer}", width)]
    if best is None:
        target = f" · target {formatting.score(snapshot.target)}" if snapshot.target is not None else ""
        return [Text(f"best  {formatting.DASH}  no trial is complete yet{target}", style="dim")]
    mean = f" mean of {snapshot.smooth}" if snapshot.smooth > 1 else ""
    first = [
        Text.assemble(("best  ", "dim"), (formatting.score(best.value), "bold green"), mean),
        Text(f"trial {best.number}"),
        Text(f"epoch {formatting.whole(best.best_epoch)} scored {formatting.score(best.best_score)}"),
    ]
    distances = [
        distance_to_known(best, snapshot.best_known, snapshot.direction),
        distance_to_target(best.value, snapshot.target, snapshot.direction),
    ]
    return [
        *flow(first, width),
        *flow([distance for distance in distances if distance], width, indent),
        *flow(parameters(best), width, indent),
    ]


def _notes(snapshot: Snapshot, width: int) -> list[Text]:
    lines = [Text(stopping(snapshot.stop), style="yellow")] if snapshot.stop else []
    if snapshot.budget.stopped is not None:
        lines += [Text(line) for line in textwrap.wrap(formatting.stopped(snapshot.budget.stopped), width)]
    for note in snapshot.notes:
        lines += [Text(line, style="yellow") for line in textwrap.wrap(formatting.one_line(note), width)]
    return [Text(), *lines] if lines else []


def _ends(left: Text, right: Text, width: int) -> Text:
    """One line with `left` and `right` at its ends; `right` is shortened first."""
    left.truncate(width, overflow="ellipsis")
    room = width - left.cell_len - 2
    if room < 1:
        return left
    right.truncate(room, overflow="ellipsis")
    return Text.assemble(left, " " * (width - left.cell_len - right.cell_len), right)
