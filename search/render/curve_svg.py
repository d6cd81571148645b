"""A trial's curve as a picture: the scores by epoch and their mean. SVG, since it takes no time to draw."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from search.scoring import trailing_means

WIDTH, HEIGHT = 720, 320  # px
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 40  # margins
FONT = 'font-family="sans-serif" font-size="12" fill="#444"'


def draw(scores: Mapping[int, float], smooth: int, best_epoch: int, title: str) -> str:
    """The SVG of `scores` by epoch, of which there is at least one, with their mean of `smooth`."""
    epochs = sorted(scores)
    values = [scores[epoch] for epoch in epochs]
    ticks = nice_ticks(min(values), max(values))
    last = max(epochs[-1], 2)

    def x(epoch: float) -> float:
        return LEFT + (epoch - 1) / (last - 1) * (WIDTH - LEFT - RIGHT)

    def y(score: float) -> float:
        return HEIGHT - BOTTOM - (score - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)

    def line(ys: Sequence[float], style: str) -> str:
        points = " ".join(f"{x(epoch):.1f},{y(each):.1f}" for epoch, each in zip(epochs, ys, strict=True))
        return f'<polyline points="{points}" fill="none" {style}/>'

    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0])))
    grid = [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" {FONT}>{tick:.{digits}f}</text>'
        for tick in ticks
    ]
    marks = [
        f'<text x="{x(epoch):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" {FONT}>{epoch}</text>'
        for epoch in sorted(
            {1, last, *(tick for tick in map(round, nice_ticks(1, last)) if 1 < tick < last)}
        )
        if epoch in (1, last) or min(epoch - 1, last - epoch) > last / 12  # else the numbers touch
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="22" {FONT}>{escape(title)}</text>',
            *grid,
            *marks,
            f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end" {FONT}>epoch</text>',
            line(values, 'stroke="#9bbcd8" stroke-width="1.5"'),
            line(trailing_means(values, smooth), 'stroke="#1f5f99" stroke-width="2"'),
            f'<circle cx="{x(best_epoch):.1f}" cy="{y(scores[best_epoch]):.1f}" r="4" fill="#c0392b"/>',
            "</svg>",
        ]
    )


def nice_ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers, evenly apart, that enclose low and high."""
    if high - low < 1e-9 * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.floor(low / step)
    return [round(index * step, 12) for index in range(first, math.ceil(high / step) + 1)]
