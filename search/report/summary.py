"""The first sections: what a reader who stops early should know, the figures, and what differs."""

from search import formatting
from search.analysis.comparison import Comparison, compare
from search.analysis.training import Peak, peak
from search.render.document import Block, Bullets, Paragraph, Section, Table, code, literal
from search.report.comparison import changed_settings, equal_settings, reasons, seeds_needed, verdict
from search.report.material import NOT_RECORDED, Material, Trial
from search.report.test_split import on_test
from search.retraining.answers import headline

NAMES = ("The baseline", "The best")
ROLES = ("baseline", "best")

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
        sentence = verdict(comparison.evidence, NAMES).sentence
        caveat = " (One run each; tested at 1 %.)" if comparison.evidence.difference is not None else ""
        said.append(f"{sentence}{caveat}{seeds_needed(comparison.evidence)}")
    if (distance := to_target(material, best.record.value)) is not None:
        said.append(f"Target {formatting.score(snapshot.target)}: {distance}.")
    if material.confirmation is not None:
        said.append(headline(material.confirmation).sentence)
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
    if comparison is not None:
        evidence = comparison.evidence
        count = len(material.complete)
        blocks.append(verdict(evidence, NAMES))
        blocks += map(Paragraph, (*reasons(evidence, NAMES), *map(literal, comparison.notes)))
        if evidence.difference is not None:
            picked = (
                f"that the best was picked out of {count} complete trials; fresh seeds show by how much"
            )
            blocks.append(Paragraph(f"The interval leaves out {picked} that flatters it."))
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
    older = NOT_RECORDED
    if at.older is not None:
        older = f"{formatting.score(at.older)} at epoch {at.older_epoch}"
    return [
        formatting.score(at.value),
        f"{at.first}–{at.last}",
        str(at.epoch),
        formatting.score(at.score),
        NOT_RECORDED if at.train is None else formatting.score(at.train),
        NOT_RECORDED if at.gap is None else f"{at.gap:.2f}",
        NOT_RECORDED if at.lr is None else formatting.rate(at.lr),
        f"{at.epochs}{_ended(trial)}",
        older,
        to_target(material, at.value) or "no target",
    ]


def _ended(trial: Trial) -> str:
    reason = trial.record.reason
    return f" ({reason.code.replace('_', ' ')})" if reason else ""


def changes(material: Material, comparison: Comparison | None) -> Section:
    """What differs between the two configs, and what matters and does not."""
    title = "Key configuration changes"
    if comparison is None:
        params = material.best.record.params
        rows = [[code(name), literal(formatting.parameter(value))] for name, value in params.items()]
        none = Paragraph("There are no two configs to compare. What was searched, in the best trial:")
        return Section(title, [none, Table(["setting", "best"], rows, numeric=1)])
    count = len(comparison.changed)
    blocks: list[Block] = [changed_settings(comparison, ROLES)]
    if not count:
        blocks.append(Paragraph("The two are runs of one config."))
    elif count == 1:
        blocks.append(Paragraph("This setting, noise, or both make the difference in score."))
    else:
        said = f"{count} settings differ at once: two runs cannot tell which of them made a difference."
        blocks.append(Paragraph(said))
    return Section(title, [*blocks, equal_settings(comparison, SHOWN_EQUAL)])
