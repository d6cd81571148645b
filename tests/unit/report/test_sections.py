"""What the sections of a report say, and when: each sentence in its case, and not in the other."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snapshots import EMPTY, RECORD

from search.analysis.expected_gain import ExpectedGain
from search.analysis.importance import Importance, Share
from search.analysis.interval import Interval
from search.analysis.noise import Evidence, compare
from search.analysis.promotion import PromotedConfig, Promotion, StageCorrelation, promotion
from search.analysis.split_scores import SplitRead, SplitScores, TrialScores
from search.loading import STOCK, vocabulary_of
from search.recorded_run import RecordedRun
from search.records import Reason, StoppedBy
from search.render import markdown
from search.render.document import Block, Document
from search.report.collect import baseline_of
from search.report.comparison import gain_headline, reasons, verdict
from search.report.report_data import ReportData, ReportedTrial
from search.report.sections.all_trials import all_trials
from search.report.sections.beliefs import beliefs
from search.report.sections.classes import classes
from search.report.sections.config_changes import config_changes
from search.report.sections.degradation import degradation
from search.report.sections.examples import examples
from search.report.sections.gap import gap
from search.report.sections.importance import importance
from search.report.sections.in_short import in_short
from search.report.sections.next_steps import next_steps
from search.report.sections.pruning import pruning
from search.report.sections.search_history import search_history
from search.report.sections.stages import stages
from search.report.sections.test_split import test_sentences as split_sentences
from search.retraining.stage_blocks import promotion_sentences
from search.spec.settings import ReportSettings
from search.spec.spec import load_spec, stock_space
from search.spec.stages import SearchStage
from search.study.plan import Prediction

SPEC = load_spec(stock_space(), profile="quick")
CURVE = [0.30, 0.45, 0.55, 0.60, 0.62, 0.63, 0.64, 0.65, 0.64, 0.65]


def reported(number: int, leaves: dict[str, Any], columns: Any = None, **changes: Any) -> ReportedTrial:
    record = replace(RECORD, number=number, curve=CURVE, epochs=len(CURVE), **changes)
    run = RecordedRun(name=f"trial {number}", leaves=leaves, scores=CURVE, columns=columns or {})
    folder = Path("nowhere") / f"trial-{number:04d}"
    return ReportedTrial(record=record, run=run, folder=folder, metric="val F", provenance={})


def data_of(**changes: Any) -> ReportData:
    """A study of three complete trials; the best is 2, the baseline 0."""
    baseline = reported(0, {"lr": 0.1}, value=0.60, known="hand-tuned best")
    best = reported(2, {"lr": 0.2}, value=0.65)
    records = [baseline.record, replace(RECORD, number=1, value=0.61, curve=CURVE), best.record]
    snapshot = replace(EMPTY, smooth=3, best=best.record, best_known=baseline.record)
    parts = {"snapshot": snapshot, "records": records, "blind": [], "spec": SPEC, "fingerprint": {}}
    return ReportData(**{**parts, "best": best, "baseline": baseline, **changes})


def said(section: Iterable[Block]) -> str:
    return markdown.render(Document("", list(section)))


def test_what_differs_besides_the_settings_is_warned_of() -> None:
    data = data_of()
    one = said(config_changes(data))
    assert "comes from this setting, from noise, or from both" in one
    assert "Which version of the code trained them was not recorded for both" in one
    known = {"code": "0.1.0 abc", "torch": "2.13.0"}
    alike = {side: replace(getattr(data, side), provenance=known) for side in ("baseline", "best")}
    text = said(config_changes(replace(data, **alike)))
    assert "was not recorded" not in text and "differs, too" not in text
    later = replace(alike["best"], provenance={**known, "code": "0.1.0 def"})
    text = said(config_changes(replace(data, **alike | {"best": later})))
    assert "How they were trained differs, too: `code`; the values are below." in text


def test_how_many_settings_differ_decides_what_is_said_of_them() -> None:
    same = replace(data_of(), best=reported(2, {"lr": 0.1}))
    assert "The two are runs of one config." in said(config_changes(same))
    two = replace(data_of(), best=reported(2, {"lr": 0.2, "wd": 0.1}))
    text = said(config_changes(two))
    assert "2 settings differ at once: two runs cannot tell which of them made a difference." in text


def test_without_a_second_run_nothing_is_compared() -> None:
    for alone in (data_of(baseline=None), data_of(baseline=data_of().best)):
        assert "There are no two configs to compare." in said(config_changes(alone))
        assert "There are no two runs to compare by class." in said(classes(alone))
        assert "There are no two runs to compare by image." in said(examples(alone))
    text = said(examples(data_of()))
    assert "have not kept the same validation images" in text


def test_the_first_lines_say_how_the_best_was_picked_and_what_is_missing() -> None:
    text = markdown.render(Document("", in_short(data_of()), []))
    assert "its value is its best mean of 3 consecutive scores. Points are" in text
    assert "4 of 10 trials were started: 2 complete, 1 pruned, 0 failed, 1 running." in text
    assert "The best is trial 2 with a value of 0.6500." in text
    assert "That is 0.0500 better than the baseline, trial 0, with 0.6000." in text
    assert "one seed, picked as the best of 3 complete trials" in text and "Target" not in text
    data = data_of(baseline=None, no_baseline="There is none.")
    turned = replace(data, snapshot=replace(data.snapshot, direction="minimize", target=0.6))
    text = markdown.render(Document("", in_short(turned), []))
    assert ", and lower is better. Points" in text and "There is none." in text
    assert "Target 0.6000: 0.0500 short." in text


def test_what_ended_a_search_early_is_said_and_what_it_means() -> None:
    def told(by: StoppedBy, **study: Any) -> str:
        data = data_of(spec=replace(SPEC, study=replace(SPEC.study, **study)))
        budget = replace(data.snapshot.budget, stopped=by)
        data = replace(data, snapshot=replace(data.snapshot, budget=budget))
        return markdown.render(Document("", in_short(data), []))

    text = told(StoppedBy("target", 0.64, 2, 0.65, 4))
    assert "The search was stopped by its rule: trial 2 has 0.6500, and 0.64 was the target; 6 tr" in text
    assert "luckier than the best of that many trials" in text and "stage" not in text
    text = told(StoppedBy("after", 3, 2, 0.65, 4), stages=(SearchStage(trials=10), SearchStage(keep=2)))
    assert "4 of 10 trials of the first stage were started" in text
    assert "The first stage was stopped by its rule: 3 trials in a row" in text
    assert "Its best is as likely luck" in text and "The best of the first stage is trial 2" in text


def test_scores_by_class_are_called_what_they_are_whatever_the_study_is_scored_by() -> None:
    def by_class(score: float) -> RecordedRun:
        columns = {"val_f_per_class": [[score, 0.5]] * len(CURVE)}
        return RecordedRun(
            name="run",
            leaves={},
            scores=CURVE,
            columns=columns,
            vocabulary=vocabulary_of(STOCK, "val_miou"),
        )

    one, other = (replace(reported(number, {}), run=by_class(0.1 * number)) for number in (2, 3))
    text = said(classes(data_of(baseline=one, best=other)))
    assert "F by class in the baseline and the best" in text and "Each F is a mean over the epochs" in text


def test_a_rate_that_moves_with_the_epochs_is_called_confounded() -> None:
    def told(rates: list[float]) -> str:
        columns = {"train_f_score": [0.7] * len(CURVE), "lr": rates}
        return said(gap(data_of(baseline=None, best=reported(2, {}, columns))))

    falling = [1.0 / epoch for epoch in range(1, 11)]
    assert "learning rate and epoch -1.00. The two are confounded: this run cannot tell" in told(falling)
    apart = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5, 0.45]
    assert "The two are partly confounded: the gap may follow either." in told(apart)
    assert "the learning rate never changed, so nothing can be said" in told([0.1] * 10)
    assert "a dot per epoch" in told(apart)
    one = data_of(best=reported(2, {}, {"train_f_score": [0.7] * len(CURVE), "lr": apart}))
    assert "Baseline: the columns for it were not recorded." in said(gap(one))


def test_importances_are_named_only_above_chance() -> None:
    shares = [Share("lr", 0.7, 0.5, 0.9, 40), Share("wd", 0.3, 0.1, 0.5, 40)]
    found = Importance(shares, trials=40, top=14, chance=0.6, resamples=200, shufflings=200)
    text = said(importance(data_of(importance=found)))
    assert "Above chance: `lr`." in text and "of which the best 14 count as good" in text
    none = replace(found, chance=0.8)
    assert "No parameter is above chance" in said(importance(data_of(importance=none)))
    beyond = said(importance(data_of(importance=replace(found, chance=1.2))))
    assert "Level of chance, 1.20, which is more than was found: " in beyond
    assert "3 complete trials are too few" in said(importance(data_of()))


def test_why_trials_ended_early_is_counted() -> None:
    codes = ["pruned", "pruned", "objective", "early_stop", "diverged", "oom", "bug"]
    ended = [replace(RECORD, number=n, reason=Reason(code, "", 3)) for n, code in enumerate(codes, 3)]
    data = data_of(records=[*data_of().records, *ended])
    text = said(search_history(data))
    assert "2 ended by the pruner: " in text
    for word in (
        "ended by the objective",
        "stopped early by themselves",
        "diverged: the",
        "ran out of memory",
        "failed with an error",
    ):
        assert f"1 {word}" in text
    assert "40 epochs were trained; pruning saved at most 12." in text
    assert "No trial was ended by the pruner." in said(pruning(data_of()))
    many = data_of(records=[replace(RECORD, number=n) for n in range(203)])
    assert "3 more: `search trials --study mseg`." in said(all_trials(many))


def test_stages_of_a_training_are_by_rule_or_as_asked() -> None:
    assert "the mean of 5 scores first reaches 85 % of its best" in said(stages(data_of()))
    asked = said(stages(data_of(ends=(1, 2, 3, 4))))
    assert "Stages end after epochs 1, 2, 3, 4, as requested." in asked
    stored = replace(SPEC, report=ReportSettings(stages=(1, 2, 3, 4)))
    text = said(stages(data_of(ends=(1, 2, 3, 4), spec=stored)))
    assert "as the study's report.stages says" in text
    losses = RecordedRun(name="loss", leaves={}, scores=CURVE, direction="minimize")
    lower = replace(data_of().best, run=losses)
    assert "Stages are defined for scores above zero where higher is better" in said(
        stages(data_of(best=lower, baseline=None))
    )
    short = replace(data_of().best, run=replace(lower.run, scores=CURVE[:4], direction="maximize"))
    assert "too short to know" in said(degradation(data_of(best=short)))


def test_a_known_config_has_a_verdict_only_with_its_noise() -> None:
    names = [each.name for each in SPEC.known]
    short = replace(RECORD, number=1, known=names[1], curve=[0.5, 0.6], value=0.6)
    alone = replace(RECORD, number=5, known=names[2], state="failed", value=None, curve=[None])
    data = data_of(records=[replace(data_of().records[0], known=names[0]), short, alone])
    text = said(beliefs(data))
    assert "the baseline" in text and "undetermined (n = 1 each, too short)" in text
    assert "undetermined (n = 1)" in text and "not started" in text and "undetermined (n = 0)" in text
    assert "Tested on the 0 of 3 trials" in text and "No test holds for the others" in text
    blind = replace(data, blind=data.records)
    assert "No test holds for the others" not in said(beliefs(blind))
    nothing = replace(data, spec=replace(SPEC, known=(), avoid=()))
    assert "neither known configs nor beliefs" in said(beliefs(nothing))


def test_two_runs_are_told_apart_beyond_their_noise_and_too_short_ones_never() -> None:
    names = ("Baseline", "Best")
    low = [0.5 + 0.01 * (epoch % 3) for epoch in range(60)]
    better = compare(low, [score + 0.2 for score in low])
    assert verdict(better, names).text == "Best is better"
    assert verdict(compare([score + 0.2 for score in low], low), names).text == "Baseline is better"
    alike = compare(low, low)
    assert verdict(alike, names).text == "Not distinguishable by these runs"
    assert "too short to know their noise" in verdict(compare(low[:4], low[:4]), names).sentence
    assert not list(reasons(compare(low[:4], low[:4]), names))
    noise, seeds = reasons(better, names)
    assert noise.startswith("By the best mean of 9 epochs.") and seeds.startswith("One run each")
    between = Evidence(9, better.a, better.b, Interval(0.02, 0.001, 0.039), "not distinguishable", None)
    assert any(
        "a run is declared better only where that happens in 1 of 100" in r for r in reasons(between, names)
    )
    assert len(list(reasons(alike, names))) == 2


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.01, 0.05, "The best is better than the baseline"),
        (-0.05, -0.01, "The best is worse than the baseline"),
        (-0.01, 0.05, "The best is not told apart from the baseline"),
    ],
)
def test_a_gain_is_called_where_its_interval_lacks_zero(low: float, high: float, text: str) -> None:
    told = gain_headline(
        ExpectedGain(value=(low + high) / 2, low=low, high=high, noise=0.004, trials=20), "the baseline"
    ).sentence
    assert told.startswith(f"{text} once the luck of the best of 20 trials is taken off")
    assert f"is expected with other seeds, 95 % interval {low:+.4f} to {high:+.4f}" in told


def test_a_stage_is_judged_by_its_controls_and_the_order() -> None:
    def told(controls: list[float], rho: StageCorrelation | None = None) -> list[str]:
        rows: list[Any] = [("kept", 0.6, 0.7), ("kept", 0.5, 0.6)]
        rows += [("control", 0.4, after) for after in controls]
        configs = [
            PromotedConfig(name=f"trial {n}", number=n, group=group, before=before, after=after)
            for n, (group, before, after) in enumerate(rows, 1)
        ]
        found: Promotion = replace(promotion(configs, 9, "maximize"), correlation=rho)
        return list(promotion_sentences(found, 1))

    same, controls, verdict = told([0.5, 0.4])
    assert same.startswith("Had the search ended at stage 1, it would have chosen the same: trial 1")
    assert (
        "2 of the 9 configs that stage 1 left behind went on as controls: none of them is better"
        in controls
    )
    assert "0.2000 behind the best that was kept" in controls
    assert verdict.startswith("Too little was trained in both stages")
    carried = StageCorrelation(0.9, 0.6, 0.97, 20)
    order, _, _, verdict = told([0.5], carried)
    assert order.startswith("Rank correlation between stage 1 and stage 2: 0.90") and "20 configs" in order
    assert verdict.startswith("Nothing speaks against stage 1")
    other, controls, verdict = told([0.8, 0.4])
    assert "it would have chosen trial 1 (0.7000) at stage 2; the best there is trial 3" in other
    assert "1 of them is better" in controls and "0.1000 ahead of" in controls
    assert verdict.startswith("Stage 1 left behind a config that is ahead, in one run with one seed.")
    assert len(told([])) == 1, "without controls there is no verdict"


def test_what_to_try_next_follows_from_what_was_done() -> None:
    text = said(next_steps(data_of(predicted=Prediction(curse=0.004, noise=0.005, trials=20))))
    assert (
        "Finish the search. 1" not in text and "Finish the search. 3 of its 10 trials are finished." in text
    )
    assert "Retrain the best on fresh seeds, together with the baseline." in text
    assert "0.0040 of the best value is expected to be luck." in text
    assert "Use the best trial" in text and "Find out which change" not in text, "one parameter differs"


def test_why_there_is_no_baseline_is_said() -> None:
    study: Any = SimpleNamespace(spec=SPEC)
    name = SPEC.known[0].name
    started = replace(RECORD, known=name, state="pruned", value=None)
    assert baseline_of(study, [replace(RECORD, known=name)], None)[1] == ""
    assert "cannot be the baseline: has not been started." in baseline_of(study, [], None)[1]
    assert "cannot be the baseline: pruned, without a score." in baseline_of(study, [started], None)[1]
    nobody: Any = SimpleNamespace(spec=replace(SPEC, known=()))
    assert "The study has no known config" in baseline_of(nobody, [started], None)[1]


def test_a_score_of_images_is_told_from_the_score_of_the_set() -> None:
    scores = TrialScores(trial=2, weights="ab", scores=[0.5, 0.7], per_class={}, read=1, device="cpu")
    read = SplitRead(number=1, begun=0.0, host="here", split="x", trials=[2], ended=True)
    test = SplitScores(
        reads=[read], elsewhere=0, split="x", images=2, problems=[], best=scores, baseline=None
    )
    best = data_of().best
    assert "That is not" not in split_sentences(data_of(test=test))[0]
    words = replace(best.run.vocabulary, image_words="IoU of each image")
    other = replace(best, run=replace(best.run, vocabulary=words))
    told = split_sentences(data_of(test=test, best=other))[0]
    assert told.startswith("On 2 test images trial 2 scores 0.6000, 95 % interval ")
    assert told.endswith("That is not val F but the mean over images of the IoU of each image.")
    assert "was not scored" in split_sentences(data_of(test=replace(test, best=None)))[0]
