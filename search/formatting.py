"""How numbers and curves are written for people: one notation for every command.

A missing or non-finite number is a dash, never `nan`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from search.records import Budget, StoppedBy
from search.scoring import Direction

DASH = "–"
BLOCKS = "▁▂▃▄▅▆▇█"

Curve = Sequence[float | None]


def score(value: float | None) -> str:
    """A score or a difference of scores: four decimals."""
    return DASH if value is None or not math.isfinite(value) else f"{value:z.4f}"


def interval(low: float, high: float, sign: Literal["+", ""] = "+") -> str:
    """The ends of an interval: `-0.0021 to +0.0103`; of scores rather than differences without a sign."""
    return f"{low:{sign}z.4f} to {high:{sign}z.4f}"


def rate(value: float | None) -> str:
    """A learning rate: two significant digits, `8.0e-4`."""
    return DASH if value is None or not math.isfinite(value) else _scientific(value)


def percent(share: float, digits: int = 0) -> str:
    """A share of 1: `12 %`, and with a digit `97.5 %`."""
    return f"{100 * share:.{digits}f} %"


def epochs(first: int, last: int) -> str:
    """A range of epochs, both included: `8–12`, or `8` alone."""
    return str(first) if first == last else f"{first}–{last}"


def whole(value: float | None) -> str:
    """A number without decimals; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.0f}"


def count(value: int | None) -> str:
    """A number of parameters: `1,747,923`."""
    return DASH if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """A short time in milliseconds: `0.42`, `3.2`, `120`."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def footprint(parameters: int | None, forward_ms: float | None) -> str:
    """A model in words: `1,747,923 parameters, 3.2 ms for one example`; empty where nothing is known."""
    parts = [f"{count(parameters)} parameters"] if parameters is not None else []
    parts += [f"{milliseconds(forward_ms)} ms for one example"] if forward_ms is not None else []
    return ", ".join(parts)


def duration(seconds: float | None) -> str:
    """Two units at most: `42s`, `1m 20s`, `3h 05m`, `2d 4h`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole_seconds = max(0, round(seconds))
    minutes, s = divmod(whole_seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h}h"
    if hours:
        return f"{h}h {m:02d}m"
    return f"{m}m {s:02d}s" if minutes else f"{s}s"


def seconds(value: float) -> str:
    """A short time: `0.042 s`, `3.2 s`, `1m 20s`."""
    return duration(value) if value >= 60 else f"{value:.2g} s"


def size(count: int) -> str:
    """Bytes on a disk: `640 B`, `27 MB`, `1.2 GB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 9.95 or units[0] == "B" else f"{value:.1f} {units[0]}"


def image_size(value: int | tuple[int, int]) -> str:
    """Of images in pixels: `512`, or height and width, `360 x 480`."""
    return str(value) if isinstance(value, int) else " x ".join(map(str, value))


def hours(value: float | None) -> str:
    """Device-hours: two significant digits below ten, `0.043`, `3.2`, `120`."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def gpu_hours(budget: Budget) -> str:
    """Device-hours used out of a budget's: `3.2 of 12 device-hours`."""
    return f"{hours(budget.gpu_hours_used)} of {hours(budget.gpu_hours)} device-hours"


def stopped(by: StoppedBy) -> str:
    """What ended a search before its budget was used up."""
    if by.rule == "target":
        return (
            f"stopped by its rule: trial {by.trial} has {score(by.value)}, and {by.limit:g} was the target"
        )
    return f"stopped by its rule: {by.limit:.0f} trials in a row without a better one than trial {by.trial}"


def roughly(seconds: float) -> str:
    """A forecast, no finer than it is reliable: `under a minute`, `about 12m`, `about 3h 20m`."""
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    return f"about {minutes}m" if minutes < 60 else f"about {duration(600 * round(seconds / 600))}"


def parameter(value: Any) -> str:
    """A parameter's value as YAML has it, with three significant digits: `true`, `0.15`, `9.63e-4`."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return one_line(str(value))
    if not math.isfinite(value):
        return str(value)
    if value and not 0.01 <= abs(value) < 1e5:
        return _scientific(value, digits=2).replace(".00e", "e").replace("0e", "e")
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def change(old: Any, new: Any) -> str:
    """`old → new`, with as many digits as needed to tell them apart."""
    left, right = parameter(old), parameter(new)
    return f"{old!r} → {new!r}" if left == right else f"{left} → {right}"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Dotted name -> its last part, or the whole name if that would be ambiguous.

    >>> short_names(["schedule.kind", "loss.dice_weight"])
    {'schedule.kind': 'schedule.kind', 'loss.dice_weight': 'dice_weight'}
    """
    last = {name: name.rpartition(".")[2] for name in names}
    counts = Counter(last.values())
    return {name: name if counts[short] > 1 or short == "kind" else short for name, short in last.items()}


def one_line(text: str) -> str:
    """`text` on one line, without control characters: foreign text may not move the cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def gain(new: float | None, old: float | None, direction: Direction) -> float | None:
    """How much better `new` is than `old`: positive is better, in either direction."""
    if new is None or old is None or not (math.isfinite(new) and math.isfinite(old)):
        return None
    return new - old if direction == "maximize" else old - new


def extent(*curves: Curve) -> tuple[float, float] | None:
    """Lowest and highest score of all `curves`; None if they have none."""
    present = [y for curve in curves for y in curve if y is not None and math.isfinite(y)]
    return (min(present), max(present)) if present else None


def sparkline(
    curve: Curve,
    width: int | None = None,
    epochs: int | None = None,
    limits: tuple[float, float] | None = None,
) -> str:
    """A curve as one line of blocks, at most `width` characters; a missing epoch is a space.

    Args:
        epochs: how many the curve will have in the end. The line then grows to its full width as training
            proceeds, instead of being compressed at each epoch.
        limits: the scores of the lowest and the highest block; the curve's own if None. Curves to be
            compared need the same.
    """
    bins = _bins(curve, width, max(len(curve), epochs or 0))
    low, high = limits or extent(bins) or (0.0, 0.0)
    return "".join(" " if y is None else BLOCKS[_level(y, low, high, len(BLOCKS))] for y in bins)


def plot(curve: Curve, width: int, height: int) -> list[str]:
    """A curve as `height` lines of blocks, top first, with eight levels to a line.

    The lowest and highest score are the ends of the axis. A short curve is drawn two or three
    characters wide per epoch.
    """
    bins, limits = _bins(curve, width, len(curve)), extent(curve)
    if limits is None:
        return []
    low, high = limits
    repeat = max(1, min(3, width // len(bins)))
    levels = [0 if y is None else 1 + _level(y, low, high, 8 * height) for y in bins]
    lines = []
    for row in reversed(range(height)):
        filled = (min(max(level - 8 * row, 0), 8) for level in levels)
        lines.append("".join((" " + BLOCKS)[n] * repeat for n in filled))
    return lines


def _scientific(value: float, digits: int = 1) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _level(y: float, low: float, high: float, levels: int) -> int:
    """0 to levels - 1; a constant curve is in the middle."""
    if high == low:
        return levels // 2
    return min(levels - 1, max(0, int((y - low) / (high - low) * levels)))


def _bins(curve: Curve, width: int | None, epochs: int) -> list[float | None]:
    """Means of groups of consecutive epochs, such that `epochs` of them would fill `width`."""
    count = min(width or epochs, epochs)
    if not count:
        return []
    groups: list[list[float]] = [[] for _ in range(math.ceil(len(curve) * count / epochs))]
    for index, y in enumerate(curve):
        if y is not None and math.isfinite(y):
            groups[index * count // epochs].append(y)
    return [math.fsum(group) / len(group) if group else None for group in groups]
