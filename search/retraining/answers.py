"""The answers of `search confirm` and `search ablate` as blocks of a document."""

from collections.abc import Iterator, Sequence

from search import formatting
from search.analysis.ablation import Ablation
from search.analysis.confirmation import Confirmation, Row
from search.analysis.paired_seeds import Estimate
from search.render.document import Block, Bullets, Paragraph, Table, literal
from search.study.plan import Prediction

NOTHING_YET = "– too few trainings have ended"


def confirmed(found: Confirmation, before: Sequence[str]) -> list[Block]:
    """The answer of `search confirm`; `before` is what was predicted."""
    head = ["config", "in the search", "seeds", "mean", "95 % interval", "difference", "95 % interval", ""]
    rows = [_cells(row) for row in (*found.contenders, found.baseline)]
    return [
        Bullets([answer(found), *before, *_luck(found)]),
        Table(head, rows, numeric=7),
        Paragraph(
            f"{found.planned} trainings, {found.open} of them not ended. Differences are from "
            f"{literal(found.baseline.config.name)} on the same seeds. Of equal configs one is called in "
            f"at most 5 of 100 races: each look is held to {100 * found.nominal:.2g} %."
        ),
    ]


def predicted(found: Prediction) -> str:
    """The winner's curse as the search alone shows it, in sentences."""
    return (
        f"Predicted from the curves of {found.trials} complete trials: the best value is "
        f"{found.curse:.4f} better than its config gives on average, as it was picked. "
        "Another seed may change more than the noise of epochs shows; then it is more."
    )


def answer(found: Confirmation) -> str:
    """What fresh seeds say, in a sentence."""
    winner, baseline = found.winner, literal(found.baseline.config.name)
    if winner is None or winner.difference is None:
        return "On fresh seeds: too few trainings have ended to say anything."
    name, seeds = literal(winner.config.name), min(winner.seeds, found.baseline.seeds)
    word = {
        "better": "is better than",
        "worse": "is worse than",
        "not settled": "is not told apart from" if found.ended else "is not yet settled against",
    }[winner.verdict or "not settled"]
    return f"On {seeds} fresh seeds {name} {word} {baseline}: {_estimate(winner.difference)}."


def _luck(found: Confirmation) -> list[str]:
    if found.curse is None:
        return []
    name = literal(found.luckiest.name)
    return [f"The search's value of {name} less its mean over fresh seeds: {_estimate(found.curse)}."]


def ablated(found: Ablation) -> Iterator[Block]:
    """The answer of `search ablate`: which change made the difference."""
    a, b = literal(found.a.name), literal(found.b.name)
    total = NOTHING_YET if found.total is None else _estimate(found.total)
    yield Paragraph(f"From {a} to {b}, one change at a time on the same seeds: both ends {total}.")
    rows = [
        [literal(each.text), str(each.seeds), *_pair(each.effect, "+"), each.verdict]
        for each in found.effects
    ]
    for pair in found.pairs:
        names = " and ".join(literal(found.texts[change]) for change in pair.changes)
        rows.append([f"beyond the sum: {names}", formatting.DASH, *_pair(pair.interaction, "+"), ""])
    words = (
        f"An effect is {a} with that change less {a}. Small: its interval holds nothing half as large "
        "as the largest effect."
    )
    if found.left is not None:
        rows.append(["unexplained", formatting.DASH, *_pair(found.left, "+"), ""])
        words += " Unexplained: what changes alone and the pairs do not add up to."
    yield Table(["change", "seeds", "effect", "95 % interval", ""], rows, numeric=4)
    yield Paragraph(words)


def _estimate(found: Estimate) -> str:
    return f"{found.value:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}"


def _cells(row: Row) -> list[str]:
    value = formatting.score(row.config.value)
    start = [literal(row.config.name), value, str(row.seeds)]
    return [*start, *_pair(row.mean, ""), *_pair(row.difference, "+"), row.verdict or ""]


def _pair(found: Estimate | None, sign: str) -> list[str]:
    if found is None:
        return [formatting.DASH, formatting.DASH]
    return [f"{found.value:{sign}.4f}", f"{found.low:{sign}.4f} to {found.high:{sign}.4f}"]
