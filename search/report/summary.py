"""The first sections: what a reader who stops early should know, the figures, and what differs."""

from collections.abc import Iterator

from search import formatting
from search.analysis.comparison import Comparison, compare, what_matters_first
from search.analysis.training import Peak, peak
from search.render.document import Block, Bullets, Paragraph, Section, Table, code, literal
from search.report.material import NOT_RECORDED, Material, Trial
from search.report.test_split import on_test
from search.retraining.answers import answer

SHOWN_EQUAL = 12
"""Settings that did not change and are listed, those first that write-ups like to name."""


def compared(material: Material) -> Comparison | None:
    """The best beside the baseline; None where there is none, or it is the best itself."""
    if material.baseline is None or material.is_own_baseline:
        return None
    return compare(material.baseline.run, material.best.run, ends=material.ends)


def in_short(material: Material, comparison: Comparison | None) -> list[Block]:
    """What a reader who stops here should know."""
    snapshot, best = material.snapshot, material.best
    budget = snapshot.budget
    said = [
        f"{budget.claimed} of {budget.trials} trials were started: {budget.complete} complete, "
        f"{budget.pruned} pruned, {budget.failed} failed, {budget.running} running.",
        f"The best is {literal(best.name)} with a value of {formatting.score(best.record.value)}.",
    ]
    if material.baseline is None:
        said.append(material.no_baseline)
    elif material.is_own_baseline:
        said.append("It is the baseline itself: no other complete trial has a better value.")
    elif comparison is not None:
        base = material.baseline
        better = formatting.gain(best.record.value, base.record.value, snapshot.direction) or 0.0
        word = "better than" if better >= 0 else "worse than"
        said.append(
            f"That is {formatting.score(abs(better))} {word} the baseline, {literal(base.name)}, with "
            f"{formatting.score(base.record.value)}."
        )
        said.append(verdict(comparison))
    if (distance := to_target(material, best.record.value)) is not None:
        said.append(f"Target {formatting.score(snapshot.target)}: {distance}.")
    if material.confirmation is not None:
        said.append(answer(material.confirmation))
    else:
        said.append(
            f"It is one run with one seed, picked as the best of {len(material.complete)} complete trials: "
            "its value is partly luck, and a new seed will most likely score lower."
        )
    said += on_test(material)
    mean = f"mean of {material.smooth} consecutive scores" if material.smooth > 1 else "score"
    return [
        Paragraph(
            f"A trial is one training with one config. Its score is {literal(best.metric)}, measured after "
            f"every epoch; its value is its best {mean}"
            f"{'' if snapshot.direction == 'maximize' else ', and lower is better'}. Points are "
            "hundredths. Everything below was computed from what was recorded."
        ),
        Bullets(said),
    ]


def verdict(comparison: Comparison) -> str:
    """Which of the two is better as far as their own noise tells."""
    found = comparison.evidence
    if found.difference is None or found.low is None or found.high is None:
        return "The runs are too short to know their noise, so nothing is known of that difference."
    called = {
        "a better": "the baseline is better beyond the noise of the two runs",
        "b better": "the best is better beyond the noise of the two runs",
        "not distinguishable": "the two are not distinguishable by these runs",
    }[found.verdict]
    seeds = "" if found.seeds is None else f" To tell takes at least {found.seeds} seeds a side."
    return (
        f"By their best mean of {found.window} epochs the best is {found.difference:+.4f} from the "
        f"baseline, with a 95 % interval of {found.low:+.4f} to {found.high:+.4f}: {called} (one run each; "
        f"the test is at 1 %).{seeds}"
    )


def to_target(material: Material, value: float | None) -> str | None:
    """The distance from the target in words; None where there is none."""
    ahead = formatting.gain(value, material.snapshot.target, material.snapshot.direction)
    if ahead is None:
        return None
    return f"reached, by {formatting.score(ahead)}" if ahead >= 0 else f"{formatting.score(-ahead)} short"


def performance(material: Material, comparison: Comparison | None) -> Section:
    """The best and the baseline, figure by figure."""
    sides = [(trial, peak(trial.run, material.smooth)) for _, trial in material.roles]
    facts = [
        [name.format(smooth=material.smooth), *cells]
        for name, *cells in zip(LABELS, *(_facts(material, *side) for side in sides), strict=True)
    ]
    rows = [row for row in facts if set(row[1:]) != {NOT_RECORDED}]
    unknown = [row[0] for row in facts if row not in rows]
    heads = [f"{role.lower()}: {literal(trial.name)}" for role, trial in material.roles]
    blocks: list[Block] = [Table(["", *heads], rows, numeric=len(sides))]
    blocks += _reasons(material, comparison)
    said = dict.fromkeys(literal(trial.missing) for trial, _ in sides if trial.missing)
    if unknown:
        said[f"Not recorded: {', '.join(unknown)}"] = None
    blocks += [Paragraph(f"{each}.") for each in said]
    return Section("Performance summary", blocks)


LABELS = (
    "value (best mean of {smooth})",
    "its epochs",
    "best single epoch",
    "its score",
    "training score there",
    "gap there, points",
    "learning rate there",
    "epochs trained",
    "best by the older, pooled metric",
    "distance of the value to the target",
)


def _facts(material: Material, trial: Trial, at: Peak) -> list[str]:
    pooled = NOT_RECORDED
    if at.pooled is not None:
        pooled = f"{formatting.score(at.pooled)} at epoch {at.pooled_epoch}"
    return [
        formatting.score(at.value),
        f"{at.first}–{at.last}",
        str(at.epoch),
        formatting.score(at.score),
        NOT_RECORDED if at.train is None else formatting.score(at.train),
        NOT_RECORDED if at.gap is None else f"{at.gap:.2f}",
        NOT_RECORDED if at.lr is None else formatting.rate(at.lr),
        f"{at.epochs}{_ended(trial)}",
        pooled,
        to_target(material, at.value) or "no target",
    ]


def _ended(trial: Trial) -> str:
    reason = trial.record.reason
    return f" ({reason.code.replace('_', ' ')})" if reason else ""


def _reasons(material: Material, comparison: Comparison | None) -> Iterator[Block]:
    if comparison is None:
        return
    yield Paragraph(verdict(comparison))
    a, b = comparison.evidence.a, comparison.evidence.b
    if a and b:
        yield Paragraph(
            f"One epoch's score varies by {formatting.score(a.noise)} (baseline) and "
            f"{formatting.score(b.noise)} (best) around its own trend, as a standard deviation. How much "
            "another seed would change either run is not in the interval, nor that the best was picked out "
            f"of {len(material.complete)} complete trials; fresh seeds tell."
        )
    yield from (Paragraph(note) for note in comparison.notes)


def changes(material: Material, comparison: Comparison | None) -> Section:
    """What differs between the two configs, and what matters and does not."""
    if comparison is None:
        params = material.best.record.params
        rows = [[code(name), literal(formatting.parameter(value))] for name, value in params.items()]
        return Section(
            "Key configuration changes",
            [
                Paragraph("There are no two configs to compare. What was searched, in the best trial:"),
                Table(["setting", "best"], rows, numeric=1),
            ],
        )
    rows = [[code(leaf), *_told_apart(*values)] for leaf, values in comparison.changed.items()]
    count = len(rows)
    said = (
        "One setting differs, so the difference in score is its doing, the noise, or both."
        if count == 1
        else f"{count} settings differ at once: which of them made a difference is not known from two runs."
    )
    first, rest = what_matters_first(comparison.equal)
    shown = [f"{code(leaf)} {literal(formatting.parameter(comparison.equal[leaf]))}" for leaf in first]
    room = max(0, SHOWN_EQUAL - len(shown))
    shown += [
        f"{code(leaf)} {literal(formatting.parameter(comparison.equal[leaf]))}" for leaf in rest[:room]
    ]
    more = len(rest) - room
    equal = ", ".join(shown) + (f", and {more} more" if more > 0 else "")
    blocks: list[Block] = [Table(["setting", "baseline", "best"], rows, numeric=2)] if rows else []
    return Section(
        "Key configuration changes",
        [
            *blocks,
            Paragraph(said if count else "No setting differs: the two are runs of one config."),
            Paragraph(f"The same in both: {equal}."),
        ],
    )


def _told_apart(old: object, new: object) -> tuple[str, str]:
    """Both values with as many digits as it takes."""
    left, right = formatting.parameter(old), formatting.parameter(new)
    return (literal(left), literal(right)) if left != right else (literal(repr(old)), literal(repr(new)))
