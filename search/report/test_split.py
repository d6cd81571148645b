"""The section about the test split: what `search report --final` has read of it, and how often."""

from collections.abc import Iterator

from search import formatting
from search.analysis.test_split import Estimate, HeldOut, Read, Scored
from search.render.document import Block, Bullets, Paragraph, Section, Table, code, literal
from search.report.material import Material, Trial

TITLE = "On the test split"
SHOWN = 12  # digits of a file's hash
FROM_ZERO = "an interval that holds no 0 is a paired t test at 5 %"


def held_out(material: Material) -> list[Section]:
    """No section where the test split was never read."""
    found = material.held_out
    if found is None:
        return []
    said = [*on_test(material), *found.problems]
    return [Section(TITLE, [Bullets(said), *_values(material, found), *_classes(found), *_reads(found)])]


def on_test(material: Material) -> list[str]:
    """What the test split says, and how often it was read."""
    found = material.held_out
    if found is None:
        return []
    if found.best is None:
        unread = f"On the test split the present best, {literal(material.best.name)}, was not scored."
        return [unread, found.counted()]
    said = f"On {found.images} test images {literal(material.best.name)} scores {_mean(found.best.mean)}."
    difference = found.difference
    if difference is not None and material.baseline is not None:
        said += (
            f" From the baseline, {literal(material.baseline.name)}, that is {difference.value:+.4f}"
            f"{_interval(difference, '+')}{_verdict(material, found, difference)}."
        )
    return [said, found.counted()]


def _verdict(material: Material, found: HeldOut, difference: Estimate) -> str:
    """What the interval of the difference means; nothing where it could have been picked among several."""
    if difference.low is None or difference.high is None or not found.is_test:
        return ""
    if difference.low <= 0 <= difference.high:
        return ": the two are not told apart by these images"
    better = (difference.value > 0) == (material.snapshot.direction == "maximize")
    word = "better" if better else "worse"
    return f": its weights are {word} on images like these (paired t test at 5 %; of seeds it says nothing)"


def _values(material: Material, found: HeldOut) -> Iterator[Block]:
    scored = {"Baseline": found.baseline, "Best": found.best}
    rows = [_cells(role, trial, scored[role]) for role, trial in material.roles]
    head = ["", "on test", "95 % interval", "on validation", "epoch", "weights"]
    yield Table(head, rows, numeric=5)
    yield Paragraph(
        "The weights are those of the best epoch, named by the beginning of their file's SHA-256; beside "
        "their score on the test images stands that on the validation images, which chose the epoch and "
        "the trial. Intervals are Student's t over the test images, of the difference over differences on "
        f"the same image ({FROM_ZERO}): other images of the same kind are in them, another seed is not. "
        f"The images and labels have the fingerprint {code(found.split)}."
    )


def _cells(role: str, trial: Trial, scored: Scored | None) -> list[str]:
    name = f"{role.lower()}: {literal(trial.name)}"
    record = trial.record
    validated = [formatting.score(record.best_score), formatting.whole(record.best_epoch)]
    if scored is None:
        return [name, "not scored", formatting.DASH, *validated, formatting.DASH]
    mean = scored.mean
    return [name, formatting.score(mean.value), _range(mean), *validated, code(scored.weights[:SHOWN])]


def _classes(found: HeldOut) -> Iterator[Block]:
    """Class by class, the largest loss first; nothing where the objective tells no classes."""
    best, baseline = found.best, found.baseline
    if best is None or not best.per_class:
        return
    if baseline is None or baseline.trial == best.trial:
        rows = [
            [literal(name), str(count), formatting.score(mean)]
            for name, (mean, count) in best.per_class.items()
        ]
        yield Table(["class", "images", "best"], rows, numeric=2)
    else:
        both = [name for name in best.per_class if name in baseline.per_class]
        change = {name: best.per_class[name][0] - baseline.per_class[name][0] for name in both}
        rows = [
            [
                literal(name),
                str(best.per_class[name][1]),
                formatting.score(baseline.per_class[name][0]),
                formatting.score(best.per_class[name][0]),
                f"{100 * change[name]:+.2f}",
            ]
            for name in sorted(both, key=lambda name: change[name])
        ]
        yield Table(["class", "images", "baseline", "best", "difference, points"], rows, numeric=4)
    yield Paragraph("Means over the test images that hold the class. No test stands behind single classes.")


def _reads(found: HeldOut) -> Iterator[Block]:
    """A row for each read; nothing where there was one, which the text above tells."""
    if len(found.reads) == 1 and found.reads[0].ended:
        return
    head = ["read", "begun", "trials", "images and labels", ""]
    yield Table(head, list(map(_read_cells, found.reads)))


def _read_cells(read: Read) -> list[str]:
    trials = ", ".join(map(str, read.trials))
    left = "" if read.ended else "left no result"
    return [str(read.number), read.date, trials, code(read.split), left]


def _mean(found: Estimate) -> str:
    return f"{found.value:.4f}{_interval(found, '')}"


def _interval(found: Estimate, sign: str) -> str:
    if found.low is None or found.high is None:
        return ""
    return f", 95 % interval {found.low:{sign}.4f} to {found.high:{sign}.4f}"


def _range(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return formatting.DASH
    return f"{found.low:.4f} to {found.high:.4f}"
