"""`search best`, and the end of `search start`: the best trial beside the best known config.

Two trials are two runs with one seed each, and one is the best of many: every gain is printed with what is
left of it without that luck.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from search import formatting
from search.analysis.expected_gain import ExpectedGain, expected_gain
from search.records import Record, Snapshot
from search.render.document import Code
from search.render.terminal import RichBlocks, pairs, prose
from search.report.comparison import gain_headline
from search.scoring import Direction
from search.ui.overview import cause, distance_to_target

ONE_SEED = (
    "Each is one run with one seed, and the best of many runs is partly luck: "
    "this is no evidence yet that its config is better."
)


def best_summary(
    record: Record, snapshot: Snapshot, files: Path | None, fresh: str | None = None
) -> RenderableType:
    """The best trial, parameter by parameter against the best known config, and where its files are.

    Args:
        fresh: what fresh seeds say, if they do.
    """
    smooth, direction, known = snapshot.smooth, snapshot.direction, snapshot.best_known
    mean = f"mean of {smooth} validations" if smooth > 1 else "one validation"
    best = f"epoch {formatting.whole(record.best_epoch)} scored {formatting.score(record.best_score)}"
    title = Text.assemble(
        ("best  ", "dim"),
        (formatting.score(record.value), "bold green"),
        f"  trial {record.number}, {mean}; {best}",
    )
    parts: list[RenderableType] = [title]
    if footprint := formatting.footprint(record.parameters, record.forward_ms):
        parts.append(Text(f"      {footprint}", style="dim"))
    if fresh is not None:
        parts += [Text(), prose(fresh)]
    gain = expected_gain(snapshot.finished, known.value, direction) if known else None
    parts += [Text(), *_against(record, known, direction, gain)]
    if distance := distance_to_target(record.value, snapshot.target, direction):
        parts.append(distance)
    if files is not None:
        parts += [Text(), Text.assemble(("files  ", "dim"), str(files), overflow="ignore", no_wrap=True)]
    return Group(*parts)


def closing(
    snapshot: Snapshot, best_dir: Path | None, result_commands: Sequence[str] = (), fresh: str | None = None
) -> RenderableType:
    """The end of a search: how the trials ended, the best of them, what to do next.

    Args:
        result_commands: commands that make a result of the best trial.
        fresh: what fresh seeds say about the best, if they do.
    """
    budget = snapshot.budget
    title = Text.assemble((formatting.one_line(snapshot.study), "bold"), "  ")
    title.append(f"{budget.finished} of {budget.trials} trials: {budget.complete} complete, ")
    title.append(f"{budget.pruned} pruned, {budget.failed} failed")
    if budget.gpu_hours is not None:
        title.append(f"; {formatting.gpu_hours(budget)}")
    if budget.stopped is not None:
        title.append(f"; {formatting.stopped(budget.stopped)}")
    epochs = f"{snapshot.epochs_run} epochs run, at most {snapshot.epochs_saved} saved by pruning"
    parts: list[RenderableType] = [title, Text(epochs, style="dim")]
    if snapshot.best is not None:
        parts += [Text(), best_summary(snapshot.best, snapshot, best_dir, fresh)]
    elif snapshot.answer is None:
        parts += [Text(), Text("No trial completed.", style="bold"), *_failures(snapshot)]
    return Group(
        *parts, Text(), Text("next", style="dim"), RichBlocks([Code(_next(snapshot, result_commands))])
    )


def _next(snapshot: Snapshot, result_commands: Sequence[str]) -> list[str]:
    if not snapshot.budget.used_up:
        return [f"search start --study {snapshot.study}"]
    if snapshot.answer is not None:
        return [snapshot.answer, f"search trials --study {snapshot.study}"]
    commands = ["report"] if snapshot.best else []
    commands += ["confirm"] if snapshot.best_known else []
    commands += ["trials"]
    lines = [f"search {command} --study {snapshot.study}" for command in commands]
    return [*lines, *(result_commands if snapshot.best else ()), "search dashboard"]


def _against(
    record: Record, known: Record | None, direction: Direction, gain: ExpectedGain | None
) -> list[RenderableType]:
    """The parameters of `record`, old → new where `known` has another value, and the gain in words."""
    if known is None or known.number == record.number:
        values = {name: formatting.parameter(value) for name, value in record.params.items()}
        if known is None:
            sentence = "No known config has completed, so there is nothing to compare it with."
        else:
            sentence = f"It is the known config {formatting.one_line(known.known or formatting.DASH)}."
        return [pairs(values), Text(), Text(sentence)]

    name = formatting.one_line(known.known or formatting.DASH)
    rows = {"": Text(f"{name} → trial {record.number}", style="dim")}
    for parameter in {**known.params, **record.params}:
        old, new = known.params.get(parameter), record.params.get(parameter)
        same = Text.assemble(formatting.parameter(new), ("  the same", "dim"))
        rows[parameter] = same if old == new else Text(formatting.change(old, new), style="bold")
    source = f"the best known config, {name} (trial {known.number}, {formatting.score(known.value)})"
    better = formatting.gain(record.value, known.value, direction)
    if better is None:
        sentence = f"Compared with {source}."
    else:
        word = "better" if better >= 0 else "worse"
        judged = (
            ONE_SEED
            if gain is None
            else f"Each is one run with one seed. {gain_headline(gain, 'it').sentence}"
        )
        sentence = f"{formatting.score(abs(better))} {word} than {source}. {judged}"
    return [pairs(rows), Text(), prose(sentence)]


def _failures(snapshot: Snapshot) -> list[Text]:
    """Why trials failed, the most frequent cause first."""
    trials = defaultdict(list)
    for record in snapshot.finished:
        if record.state == "failed":
            trials[cause(record)].append(record.number)
    often = sorted(trials.items(), key=lambda item: -len(item[1]))
    return [Text(f"  {len(numbers)} × {text} (trial {numbers[0]})") for text, numbers in often[:3]]
