"""What stands before the first section: all that a reader who stops there should know."""

from search import formatting
from search.records import StoppedBy
from search.render.document import Block, Bullets, Paragraph, literal
from search.report.comparison import gain_headline
from search.report.report_data import ReportData
from search.report.sections.fresh_seeds import races
from search.report.sections.performance import TOO_FEW, distance_to_target
from search.report.sections.test_split import test_sentences
from search.retraining.answer_blocks import headline


def in_short(data: ReportData) -> list[Block]:
    """How values come about, and the findings in a few sentences."""
    direction = "" if data.snapshot.direction == "maximize" else ", and lower is better"
    mean = f"mean of {data.smooth} consecutive scores" if data.smooth > 1 else "score"
    return [
        Paragraph(
            f"A trial is one training with one config. Its score is {literal(data.best.metric)}, measured "
            f"after every epoch; its value is its best {mean}{direction}. Points are hundredths. "
            "Everything below was computed from what was recorded."
        ),
        Bullets(_findings(data)),
    ]


def _findings(data: ReportData) -> list[str]:
    budget, best = data.snapshot.budget, data.best
    where = " of the first stage" if data.spec.study.stages else ""
    sentences = [headline(race).sentence for race in data.confirmations]
    sentences += races(data)
    sentences += [
        f"{budget.claimed} of {budget.trials} trials{where} were started: {budget.complete} complete, "
        f"{budget.pruned} pruned, {budget.failed} failed, {budget.running} running.",
        *([] if budget.stopped is None else [_stopped(budget.stopped, budget.trials, bool(where))]),
        f"The best{where} is {literal(best.name)} with a value of {formatting.score(best.record.value)}.",
        *_beside_baseline(data),
    ]
    if (distance := distance_to_target(data, best.record.value)) is not None:
        sentences.append(f"Target {formatting.score(data.snapshot.target)}: {distance}.")
    if not data.confirmations:
        sentences.append(
            f"It is one run with one seed, picked as the best of {len(data.complete)} complete trials: how "
            "much of its value is luck, only fresh seeds tell."
        )
    return [*sentences, *test_sentences(data)]


def _stopped(by: StoppedBy, trials: int, staged: bool) -> str:
    """That a result ended the search, or its first stage, and what that means for the numbers."""
    what = "first stage" if staged else "search"
    sentence = f"The {what} was {formatting.stopped(by)}; {trials - by.claimed} trials were not run. "
    if by.rule == "after":
        return f"{sentence}Its best is as likely luck as that of a search of that many trials."
    return (
        f"{sentence}The first value that reaches a target is luckier than the best of that many trials, so "
        "the luck predicted from the curves is too small here. The expected gain does not count trials: it "
        "is shrunken by how much the values vary, and holds for such searches as well."
    )


def _beside_baseline(data: ReportData) -> list[str]:
    best, baseline = data.best.record, data.baseline
    if baseline is None:
        return [data.no_baseline]
    if data.comparison is None:
        return ["It is the baseline itself: no other complete trial has a better value."]
    gain = formatting.gain(best.value, baseline.record.value, data.snapshot.direction) or 0.0
    word = "better than" if gain >= 0 else "worse than"
    return [
        f"That is {formatting.score(abs(gain))} {word} the baseline, {literal(baseline.name)}, with "
        f"{formatting.score(baseline.record.value)}.",
        TOO_FEW if data.gain is None else gain_headline(data.gain, "the baseline").sentence,
    ]
