"""The section about the test split: what `search report --final` has read of it, and how often."""

from collections.abc import Iterator
from typing import Literal

from search import formatting
from search.analysis.split_scores import ImageMean, SplitRead, SplitScores, TrialScores
from search.render.document import Block, Bullets, Paragraph, Table, code, literal
from search.report.report_data import ReportData, ReportedTrial

SHOWN = 12  # digits of a file's hash

METHOD = (
    "The weights are those of the best epoch, named by the first digits of their file's SHA-256. Beside "
    "their score on the test images stands the one on the validation images, which chose the epoch and "
    "the trial. Intervals are Student's t over the test images; for the difference, over the differences "
    "on the same image (an interval without 0 is a paired t test at 5 %). They cover other images of the "
    "same kind, not another seed."
)


def test_split(data: ReportData) -> Iterator[Block]:
    """Scores, intervals and reads; nothing if the test split was never read."""
    if (test := data.test) is not None:
        yield Bullets([*test_sentences(data), *test.problems])
        yield from (*_scores(data, test), *_classes(test), *_reads(test))


def test_sentences(data: ReportData) -> list[str]:
    """What the test split says, and how often it was read; nothing if it never was."""
    test = data.test
    if test is None:
        return []
    if test.best is None:
        unread = f"On the test split the current best, {literal(data.best.name)}, was not scored."
        return [unread, test.count_sentence()]
    mean = test.best.mean
    sentence = (
        f"On {test.images} test images {literal(data.best.name)} scores "
        f"{mean.value:.4f}{_interval(mean, '')}."
    )
    if words := data.best.run.vocabulary.image_words:
        sentence += f" That is not {literal(data.best.metric)} but the mean over images of the {words}."
    difference = test.difference
    if difference is not None and data.baseline is not None:
        sentence += (
            f" From the baseline, {literal(data.baseline.name)}, that is {difference.value:+.4f}"
            f"{_interval(difference, '+')}{_verdict(data, test, difference)}."
        )
    return [sentence, test.count_sentence()]


def _verdict(data: ReportData, test: SplitScores, difference: ImageMean) -> str:
    """What the interval of the difference means; nothing if it may have been picked among several reads."""
    if difference.low is None or difference.high is None or not test.is_test:
        return ""
    if difference.low <= 0 <= difference.high:
        return ": these images do not tell the two apart"
    better = (difference.value > 0) == (data.snapshot.direction == "maximize")
    word = "better" if better else "worse"
    return (
        f": its weights are {word} on images like these (paired t test at 5 %; it says nothing about seeds)"
    )


def _scores(data: ReportData, test: SplitScores) -> Iterator[Block]:
    scored = {"Baseline": test.baseline, "Best": test.best}
    rows = [_score_cells(role, trial, scored[role]) for role, trial in data.roles]
    head = ["", "on test", "95 % interval", "on validation", "epoch", "weights"]
    yield Table(head, rows, numeric=5)
    yield Paragraph(f"{METHOD} The images and labels have the fingerprint {code(test.split)}.")


def _score_cells(role: str, trial: ReportedTrial, scores: TrialScores | None) -> list[str]:
    name, record = f"{role.lower()}: {literal(trial.name)}", trial.record
    validated = [formatting.score(record.best_score), formatting.whole(record.best_epoch)]
    if scores is None:
        return [name, "not scored", formatting.DASH, *validated, formatting.DASH]
    mean = scores.mean
    interval = formatting.DASH
    if mean.low is not None and mean.high is not None:
        interval = formatting.interval(mean.low, mean.high, "")
    return [name, formatting.score(mean.value), interval, *validated, code(scores.weights[:SHOWN])]


def _classes(test: SplitScores) -> Iterator[Block]:
    """Class by class, the largest loss first; nothing if the objective reports no classes."""
    best, baseline = test.best, test.baseline
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
    yield Paragraph("Means over the test images that contain the class. Single classes are not tested.")


def _reads(test: SplitScores) -> Iterator[Block]:
    """A row for each read; nothing for a single one, which the text above describes."""
    if len(test.reads) == 1 and test.reads[0].ended:
        return
    head = ["read", "begun", "trials", "images and labels", ""]
    yield Table(head, list(map(_read_cells, test.reads)))


def _read_cells(read: SplitRead) -> list[str]:
    trials = ", ".join(map(str, read.trials))
    result = "" if read.ended else "left no result"
    return [str(read.number), read.date, trials, code(read.split), result]


def _interval(mean: ImageMean, sign: Literal["+", ""]) -> str:
    if mean.low is None or mean.high is None:
        return ""
    return f", 95 % interval {formatting.interval(mean.low, mean.high, sign)}"
