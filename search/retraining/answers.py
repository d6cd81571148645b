"""The answers of `search confirm` and `search ablate` as blocks: for terminal, report and dashboard."""

from collections.abc import Iterator, Sequence

from search import formatting
from search.analysis.ablation import Ablation, Effect
from search.analysis.confirmation import ConfigResult, Confirmation
from search.analysis.paired_seeds import Estimate
from search.render.document import Block, Cell, Headline, Marked, Paragraph, Status, Table, code, literal
from search.retraining.image_blocks import image_blocks
from search.study.plan import Prediction

TOO_FEW = "too few trainings have ended"
STAYS_OPEN = "What is not settled stays open: the seeds or trainings that were allowed are used up."
EFFECTS: dict[str, Status] = {"helps": "good", "hurts": "bad", "small": "quiet", "not settled": "open"}


# -- search confirm --------------------------------------------------------------------------------


def confirmation_blocks(answer: Confirmation) -> list[Block]:
    """Whether the best of a search is better than the baseline when both are trained again."""
    head = ["config", "search", "seeds", "mean", "95 % interval", "difference", "95 % interval", "verdict"]
    rows = [_result_cells(result) for result in (*answer.contenders, answer.baseline)]
    return [
        headline(answer),
        Table(head, rows, numeric=7),
        *map(Paragraph, _race(answer)),
        *([] if answer.plan.split else image_blocks(answer.over_images)),
        *map(Paragraph, _luck(answer)),
    ]


def headline(answer: Confirmation) -> Headline:
    """Who is better on fresh seeds, in one sentence."""
    best, baseline = answer.winner, literal(answer.baseline.config.name)
    if best is None or best.difference is None or best.chance is None:
        return Headline("Not settled on fresh seeds", "open", TOO_FEW)
    name, seeds = literal(best.config.name), min(best.seeds, answer.baseline.seeds)
    chance = f"{100 * best.chance:.1f} %" if best.chance < 0.999 else "over 99.9 %"
    detail = f"{_estimate(best.difference)}, chance {chance}"
    if best.verdict == "better":
        return Headline(f"On {seeds} fresh seeds {name} is better than {baseline}", "good", detail)
    if all(result.verdict == "worse" for result in answer.contenders):
        text = f"On fresh seeds {baseline} is better than every contender"
        return Headline(text, "good", f"the best of them, {name}, is {_estimate(best.difference)} from it")
    yet = "" if answer.ended else "yet "
    text = f"On {seeds} fresh seeds it is not {yet}settled whether {name} is better than {baseline}"
    return Headline(text, "open", detail)


def predicted(prediction: Prediction) -> str:
    """The winner's curse as the search alone shows it, in sentences."""
    return (
        f"Predicted from the curves of {prediction.trials} complete trials, whose values vary by "
        f"{formatting.score(prediction.noise)}: the best value is {prediction.curse:.4f} better than its "
        "config gives on average, because it was picked. If another seed changes more than the noise "
        "between epochs shows, the true figure is larger."
    )


def _result_cells(result: ConfigResult) -> list[Cell]:
    return [
        literal(result.config.name),
        formatting.score(result.config.value),
        str(result.seeds),
        *_cells(result.mean, ""),
        *_cells(result.difference, "+"),
        _verdict(result),
    ]


def _verdict(result: ConfigResult) -> Marked:
    if result.verdict is None:
        return Marked("baseline", "quiet")
    if result.settled_after is None:
        return Marked("not settled", "open")
    status: Status = "good" if result.verdict == "better" else "bad"
    return Marked(f"{result.verdict} after {result.settled_after}", status)


def _race(answer: Confirmation) -> Iterator[str]:
    plan = answer.plan
    baseline = literal(answer.baseline.config.name)
    yield (
        f"{_trainings(answer)} Differences are from {baseline} on the same seeds; a verdict names "
        "the number of seeds after which it fell."
    )
    looks = f"every look, after {plan.first} to {plan.last} seeds,"
    if plan.first == plan.last:
        looks = f"the one look, after {plan.last} seeds,"
    yield (
        f"False-positive rate of the whole race: at most 5 %. To keep to it, {looks} is tested at "
        f"{100 * answer.nominal:.2g} %."
    )
    if answer.ended and not answer.settled:
        yield STAYS_OPEN
    if constants := plan.asked.get("set"):
        yield f"All were trained with {code(constants)}; the search was not."
    if plan.split:
        yield f"Every seed has a train/val split of its own ({code(plan.split)})."


def _luck(answer: Confirmation) -> Iterator[str]:
    if answer.plan.split:
        yield "The search used another split, so these seeds cannot tell how lucky its best was."
    elif (curse := answer.curse) is not None:
        luck = "; that much of it was luck" if curse.low > 0 else ""
        yield (
            f"The search's value of {literal(answer.luckiest.name)} less its mean over fresh seeds: "
            f"{_estimate(curse)}{luck}."
        )
    if answer.predicted is not None:
        yield predicted(answer.predicted)
    if answer.expected is not None:
        yield (
            f"Over seeds a value varies by {formatting.score(answer.noise)}; with that noise the "
            f"prediction is {answer.expected:+z.4f}."
        )


# -- search ablate ---------------------------------------------------------------------------------


def ablation_blocks(answer: Ablation) -> list[Block]:
    """Which change between two configs made the difference."""
    a, b = literal(answer.a.name), literal(answer.b.name)
    total = TOO_FEW if answer.total is None else _estimate(answer.total)
    return [
        Headline(f"From {a} to {b}, all changes together", "plain", total),
        Table(["change", "seeds", "effect", "95 % interval", ""], list(_effect_rows(answer)), numeric=4),
        *map(Paragraph, _effect_sentences(answer, a)),
        *image_blocks(answer.over_images),
    ]


def _effect_rows(answer: Ablation) -> Iterator[Sequence[Cell]]:
    for effect in answer.effects:
        yield [f"{literal(effect.text)} alone", str(effect.seeds), *_effect_cells(effect)]
    for pair in answer.pairs:
        one, other = (literal(answer.texts[change]) for change in pair.changes)
        yield [f"{one} and {other}, both", "", *_cells(pair.both, "+"), ""]
        yield ["… beyond the sum of each alone", "", *_cells(pair.interaction, "+"), ""]
    if answer.left is not None:
        yield ["unexplained", "", *_cells(answer.left, "+"), ""]


def _effect_cells(effect: Effect) -> list[Cell]:
    return [*_cells(effect.effect, "+"), Marked(effect.verdict, EFFECTS[effect.verdict])]


def _effect_sentences(answer: Ablation, a: str) -> Iterator[str]:
    noise = answer.noise
    varies = "" if noise is None else f" Over seeds a value varies by {formatting.score(noise)}."
    yield _trainings(answer) + varies
    yield (
        f"An effect is the mean of {a} with that change less the mean of {a}, on the same seeds. Small: no "
        "value in its interval is half as large as the largest effect."
    )
    if answer.left is not None:
        yield "Unexplained: the part of the total that single changes and the pairs shown do not add up to."
    if answer.ended and any(effect.verdict == "not settled" for effect in answer.effects):
        yield STAYS_OPEN


# -- what both say ---------------------------------------------------------------------------------


def _trainings(answer: Confirmation | Ablation) -> str:
    ended = f"{answer.planned - answer.open} of {answer.planned} trainings on fresh seeds have ended"
    return f"{ended}, {answer.lost} of them without a score." if answer.lost else f"{ended}."


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:+z.4f}, 95 % interval {estimate.low:+z.4f} to {estimate.high:+z.4f}"


def _cells(estimate: Estimate | None, sign: str) -> list[str]:
    if estimate is None:
        return [formatting.DASH, formatting.DASH]
    return [f"{estimate.value:{sign}.4f}", f"{estimate.low:{sign}.4f} to {estimate.high:{sign}.4f}"]
