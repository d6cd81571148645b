"""The answers of `search confirm` and `search ablate` as blocks: for terminal, report and dashboard."""

from collections.abc import Iterator, Sequence
from typing import Literal

from search import formatting
from search.analysis.ablation import Ablation
from search.analysis.confirmation import ConfigResult, Confirmation
from search.analysis.looks import FUTILE
from search.analysis.paired_seeds import Estimate
from search.render.document import Block, Cell, Headline, Marked, Paragraph, Status, Table, code, literal
from search.retraining.image_blocks import image_blocks
from search.scoring import sign_of
from search.study.plan import Plan, Prediction

TOO_FEW = "too few trainings have ended"
STAYS_OPEN = "What is not settled stays open: the seeds or trainings that were allowed are used up."
OLDER = (
    "An older version began this race, so its noise is pooled over all configs. That calls too often where "
    "the contenders are alike, or where one of them varies more than the others."
)
UNCORRECTED = (
    "The splits share training images, so their errors are correlated, and how many images a split has was "
    "not recorded: intervals are too narrow, and verdicts and probabilities too sure."
)
BETWEEN: dict[str, str] = {
    "better": "{first} is better",
    "worse": "{first} is worse",
    "same": "the same",
    "not settled": "not told apart",
}
EFFECTS: dict[str, Status] = {"helps": "good", "hurts": "bad", "small": "quiet", "not settled": "open"}


# -- search confirm --------------------------------------------------------------------------------


def confirmation_blocks(answer: Confirmation) -> list[Block]:
    """Whether the best of a search is better than the baseline when both are trained again."""
    head = ["config", "search", "seeds", "mean", "95 % interval", "difference", "95 % interval", "verdict"]
    rows = [_result_cells(result) for result in (*answer.contenders, answer.baseline)]
    none_yet = all(result.difference is None for result in answer.contenders)
    return [
        headline(answer),
        Table(head, rows, numeric=7),
        *map(Paragraph, (*_size(answer), *_probable(answer))),
        *_between(answer),
        *map(Paragraph, _race(answer)),
        *([] if answer.plan.split or none_yet else image_blocks(answer.over_images)),
        *map(Paragraph, _luck(answer)),
    ]


def headline(answer: Confirmation) -> Headline:
    """Who is better on fresh seeds, in one sentence."""
    best, baseline = answer.winner, literal(answer.baseline.config.name)
    if best is None or best.difference is None or best.chances is None:
        return Headline("Not settled on fresh seeds", "open", TOO_FEW)
    name, seeds = literal(best.config.name), min(best.seeds, answer.baseline.seeds)
    detail = f"{_estimate(best.difference)}; probability of being better {_percent(best.chances.better)}"
    if best.verdict == "better":
        return Headline(f"On {seeds} fresh seeds {name} is better than {baseline}", "good", detail)
    if all(result.verdict == "worse" for result in answer.contenders):
        text = f"On fresh seeds {baseline} is better than every contender"
        return Headline(text, "good", f"the best of them, {name}, is {_estimate(best.difference)} from it")
    if best.verdict == "same":
        text = f"On {seeds} fresh seeds {name} and {baseline} are practically the same"
        return Headline(text, "plain", f"they differ by less than {_margin(answer)}; {detail}")
    yet = "" if answer.ended else "yet "
    text = f"On {seeds} fresh seeds it is not {yet}settled whether {name} is better than {baseline}"
    return Headline(text, "open", detail)


def predicted(prediction: Prediction) -> str:
    """The winner's curse as the search alone shows it, in sentences."""
    interval = allows = noise = ""
    seeds = prediction.seeds or 1
    share = "share one seed" if seeds == 1 else f"take turns with {seeds} seeds"
    if prediction.low is not None and prediction.high is not None:
        interval = f", 95 % interval {formatting.interval(prediction.low, prediction.high)}"
        allows = (
            f" The trials {share}: the interval allows for what that gives to all of them alike, which no "
            "choice can show."
        )
    if prediction.most_noise is not None:
        noise = f" to {formatting.score(prediction.most_noise)}"
    return (
        f"Predicted from {prediction.trials} complete trials, whose values vary by "
        f"{formatting.score(prediction.noise)}{noise} over seeds: the best value is {prediction.curse:.4f} "
        f"better than its config gives on average, because it was picked{interval}.{allows}"
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
    status: Status = "bad"
    if result.verdict != "worse":
        status = "good" if result.verdict == "better" else "quiet"
    return Marked(f"{result.verdict} after {result.settled_after}", status)


def _size(answer: Confirmation) -> Iterator[str]:
    """How large the gain is that was called."""
    best = answer.winner
    if best is None or best.verdict != "better" or best.difference is None or best.given_call is None:
        return
    sign = sign_of(answer.direction)
    over = sign * (best.difference.value - best.given_call.value)
    yield (
        "A gain that is called is read too large on average, since one that looks small is not called. "
        f"Allowing for that, {literal(best.config.name)} differs by {_estimate(best.given_call)}: "
        f"{over:.4f} less than measured."
    )


def _probable(answer: Confirmation) -> Iterator[str]:
    """The posterior of the best contender, with its prior."""
    best = answer.winner
    if best is None or best.chances is None:
        return
    likely, baseline = best.chances, literal(answer.baseline.config.name)
    sizes = ""
    if likely.matters is not None and likely.same is not None:
        margin = _margin(answer)
        sizes = (
            f", that it is by {margin} or more {_percent(likely.matters)}, that the two differ by less "
            f"{_percent(likely.same)}"
        )
    yield (
        f"Probability that {literal(best.config.name)} is better than {baseline}: "
        f"{_percent(likely.better)}{sizes}. Prior: differences from the baseline are normal around 0, none "
        "exactly 0, and as likely as not wider than the noise of one training. Where one config is much "
        "noisier than the others, this is too sure of that one."
    )


def _between(answer: Confirmation) -> Iterator[Block]:
    """The contenders with each other."""
    if not answer.between:
        return
    rows: list[Sequence[Cell]] = [
        [f"{first} less {second}", *_cells(pair.difference, "+"), BETWEEN[pair.verdict].format(first=first)]
        for pair in answer.between
        for first, second in [map(literal, pair.names)]
    ]
    yield Table(["contenders", "difference", "95 % interval", ""], rows, numeric=3)


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
    low, high = (f"{100 * level:.2g}" for level in answer.levels)
    if plan.overlap is not None:
        yield (
            f"False-positive rate of the whole race: at most 5 %. To keep to it, {looks} is tested at "
            f"{low if low == high else f'{low} to {high}'} %."
        )
    if plan.errors == "pooled":
        yield OLDER
    if "same" in [row.verdict for row in answer.contenders] + [pair.verdict for pair in answer.between]:
        rate = " A contender that differs by that much or more is called the same in at most 5 % of races."
        yield f"The same: closer than {_margin(answer)}.{rate if plan.overlap is not None else ''}"
    if futile := [literal(row.config.name) for row in answer.contenders if row.futile_after]:
        command = code(f"search confirm --study {plan.of} --plan")
        more = "" if plan.split else f" {command} says how many would."
        yield (
            f"No more seeds for {', '.join(futile)}: the chance that those left would have settled it was "
            f"below {100 * FUTILE:.0f} %.{more}"
        )
    if answer.ended and any(
        row.verdict == "not settled" and not row.futile_after for row in answer.contenders
    ):
        yield STAYS_OPEN
    if constants := plan.asked.get("set"):
        yield f"All were trained with {code(constants)}; the search was not."
    if plan.split:
        yield f"Every seed has a train/val split of its own ({code(plan.split)})."
        yield UNCORRECTED if plan.overlap is None else _corrected(plan)


def _corrected(plan: Plan) -> str:
    return (
        "The splits share training images, so their errors are correlated. Intervals, verdicts and "
        "probabilities allow for it: the variance of a mean over n seeds is that of one, times "
        f"1/n + {plan.val}/{plan.train}, by the images of a split (Nadeau and Bengio 2003)."
    )


def _luck(answer: Confirmation) -> Iterator[str]:
    if answer.plan.split:
        yield "The search used another split, so these seeds cannot tell how lucky its best was."
    elif (curse := answer.curse) is not None:
        luck = "; that much of it was luck" if curse.low > 0 else ""
        yield (
            f"The search's value of {literal(answer.luckiest.name)} less its mean over fresh seeds: "
            f"{_estimate(curse)}{luck}."
        )
        if (shared := answer.shared_offset) is not None:
            yield (
                f"Of {literal(answer.baseline.config.name)}, which was not picked for its value, it is "
                f"{shared:+z.4f}: roughly what the search's seed gave to all. The rest, "
                f"{curse.value - shared:+z.4f}, came from picking the best."
            )
    if answer.plan.predicted is not None:
        yield predicted(answer.plan.predicted)
    if answer.noise is not None:
        yield f"Over fresh seeds a value varies by {formatting.score(answer.noise)}."


# -- search ablate ---------------------------------------------------------------------------------


def ablation_blocks(answer: Ablation) -> list[Block]:
    """Which change between two configs made the difference."""
    a, b = literal(answer.a.name), literal(answer.b.name)
    total = TOO_FEW if answer.total is None else _estimate(answer.total)
    return [
        Headline(f"From {a} to {b}, all changes together", "plain", total),
        Table(["change", "seeds", "effect", "95 % interval", ""], list(_effect_rows(answer)), numeric=4),
        *map(Paragraph, _effect_sentences(answer, a)),
        *([] if answer.total is None else image_blocks(answer.over_images)),
    ]


def _effect_rows(answer: Ablation) -> Iterator[Sequence[Cell]]:
    for effect in answer.effects:
        verdict = Marked(effect.verdict, EFFECTS[effect.verdict])
        yield [f"{literal(effect.text)} alone", str(effect.seeds), *_cells(effect.effect, "+"), verdict]
    for pair in answer.pairs:
        one, other = (literal(answer.texts[change]) for change in pair.changes)
        yield [f"{one} and {other}, both", "", *_cells(pair.both, "+"), ""]
        yield ["… beyond the sum of each alone", "", *_cells(pair.interaction, "+"), ""]
    if answer.left is not None:
        yield ["unexplained", "", *_cells(answer.left, "+"), ""]


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


def _margin(answer: Confirmation) -> str:
    return formatting.score(answer.plan.margin)


def _percent(chance: float) -> str:
    """Never certain."""
    if 0.001 < chance < 0.999:
        return formatting.percent(chance, 1)
    return "over 99.9 %" if chance > 0.5 else "under 0.1 %"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:+z.4f}, 95 % interval {formatting.interval(estimate.low, estimate.high)}"


def _cells(estimate: Estimate | None, sign: Literal["+", ""]) -> list[str]:
    if estimate is None:
        return [formatting.DASH, formatting.DASH]
    return [f"{estimate.value:{sign}z.4f}", formatting.interval(estimate.low, estimate.high, sign)]
