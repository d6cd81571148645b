"""The median rule: its parts one by one, against a plain reference, and on simulated studies."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from search.document.options import complaint, options_of
from search.loading import vocabulary_of
from search.objective import CurveShape, Params
from search.pruners import thresholds
from search.pruners.learning_curve import Curve
from search.pruners.median import MedianPruner
from search.pruners.median_rule import CurveTable, MedianSettings, in_control
from search.pruners.pruner import Decision
from search.scoring import Direction

PLAIN = MedianSettings(startup_trials=3, epochs=1, patience=1, margin=0.0, control=0.0, smooth=1)
"""Nothing but the comparison itself, for tests to add to."""


def decide(
    curve: Curve, others: Iterable[Curve], settings: MedianSettings, direction: Direction = "maximize"
) -> Decision:
    """The decision at the last epoch of `curve`, with the scores that the others have so far."""
    table = CurveTable(settings, direction)
    for each in (*others, curve):
        table.add(each)
    return table.decide(curve.number, len(curve.scores))


def flat(number: int, level: float, epochs: int = 10, **about: object) -> Curve:
    return Curve(number=number, scores=[level] * epochs, **about)  # type: ignore[arg-type]


OTHERS = [flat(1, 0.1), flat(2, 0.2), flat(3, 0.3)]


# The rule, part by part


@pytest.mark.parametrize(("level", "prune"), [(0.19, True), (0.2, False), (0.21, False)])
def test_a_trial_below_the_median_of_the_others_is_pruned(level: float, prune: bool) -> None:
    decision = decide(flat(0, level, 4), OTHERS, PLAIN)
    assert decision.prune is prune
    assert (decision.value, decision.bar, decision.peers, decision.epoch) == (level, 0.2, 3, 4)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    assert decide(flat(0, 0.2, 4), [*OTHERS, flat(4, 0.4)], PLAIN).bar == pytest.approx(0.25)


def test_minimizing_reverses_the_comparison() -> None:
    decision = decide(flat(0, 0.21, 4), OTHERS, PLAIN, "minimize")
    assert decision.prune
    assert (decision.value, decision.bar) == (0.21, 0.2)
    assert "0.21 above the median 0.2 of 3 trials" in decision.text
    assert not decide(flat(0, 0.19, 4), OTHERS, PLAIN, "minimize").prune


def test_ended_trials_count_up_to_their_last_epoch() -> None:
    others = [flat(1, 0.1, 4), flat(2, 0.2, 4), flat(3, 0.3), flat(4, 0.4), flat(5, 0.5)]
    assert decide(flat(0, 0.25, 4), others, PLAIN).bar == pytest.approx(0.3)
    assert decide(flat(0, 0.25, 5), others, PLAIN).bar == pytest.approx(0.4)


def test_no_trial_is_pruned_before_enough_others_reached_its_epoch() -> None:
    others = [*OTHERS[:2], flat(3, 0.3, 5)]
    assert decide(flat(0, 0.0, 5), others, PLAIN).prune
    late = decide(flat(0, 0.0, 6), others, PLAIN)
    assert not late.prune
    assert late.bar is None


def test_the_mean_of_the_last_scores_is_compared_and_not_the_best() -> None:
    settings = replace(PLAIN, smooth=2)
    collapsed = Curve(number=0, scores=[0.9, 0.9, 0.9, 0.1, 0.2])
    decision = decide(collapsed, [*OTHERS, flat(4, 0.95)], settings)
    assert decision.value == pytest.approx(0.15)
    assert decision.prune


def test_the_trial_with_the_best_mean_so_far_runs_to_its_end() -> None:
    """Ended, it could not be chosen."""
    settings = replace(PLAIN, smooth=2)
    fallen = Curve(number=0, scores=[0.9, 0.9, 0.9, 0.1, 0.2])
    decision = decide(fallen, OTHERS, settings)
    assert not decision.prune
    assert decision.text.endswith("but has the best mean so far")
    assert decide(fallen, [*OTHERS, flat(4, 0.91, 2)], settings).prune


def test_trials_are_compared_by_epochs_since_their_warm_up() -> None:
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    others = [Curve(number=n, scores=rising) for n in (1, 2, 3)]
    delayed = Curve(number=0, scores=[0.0, 0.0, 0.0, 0.1, 0.2, 0.3], delay=3)
    decision = decide(delayed, others, PLAIN)
    assert not decision.prune
    assert decision.value == decision.bar == 0.3
    assert decide(replace(delayed, delay=0), others, PLAIN).prune
    assert not decide(replace(delayed, scores=[0.0] * 3), others, PLAIN).prune  # still in it


def test_warm_up_scores_are_left_out_of_the_mean() -> None:
    curve = Curve(number=0, scores=[0.0, 0.0, 0.4, 0.6], delay=2)
    assert decide(curve, OTHERS, replace(PLAIN, smooth=5)).value == pytest.approx(0.5)


@pytest.mark.parametrize("warmup", [0, 2])
def test_no_trial_is_pruned_during_the_grace_after_its_warm_up(warmup: int) -> None:
    settings = replace(PLAIN, epochs=3)
    pruned = [decide(flat(0, 0.0, epochs, delay=warmup), OTHERS, settings).prune for epochs in range(1, 8)]
    assert pruned == [epoch >= warmup + 3 for epoch in range(1, 8)]


@pytest.mark.parametrize(("horizon", "grace"), [(None, 5), (8, 2), (30, 3), (200, 20)])
def test_the_grace_is_a_tenth_of_the_horizon(horizon: int | None, grace: int) -> None:
    assert MedianSettings(patience=2).grace(horizon) == grace
    assert MedianSettings(epochs=7).grace(horizon) == 7


def test_a_trial_is_not_pruned_at_its_last_epoch() -> None:
    assert decide(flat(0, 0.0, 7, horizon=8), OTHERS, PLAIN).prune
    assert not decide(flat(0, 0.0, 8, horizon=8), OTHERS, PLAIN).prune


def test_patience_counts_consecutive_epochs_below_the_median() -> None:
    settings = replace(PLAIN, patience=2)
    once = decide(Curve(number=0, scores=[0.25, 0.0]), OTHERS, settings)
    assert not once.prune
    assert "first time" in once.text
    assert not decide(Curve(number=0, scores=[0.0, 0.25, 0.0]), OTHERS, settings).prune
    twice = decide(Curve(number=0, scores=[0.25, 0.0, 0.0]), OTHERS, settings)
    assert twice.prune
    assert "second time" in twice.text


def test_noise_is_measured_on_the_curves_and_not_on_their_slope() -> None:
    rng = np.random.default_rng(0)
    table = CurveTable(PLAIN)
    assert table.thresholds.noise() == 0.0
    epochs = np.arange(1, 31)
    for number in range(10):
        scores = 0.7 * (1 - np.exp(-epochs / 4)) + rng.normal(0, 0.01, 30)
        scores[20:] -= 0.5 * (number == 0)  # one of them collapses
        table.add(Curve(number=number, scores=scores.tolist()))
    assert table.thresholds.noise() == pytest.approx(0.01, rel=0.2)


def test_the_margin_is_in_standard_deviations_of_the_mean_compared() -> None:
    rng = np.random.default_rng(1)
    settings = replace(PLAIN, smooth=4, margin=2.0)
    noisy = rng.normal(0.5, 0.02, (7, 60))
    noisy[:, :4] = 0.5  # level at first: nobody seems to catch up
    others = [Curve(number=n, scores=scores.tolist()) for n, scores in enumerate(noisy, start=1)]
    fourth = decide(Curve(number=0, scores=[0.2] * 4), others, settings)
    second = decide(Curve(number=0, scores=[0.2] * 2), others, settings)
    assert fourth.margin == pytest.approx(2.0 * 0.02 / 2, rel=0.2)
    assert second.margin == pytest.approx(fourth.margin * math.sqrt(2), rel=0.05)
    close = fourth.bar - 0.5 * fourth.margin
    assert not decide(Curve(number=0, scores=[close] * 4), others, settings).prune
    far = fourth.bar - 1.5 * fourth.margin
    assert decide(Curve(number=0, scores=[far] * 4), others, settings).prune


def test_a_trial_is_pruned_only_if_also_below_the_median_of_its_kind() -> None:
    others = [
        *(flat(n, 0.5, kind="constant") for n in range(1, 6)),
        *(flat(n, 0.2, kind="cosine") for n in (6, 7)),
    ]
    assert not decide(flat(0, 0.21, kind="cosine"), others, PLAIN).prune
    below_both = decide(flat(0, 0.19, kind="cosine"), others, PLAIN)
    assert below_both.prune
    assert below_both.bar == 0.2
    assert "the median 0.5 of 7 trials (0.2 of the 2 cosine)" in below_both.text
    assert not decide(flat(0, 0.0, kind="one_cycle"), others, PLAIN).prune  # the first of its kind
    assert not decide(flat(0, 0.0, kind="cosine"), others[:-1], PLAIN).prune  # the second
    assert decide(flat(0, 0.49, kind="constant"), others, PLAIN).bar == 0.5


def test_missing_scores_are_left_out() -> None:
    settings = replace(PLAIN, smooth=3)
    curve = Curve(number=0, scores=[0.3, math.nan, 0.1])
    assert decide(curve, OTHERS, settings).value == pytest.approx(0.2)
    assert not decide(Curve(number=0, scores=[math.nan] * 4), OTHERS, settings).prune
    gone = Curve(number=4, scores=[0.9, math.inf, -math.inf, math.nan, math.nan])
    assert decide(flat(0, 0.1, 5), [*OTHERS, gone], settings).peers == 3


def test_skipped_epochs_are_missing_and_repeated_ones_keep_their_first_score() -> None:
    table = CurveTable(replace(PLAIN, smooth=3))
    for other in OTHERS:
        table.add(other)
    table.add(Curve(number=0))
    for epoch, score in [(1, 0.1), (3, 0.3), (3, 0.9), (1, 0.9)]:
        table.update(0, epoch, score)
    assert table.decide(0, 3).value == pytest.approx(0.2)


def test_no_trial_is_pruned_by_an_epoch_that_was_not_read_yet() -> None:
    table = CurveTable(PLAIN)
    for other in OTHERS:
        table.add(other)
    assert not table.decide(0, 3).prune
    table.add(flat(0, 0.0, 3))
    assert table.decide(0, 3).prune
    assert not table.decide(0, 4).prune


def test_a_decision_is_explained_in_one_sentence() -> None:
    settings = replace(PLAIN, patience=2, startup_trials=5, smooth=5)
    others = [flat(n, 0.437, 31) for n in range(1, 19)]
    text = decide(flat(0, 0.412, 31), others, settings).text
    assert text == "epoch 31: 0.412 below the median 0.437 of 18 trials, second time, margin 0"


def rising(number: int, pace: float, level: float, **about: object) -> Curve:
    epochs = np.arange(1, 41)
    return Curve(number=number, scores=(level * (1 - np.exp(-epochs / pace))).tolist(), **about)  # type: ignore[arg-type]


def test_a_slow_starter_that_catches_up_runs_on() -> None:
    """Behind until epoch 24, and the best in the end."""
    settings = replace(PLAIN, epochs=10)
    others = [rising(n, 4, 0.6 + n / 100) for n in (1, 2, 3)]
    slow = rising(0, 12, 0.75)
    ends = [decide(replace(slow, scores=slow.scores[:epochs]), others, settings) for epochs in range(1, 41)]
    assert not any(decision.prune for decision in ends)
    assert ends[14].value < ends[14].bar
    assert ends[14].text.endswith("but catching up")
    assert ends[-1].value > max(other.scores[-1] for other in others)
    # One that is as far behind and does not come closer is ended.
    flat_out = rising(0, 4, 0.55)
    assert decide(replace(flat_out, scores=flat_out.scores[:15]), others, settings).prune


def test_a_trial_above_the_median_is_pruned_if_the_best_is_out_of_reach() -> None:
    settings = replace(PLAIN, epochs=4)
    levels = [0.3, 0.35, 0.4, 0.42, 0.45, 0.5, 0.55, 0.9]
    others = [rising(n, 5, level, horizon=40) for n, level in enumerate(levels, start=1)]
    middling = rising(0, 5, 0.8, horizon=40)
    cut = [
        decide(replace(middling, scores=middling.scores[:epochs]), others, settings) for epochs in (4, 20)
    ]
    assert not cut[0].prune, "what the others gained from epoch 4 on may do"
    assert cut[1].prune
    assert cut[1].value > 0.45
    assert "against the median 0.427 of 8 trials; the best, 0.8997, is out of reach" in cut[1].text
    # Seven whole trials are too few; so are eight that differ: one gained much from there on.
    young = [*others[:-2], replace(others[-2], scores=others[-2].scores[:39]), others[-1]]
    assert not decide(replace(middling, scores=middling.scores[:20]), young, settings).prune
    late = replace(others[0], scores=[*others[0].scores[:20], *[0.9] * 20])
    assert not decide(replace(middling, scores=middling.scores[:20]), [late, *others[1:]], settings).prune


# Warm restarts


def test_warm_restarts_begin_cycles_of_growing_length() -> None:
    shape = vocabulary_of().curve
    names = ("schedule.warmup_epochs", "schedule.restart_epochs", "schedule.restart_factor")
    doubling, equal = (
        iter(shape(dict(zip(names, values, strict=True))).restarts) for values in [(5, 20, 2), (0, 30, 1)]
    )
    assert [next(doubling) for _ in range(3)] == [26, 66, 146]
    assert [next(equal) for _ in range(3)] == [31, 61, 91]


def test_after_a_restart_a_trial_counts_with_its_mean_from_before() -> None:
    settings = replace(PLAIN, smooth=2, epochs=2)
    climb, dip = [0.2, 0.4, 0.6, 0.8], [0.1, 0.2, 0.3, 0.4]
    others = [Curve(number=n, scores=[0.15, 0.35, 0.55, 0.65, 0.66, 0.66, 0.67, 0.67]) for n in (1, 2, 3)]
    others.append(flat(4, 0.95))
    restarting = Curve(number=0, scores=climb + dip, restarts=[5])
    for epochs in range(5, 9):
        decision = decide(replace(restarting, scores=restarting.scores[:epochs]), others, settings)
        assert not decision.prune
        assert decision.value == pytest.approx(0.7)
    assert decide(replace(restarting, restarts=()), others, settings).prune
    recovered = replace(restarting, scores=[*climb, 0.1, 0.2, 0.9, 0.9])
    assert decide(recovered, others, settings).value == pytest.approx(0.9)


def test_no_trial_is_pruned_right_after_a_restart() -> None:
    settings = replace(PLAIN, epochs=3)
    hopeless = Curve(number=0, scores=[0.0] * 10, restarts=[5])
    pruned = [
        decide(replace(hopeless, scores=hopeless.scores[:epochs]), OTHERS, settings).prune
        for epochs in range(1, 11)
    ]
    assert pruned == [epoch in (3, 4, 7, 8, 9, 10) for epoch in range(1, 11)]


def test_a_cycle_shorter_than_the_grace_is_judged_at_its_end() -> None:
    settings = replace(PLAIN, epochs=5)
    cycles = Curve(number=0, scores=[0.0] * 9, restarts=[4, 7, 10])
    pruned = [
        decide(replace(cycles, scores=cycles.scores[:epochs]), OTHERS, settings).prune
        for epochs in range(1, 10)
    ]
    assert pruned == [epoch in (3, 6, 9) for epoch in range(1, 10)]


# The control group


def test_the_control_group_is_the_same_every_time() -> None:
    drawn = [in_control(42, number, 0.1) for number in range(5000)]
    assert drawn == [in_control(42, number, 0.1) for number in range(5000)]
    assert 0.085 < np.mean(drawn) < 0.115
    assert drawn != [in_control(43, number, 0.1) for number in range(5000)]
    assert not any(in_control(42, number, 0.0) for number in range(1000))
    for seed in range(20):  # any 60 trials have 9, so that some of them are among those to be pruned
        assert sum(in_control(seed, number, 0.15) for number in range(seed, seed + 60)) == 9
    assert np.mean([in_control(seed, 7, 0.15) for seed in range(4000)]) == pytest.approx(0.15, abs=0.03)
    assert all(in_control(42, number, 1.0) for number in range(1000))


def test_a_control_keeps_running_and_keeps_its_decision() -> None:
    table = CurveTable(replace(PLAIN, control=1.0))
    for other in OTHERS:
        table.add(other)
    table.add(Curve(number=0, scores=[0.25, 0.05]))
    verdict = table.decide(0, 2)
    assert verdict.control
    assert not verdict.prune
    assert (verdict.epoch, verdict.value, verdict.bar) == (2, 0.05, 0.2)
    assert verdict.text.endswith("runs on as a control")
    table.update(0, 3, 0.9)
    assert table.decide(0, 3) == verdict


def test_a_control_does_not_affect_other_trials() -> None:
    settings = replace(PLAIN, control=0.3)
    control, *_ = (number for number in range(50) if in_control(0, number, 0.3))
    ours, *others = (number for number in range(50) if not in_control(0, number, 0.3))
    curves = [
        flat(others[0], 0.7),
        *(flat(number, 0.5) for number in others[1:]),
        Curve(number=control, scores=[0.6, 0.1, 0.1]),  # pruned at its second epoch, but for the control
    ]
    assert decide(flat(ours, 0.5, 2), curves, settings).peers == len(others) + 1
    assert decide(flat(ours, 0.5, 3), curves, settings).peers == len(others)


# Against a plain reference


def means_of(curve: Curve, smooth: int, sign: float) -> list[tuple[float, int]]:
    means: list[tuple[float, int]] = []
    before = math.nan
    starts = [curve.delay, *(epoch - 1 for epoch in curve.restarts)]
    for epoch in range(curve.delay + 1, len(curve.scores) + 1):
        start = max(each for each in starts if each < epoch)
        if epoch - 1 == start and means and not math.isnan(means[-1][0]):
            before = means[-1][0]
        window = sign * np.array(curve.scores[max(start, epoch - smooth) : epoch])
        count = int(np.isfinite(window).sum())
        mean = float(window[np.isfinite(window)].mean()) if count else math.nan
        if not math.isnan(before) and (epoch - start < smooth or not mean > before):
            mean, count = before, smooth
        means.append((mean, count))
    return means


def noise_of(curves: Sequence[Curve]) -> float:
    jumps: list[float] = []
    for curve in curves:
        bounds = [curve.delay, *(epoch - 1 for epoch in curve.restarts), len(curve.scores)]
        for start, end in pairwise(bounds):
            jumps += [jump for jump in np.abs(np.diff(curve.scores[start:end], 3)) if np.isfinite(jump)]
    return sorted(jumps)[len(jumps) // 2] / 0.6745 / math.sqrt(20) if len(jumps) >= 10 else 0.0


HORIZON = 24


def reference(curve: Curve, others: Sequence[Curve], settings: MedianSettings, sign: float) -> str | None:
    """The rule as it reads, from whole curves with NumPy; None where nothing is compared."""
    noise = noise_of([*others, curve])
    own = means_of(curve, settings.smooth, sign)
    theirs = [(other.kind, means_of(other, settings.smooth, sign)) for other in others]

    def behind(age: int) -> tuple[float, float] | None:
        """How far, and the margin."""
        if age < 1 or math.isnan(own[age - 1][0]):
            return None
        value, count = own[age - 1]
        there = [(kind, means[age - 1][0]) for kind, means in theirs if len(means) >= age]
        everyone = [mean for _, mean in there if not math.isnan(mean)]
        kin = [mean for kind, mean in there if not math.isnan(mean) and curve.kind in (None, kind)]
        if len(everyone) < settings.startup_trials or len(kin) < thresholds.PEERS_OF_KIND:
            return None
        bar = min(np.median(everyone), np.median(kin))
        return float(bar - value), settings.margin * noise / math.sqrt(count)

    def below(age: int) -> bool:
        found = behind(age)
        return found is not None and found[0] > found[1]

    def full(means: list[tuple[float, int]]) -> float:
        return max((mean for mean, count in means if count >= settings.smooth), default=-math.inf)

    best = max(full(means) for means in (own, *(means for _, means in theirs)))
    leads = full(own) == best > -math.inf

    def out_of_reach(age: int) -> bool:
        if age < 1 or math.isnan(own[age - 1][0]) or leads:
            return False
        ended = [len(other.scores) == HORIZON for other in others]
        whole = [means for (_, means), end in zip(theirs, ended, strict=True) if end]
        gains = [full(m) - m[age - 1][0] for m in whole if len(m) >= age and not math.isnan(m[-1][0])]
        gains = [gain for gain in gains if math.isfinite(gain)]
        if len(gains) < thresholds.WHOLE_TRIALS:
            return False
        spread = np.std(gains, ddof=1) * math.sqrt(1 + 1 / len(gains))
        beyond = stats.t.sf((best - own[age - 1][0] - np.mean(gains)) / spread, len(gains) - 1)
        return bool(beyond < thresholds.REACH_CHANCE)

    epoch = len(curve.scores)
    begun = [curve.delay, *(each - 1 for each in curve.restarts if each <= epoch)]
    ahead = [each - 1 for each in curve.restarts if each > epoch]
    may_end = epoch >= min([begun[-1] + settings.grace(HORIZON), *ahead]) and epoch != HORIZON
    may_end = may_end and not leads
    ages = [len(own) - back for back in range(settings.patience)]
    now, then = behind(len(own)), behind((len(own) + 1) // 2)
    catching_up = now is not None and then is not None and now[0] < thresholds.CATCHING_UP * then[0]
    low = may_end and all(below(age) for age in ages)
    if low and not catching_up:
        return "median"
    if may_end and all(out_of_reach(age) for age in ages):
        return "reach"
    if now is None:
        return None
    return "catching up" if low else "on"


def test_decisions_match_a_plain_reference_on_random_curves() -> None:
    rng = np.random.default_rng(7)
    seen = {"median": 0, "reach": 0, "catching up": 0, "on": 0, None: 0}
    directions: list[Direction] = ["maximize", "minimize"]
    for case in range(400):
        direction = directions[case % 2]
        settings = MedianSettings(
            startup_trials=int(rng.integers(1, 5)),
            epochs=int(rng.integers(1, 5)),
            patience=int(rng.integers(1, 4)),
            margin=float(rng.choice([0.0, 0.5, 1.0])),
            smooth=int(rng.integers(1, 7)),
            control=0.0,
        )
        curves = []
        whole = rng.random() < 0.5
        for number in range(int(rng.integers(2, 20))):
            length = HORIZON if whole and rng.random() < 0.8 else int(rng.integers(3, HORIZON + 1))
            scores = rng.normal(0, 3) + rng.normal(0, 1, length).cumsum()
            scores[rng.random(len(scores)) < 0.1] = math.nan
            warmup = int(rng.integers(0, 5))
            cycles = list(range(warmup + 4, 25, 6)) if rng.random() < 0.4 else []
            kind = rng.choice(["a", "b"]) if rng.random() < 0.7 else None
            about = {"delay": warmup, "restarts": cycles, "kind": kind, "horizon": HORIZON}
            curves.append(Curve(number=number, scores=scores.tolist(), **about))
        *others, curve = curves
        expected = reference(curve, others, settings, 1.0 if direction == "maximize" else -1.0)
        decision = decide(curve, others, settings, direction)
        assert decision.prune is (expected in ("median", "reach"))
        assert (decision.bar is None) == (expected is None)
        assert ("out of reach" in decision.text) == (expected == "reach")
        seen[expected] += 1
    assert min(seen.values()) >= 4, seen


# Settings and parameters


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("startup_trials", 0, "0 should be greater than or equal to 1"),
        ("patience", 1.5, "1.5 should be a valid integer"),
        ("epochs", -1, "-1 should be greater than or equal to 1"),
        ("margin", -0.1, "-0.1 should be greater than or equal to 0"),
        ("control", 10, "10 should be less than or equal to 1"),
        ("control", True, "true should be a valid number"),
        ("epochs", None, None),
        ("margin", 2, None),
    ],
)
def test_a_wrong_option_is_refused_with_its_value(option: str, value: object, said: str | None) -> None:
    annotation, _ = options_of(MedianPruner)[option]
    assert complaint(value, annotation) == said


def test_the_stock_vocabulary_gives_delay_horizon_restarts_and_kind() -> None:
    params = {
        "trainer.epochs": 200,
        "schedule.kind": "warm_restarts",
        "schedule.warmup_epochs": 5,
        "schedule.restart_epochs": 20,
        "schedule.restart_factor": 2,
    }
    shape = vocabulary_of().curve
    curve = Curve.of(7, shape(params))
    assert (curve.number, curve.delay, curve.horizon, curve.kind) == (7, 5, 200, "warm_restarts")
    assert list(islice(curve.restarts, 2)) == [26, 66]
    cosine = Curve.of(7, shape({**params, "schedule.kind": "cosine"}))
    assert list(cosine.restarts) == []
    assert Curve.of(7, shape({"lr": 0.1})) == Curve(number=7)


def test_options_set_horizon_and_warm_up_for_objectives_without_a_vocabulary() -> None:
    settings = MedianSettings(warmup="ramp", horizon=50)
    shape = settings.shape(CurveShape(kind="saw"), {"ramp": 3})
    assert (shape.delay, shape.horizon, shape.kind) == (3, 50, "saw")
    assert settings.shape(CurveShape(delay=2), {}).delay == 2


# Simulated studies


from simulation import learning_curves, pruners, samplers  # noqa: E402
from simulation.study import Study  # noqa: E402

STOCK_SHAPE = vocabulary_of().curve


def without_kind(params: Params) -> CurveShape:
    """All schedules are compared with each other."""
    return replace(STOCK_SHAPE(params), kind=None)


def simulate(
    family: str,
    pruner: str,
    seeds: int,
    workers: int = 1,
    shape: Callable[[Params], CurveShape] = STOCK_SHAPE,
    **options: Any,
) -> list[tuple[Any, list[Any]]]:
    """Outcomes of 60 random trials with their trials; `options` make another median of ours."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    chosen = learning_curves.FAMILIES[family]
    found = []
    for seed in range(seeds):
        build = pruners.Median(MedianSettings(seed=seed, **options), shape) if options else None
        study = Study(
            chosen,
            seed,
            samplers.SAMPLERS["random"](chosen, seed),
            build or pruners.PRUNERS[pruner](chosen.epochs, seed),
            workers,
        )
        found.append((study.run().whole, study.trials))
    return found


@pytest.mark.parametrize("studies", [6, pytest.param(16, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("workers", [1, 8])
def test_the_best_trial_survives_where_warm_ups_delay_the_curves(workers: int, studies: int) -> None:
    ours = [outcome for outcome, _ in simulate("warm-up", "ours, no control group", studies, workers)]
    assert sum(outcome.lost for outcome in ours) == 0
    assert np.mean([outcome.epochs for outcome in ours]) <= 0.48
    assert np.mean([outcome.regret for outcome in ours]) <= 0.001


@pytest.mark.parametrize("studies", [6, pytest.param(16, marks=pytest.mark.nightly)])
def test_optunas_median_loses_the_best_trial_where_warm_ups_delay_the_curves(studies: int) -> None:
    stock = [outcome for outcome, _ in simulate("warm-up", "Optuna median, from a third on", studies)]
    assert np.mean([outcome.lost for outcome in stock]) > 0.15
    assert np.mean([outcome.regret for outcome in stock]) > 0.001


def lost_of_kind(trials: Sequence[Any]) -> list[bool]:
    """Whether the best trial of each schedule was pruned; `constant` first."""
    found = []
    for kind in learning_curves.KINDS:
        own = [trial for trial in trials if trial.params["schedule.kind"] == kind]
        found.append(bool(own) and not max(own, key=lambda trial: trial.curve.value).complete)
    return found


@pytest.mark.parametrize(("studies", "kinds"), [(6, 3), pytest.param(20, 4, marks=pytest.mark.nightly)])
def test_whichever_schedule_the_best_config_has_it_survives(studies: int, kinds: int) -> None:
    ours = simulate("schedules", "", studies, control=0.0)
    winners = {
        max(trials, key=lambda trial: trial.curve.value).params["schedule.kind"] for _, trials in ours
    }
    assert len(winners) >= kinds
    assert sum(outcome.lost for outcome, _ in ours) <= 0.05 * studies


@pytest.mark.nightly
def test_schedules_that_gain_late_or_restart_are_not_pruned_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is out of reach of the best may well be the best of its kind. The medians end none of these.
    monkeypatch.setattr(thresholds, "WHOLE_TRIALS", math.inf)
    apart = simulate("schedules", "", 8, control=0.0)
    constant, *others = np.mean([lost_of_kind(trials) for _, trials in apart], axis=0)
    assert max(others) <= constant + 0.1
    # The studies would show it: with all schedules thrown together, most of the best cosines go.
    together = simulate("schedules", "", 6, shape=without_kind, control=0.0)
    constant, _, cosine, *_ = np.mean([lost_of_kind(trials) for _, trials in together], axis=0)
    assert cosine > constant + 0.4


@pytest.mark.parametrize("epochs", [8, 12])
def test_hopeless_trials_are_pruned_in_short_studies(epochs: int) -> None:
    """14 trials, as the quick profile has them: of 3 hopeless ones in the later half, most are ended."""
    ended = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = CurveTable(MedianSettings(control=0.0))
        hopeless = set(rng.choice(np.arange(6, 14), 3, replace=False).tolist())
        for number in range(14):
            warmup = int(rng.integers(0, 3))
            quality = 0.25 if number in hopeless else rng.normal(0.6, 0.03)
            table.add(Curve(number=number, delay=warmup, horizon=epochs))
            for epoch in range(1, epochs + 1):
                risen = quality * (1 - math.exp(-max(0, epoch - warmup) / 3))
                table.update(number, epoch, risen + rng.normal(0, 0.01))
                if table.decide(number, epoch).prune:
                    ended += number in hopeless and epoch <= warmup + 4
                    break
    assert ended / (40 * 3) > 0.9
