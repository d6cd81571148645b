"""The sections about the search as a whole: its trials, what mattered, classes, faces, beliefs."""

from collections import Counter
from pathlib import Path

from search import formatting
from search.analysis.beliefs import BeliefRow, KnownRow, belief_rows, known_rows
from search.analysis.classes import AROUND, LEVEL, ClassRow, class_rows
from search.analysis.noise import Evidence
from search.analysis.pruning_audit import audit, sentences
from search.analysis.training import peak
from search.render.document import Block, Bullets, Figure, Paragraph, Section, Table, code, literal
from search.report import figures
from search.report.examples import example_changes
from search.report.figures import FOLDER
from search.report.material import Material

MOST_PARAMETERS = 12
"""Panels of one picture; a larger space is shown by its most important, or first, parameters."""

MOST_TRIALS = 200

ENDS = {
    "pruned": "ended by the pruner: behind the median, or the best out of reach",
    "early_stop": "stopped by itself: no improvement",
    "diverged": "diverged: its score was no longer a finite number",
    "oom": "ran out of memory",
    "bug": "failed with an error",
}


def searched(material: Material, folder: Path) -> Section:
    """What became of the trials, and where good values lie."""
    snapshot = material.snapshot
    reasons = Counter(r.reason.code for r in material.records if r.reason)
    path = FOLDER / "search.png"
    figures.search(folder / path, material.records, snapshot.direction, snapshot.target)
    blocks: list[Block] = [
        Figure(path, "Value of every trial", "Every trial in the order of the search."),
        Paragraph(
            f"{snapshot.epochs_run} epochs were trained; pruning left out {snapshot.epochs_saved} that its "
            "trials would have had at most."
        ),
    ]
    if reasons:
        ended = [f"{count} {ENDS[reason]}." for reason, count in reasons.most_common()]
        blocks.append(Bullets(ended))
    shown = list(material.spec.space.parameters)
    if material.importance:
        order = [share.name for share in material.importance.shares]
        shown.sort(key=lambda parameter: order.index(parameter.name))
    path = FOLDER / "parameters.png"
    figures.parameters(
        folder / path, shown[:MOST_PARAMETERS], material.complete, material.best.record.number
    )
    caption = "Complete trials over the whole range of each parameter; the best is red. The sampler crowds "
    caption += "where it found good values, so an empty region was tried less, not found to be bad."
    blocks.append(Figure(path, "Value by parameter", caption))
    return Section("The search", blocks)


def pruning(material: Material) -> Section:
    """What ending trials early saved and what it lost."""
    found = audit(material.records, material.snapshot.direction, material.smooth)
    said = [f"{literal(sentence[0].upper() + sentence[1:])}." for sentence in sentences(found)]
    if not said:
        return Section("What pruning saved and lost", [Paragraph("No trial was ended by the pruner.")])
    blocks: list[Block] = [Bullets(said)]
    if found.ranks:
        rows = [[str(rank.epoch), f"{rank.value:+.2f}", str(rank.trials)] for rank in found.ranks]
        head = ["epoch", "rank correlation with the end", "complete trials"]
        blocks.append(Table(head, rows, numeric=3))
    blocks.append(
        Paragraph(
            "Controls are trials that the rule would have ended and that ran on, to show what ending "
            "costs. A false kill is a control that ended better than the median of the other complete "
            "trials; its interval is Wilson's. What a pruned trial itself would have reached is not known. "
            "The rank correlations are of complete trials only: over all configs they are higher."
        )
    )
    return Section("What pruning saved and lost", blocks)


def importances(material: Material, folder: Path) -> Section:
    """How much each parameter matters, with intervals and the level of chance."""
    found = material.importance
    title = "What mattered"
    if found is None:
        said = f"{len(material.complete)} complete trials are too few to estimate importances."
        return Section(title, [Paragraph(said)])
    path = FOLDER / "importance.png"
    figures.importance(folder / path, found)
    rows = [
        [
            code(share.name),
            str(share.trials),
            f"{share.share:.2f}",
            f"{share.low:.2f} to {share.high:.2f}",
            "above chance" if found.stands_out(share) else "within chance",
        ]
        for share in found.shares
    ]
    above = [code(share.name) for share in found.shares if found.stands_out(share)]
    said = (
        f"Above chance: {', '.join(above)}." if above else "No parameter is above chance in these trials."
    )
    beyond = ", which is more than was found" if found.chance > 1 else ""
    return Section(
        title,
        [
            Paragraph(said),
            Figure(path, "Importance of each parameter", "Dots: estimates; bars: 95 % intervals."),
            Table(["parameter", "trials", "share", "95 % interval", ""], rows, numeric=4),
            Paragraph(
                f"By PED-ANOVA over {found.trials} complete trials, with the best {found.top} as the good "
                f"ones; shares add up to 1. Intervals: {found.resamples} resamples of the trials. Chance, "
                f"{found.chance:.2f}{beyond}: what the largest share stays below in 97.5 % of "
                f"{found.shufflings} shufflings of the values over the trials. Pruned trials are not in "
                "it, and the sampler chose where to look."
            ),
        ],
    )


def per_class(material: Material, folder: Path) -> Section:
    """F of every class before and after."""
    title = "Classes"
    if material.baseline is None or material.is_own_baseline:
        return Section(title, [Paragraph("There are no two runs to compare by class.")])
    before, after = material.baseline, material.best
    sides = [(trial.run, peak(trial.run, material.smooth)) for trial in (before, after)]
    rows = class_rows(sides[0], sides[1], after.classes)
    if not rows:
        return Section(title, [Paragraph("Scores by class were not recorded for both runs.")])
    path = FOLDER / "classes.png"
    figures.classes(folder / path, rows, "baseline", "best")
    paid, gained = ([row.name for row in rows if row.verdict == word] for word in ("paid", "gained"))
    return Section(
        title,
        [
            Paragraph(
                f"Lower beyond noise: {_listed(paid)}. Higher beyond noise: {_listed(gained[::-1])}."
            ),
            Figure(
                path, "F by class in the baseline and the best", "Red: lower beyond noise; blue: higher."
            ),
            Table(
                ["class", "baseline", "best", "points", "± of noise", ""], list(map(_class_cells, rows)), 5
            ),
            Paragraph(
                "Means over the epochs of each run's best mean. The noise is one standard error, that of "
                f"epochs, from the differences of neighbouring ones up to {AROUND} epochs around. Beyond "
                f"it is Student's t at {LEVEL:.0%} for all classes together (Bonferroni). Another seed is "
                "not in it."
            ),
        ],
    )


def _class_cells(row: ClassRow) -> list[str]:
    error = formatting.DASH if row.error is None else f"{100 * row.error:.2f}"
    word = {"paid": "lower", "gained": "higher", "": ""}[row.verdict]
    means = formatting.score(row.before), formatting.score(row.after)
    return [literal(row.name), *means, f"{100 * row.difference:+.2f}", error, word]


def _listed(names: list[str]) -> str:
    return ", ".join(map(literal, names)) or "none"


def examples(material: Material, folder: Path) -> Section:
    """The validation examples that changed most, side by side."""
    vocabulary = material.best.run.vocabulary
    one, several = vocabulary.example_words
    title = several.capitalize()
    if material.baseline is None or material.is_own_baseline:
        return Section(title, [Paragraph(f"There are no two runs to compare by {one}.")])
    changes = example_changes(material.baseline.folder, material.best.folder, vocabulary)
    if changes is None:
        where = f" ({code(vocabulary.examples_file)})" if vocabulary.examples_file else ""
        text = f"The two have not kept the same validation {several}{where} on this machine."
        return Section(title, [Paragraph(text)])
    text = (
        f"Of the {changes.count} validation {several} that were kept, {changes.better} have a higher score "
        f"in the best than in the baseline, and {changes.worse} a lower one. Those that changed most, "
        "losses first:"
    )
    blocks: list[Block] = [Paragraph(text)]
    if changes.pairs:
        path = FOLDER / f"{several}.png"
        figures.examples(folder / path, changes.pairs)
        shows = f"The {several} that changed most: image, truth, baseline and best"
        caption = f"With the score of the {one}. Each run is shown at its best epoch."
        blocks.append(Figure(path, shows, caption))
        rows = [
            [literal(pair.name), *map(formatting.score, (pair.before, pair.after))]
            for pair in changes.pairs
        ]
        blocks.append(Table([one, "baseline", "best"], rows, numeric=2))
    return Section(title, blocks)


def beliefs(material: Material) -> Section:
    """A row for every known config and every belief."""
    snapshot, spec = material.snapshot, material.spec
    baseline = material.baseline.record if material.baseline else None
    known = known_rows(spec.known, material.records, baseline, snapshot.direction)
    believed = belief_rows(spec.avoid, material.records, spec.space.constants, snapshot.direction)
    blocks: list[Block] = []
    if known:
        head = ["known config", "trial", "value", "from the baseline", "95 % interval", "verdict"]
        blocks.append(Table(head, [_known_cells(row, baseline is not None) for row in known]))
        blocks.append(
            Paragraph(
                "The difference and its interval are by the best means of up to nine epochs and the "
                "noise of the two runs; one run each, at 1 %."
            )
        )
    if believed:
        head = ["advised against", "such trials", "others", "median", "of others", "better", "p", "verdict"]
        blocks.append(Table(head, list(map(_belief_cells, believed))))
        blocks.append(
            Paragraph(
                "Supported: configs of that kind did worse than the others, by the rank test of Mann "
                "and Whitney (two-sided, p by permutation, adjusted for the number of beliefs after Holm, "
                "5 %). Contradicted: they did better. Better: the share of pairs in which the one that was "
                "advised against is better. Pruned and diverged trials rank last, all alike; medians are "
                "of complete trials. The sampler chose the configs, so other parameters differ along."
            )
        )
    if not blocks:
        blocks.append(Paragraph("The study has neither known configs nor beliefs."))
    return Section("Known configs and beliefs", blocks)


def _known_cells(row: KnownRow, has_baseline: bool) -> list[str]:
    name, record = literal(row.name), row.record
    if record is None:
        return [
            name,
            "not started",
            formatting.DASH,
            formatting.DASH,
            formatting.DASH,
            "undetermined (n = 0)",
        ]
    start = [name, f"{record.number} ({record.state})", formatting.score(record.value)]
    if row.evidence is None:
        is_it = has_baseline and record.value is not None
        return [
            *start,
            formatting.DASH,
            formatting.DASH,
            "the baseline" if is_it else "undetermined (n = 1)",
        ]
    return [*start, *_evidence_cells(row.evidence)]


def _evidence_cells(found: Evidence) -> list[str]:
    if found.difference is None or found.low is None or found.high is None:
        return [formatting.DASH, formatting.DASH, "undetermined (n = 1 each, too short)"]
    word = {"b better": "better", "a better": "worse", "not distinguishable": "not distinguishable"}
    interval = f"{found.low:+.4f} to {found.high:+.4f}"
    return [f"{found.difference:+.4f}", interval, f"{word[found.verdict]} (n = 1 each)"]


def _belief_cells(row: BeliefRow) -> list[str]:
    return [
        f"{literal(row.name)} ({literal(row.says)})",
        str(row.inside),
        str(row.outside),
        formatting.score(row.inside_median),
        formatting.score(row.outside_median),
        formatting.DASH if row.better is None else f"{row.better:.0%}",
        formatting.DASH if row.p is None else f"{row.p:.3f}",
        f"{row.verdict} (n = {row.inside + row.outside})",
    ]


def trials(material: Material) -> Section:
    """A row for every trial."""
    shown = material.records[:MOST_TRIALS]
    rows = [
        [
            str(r.number),
            literal(r.known or ""),
            r.state
            if r.reason is None or r.state == r.reason.code
            else f"{r.state} ({ENDS_SHORT[r.reason.code]})",
            formatting.score(r.value),
            formatting.whole(r.best_epoch),
            str(r.epochs),
        ]
        for r in shown
    ]
    left_out = len(material.records) - len(shown)
    note = f"{left_out} more: `search trials --study {material.study}`." if left_out > 0 else ""
    head = ["trial", "known config", "state", "value", "best epoch", "epochs"]
    return Section("All trials", [Table(head, rows, numeric=3, note=note)])


ENDS_SHORT = {
    "pruned": "by the pruner",
    "early_stop": "stopped early",
    "diverged": "diverged",
    "oom": "out of memory",
    "bug": "error",
}
