"""The pruning audit: what was saved, what was lost, and what of it the commands show."""

import math
from dataclasses import replace

import numpy as np
import pytest
from snapshots import RECORD, words

from search.analysis.lost_to_pruning import largest_count
from search.analysis.pruning_audit import audit, rank_correlation, sentences, wilson
from search.records import Reason, Record
from search.ui.trials import trial_detail

NONE = audit([], "maximize", 5)


def complete(number: int, value: float, epochs: int = 100, **changes) -> Record:
    curve = [value] * epochs
    return replace(
        RECORD,
        **{
            "number": number,
            "value": value,
            "epochs": epochs,
            "horizon": 100,
            "curve": curve,
            "seconds": 2.0 * epochs,
            **changes,
        },
    )


def pruned(number: int, epochs: int, code: str = "pruned", **changes) -> Record:
    reason = Reason(code, f"epoch {epochs}: 0.1 below", epochs)
    return complete(number, 0.2, epochs, **{"state": "pruned", "reason": reason, **changes})


def control(number: int, value: float, verdict: int, **changes) -> Record:
    return complete(number, value, **{"control": Reason("pruned", "would have been", verdict), **changes})


# -- what was saved --------------------------------------------------------------------------------


def test_pruned_trials_would_have_run_as_far_as_the_complete_ones() -> None:
    kept = [complete(0, 0.5, 100), complete(1, 0.6, 60), complete(2, 0.7, 40)]
    found = audit([*kept, pruned(3, 20), pruned(4, 50)], "maximize", 5)
    assert (found.pruned, found.run.epochs, found.run.seconds) == (2, 270, 540.0)
    assert (found.saved_at_most.epochs, found.saved_at_most.seconds) == (130, 260.0)
    # The first would have ended where the three did on average, the second where the two that went on did.
    likely = (np.mean([100, 60, 40]) - 20) + (np.mean([100, 60]) - 50)
    assert found.saved.epochs == round(likely) and found.saved.seconds == pytest.approx(2 * likely)


def test_only_what_the_pruner_ended_was_saved_by_it() -> None:
    found = audit([complete(0, 0.5), pruned(1, 20, "diverged"), pruned(2, 20, "oom")], "maximize", 5)
    assert (found.pruned, found.saved_at_most.epochs, found.decided_at) == (0, 0, None)


def test_what_a_pruned_trial_waited_for_an_owner_costs_nothing() -> None:
    """Six seconds an epoch, and a night between two owners: the others' two seconds count."""
    found = audit([complete(0, 0.5), pruned(1, 50, attempts=2, seconds=36_000.0)], "maximize", 5)
    assert found.saved_at_most.seconds == pytest.approx(50 * 2.0)
    own = audit([complete(0, 0.5), pruned(1, 50, seconds=300.0)], "maximize", 5)
    assert own.saved_at_most.seconds == pytest.approx(50 * 6.0)


def test_trials_of_other_lengths_count_by_their_share() -> None:
    short = complete(0, 0.5, 10, horizon=20)  # ended half-way
    found = audit([short, pruned(1, 25)], "maximize", 5)
    assert found.saved.epochs == 25


def test_a_study_without_a_trial_or_a_complete_one() -> None:
    assert (NONE.pruned, NONE.run.epochs, NONE.false_kills, NONE.ranks) == (0, 0, None, [])
    assert sentences(NONE) == []
    found = audit([pruned(0, 20)], "maximize", 5)
    assert found.saved.epochs == found.saved_at_most.epochs == 80


# -- what was lost ---------------------------------------------------------------------------------


def test_false_kills_are_controls_better_than_half_of_those_kept() -> None:
    kept = [complete(number, value) for number, value in enumerate([0.5, 0.6, 0.7])]
    controls = [
        control(3, 0.61, 20),  # better than half of them
        control(4, 0.6, 30),  # as good as the median
        control(5, 0.4, 25),
        control(6, 0.65, 20, state="pruned", reason=Reason("diverged", "nan", 60)),  # ended badly
        control(7, 0.9, 20, state="failed"),  # says nothing
        control(8, 0.9, 20, state="running"),
    ]
    found = audit([*kept, *controls], "maximize", 5)
    assert found.controls == 4 and found.false_kills == wilson(1, 4)
    assert found.lead == pytest.approx(0.61 - 0.7)
    assert found.control.epochs == 80 + 70 + 75 + 80
    assert found.decided_at == round(np.median([20, 30, 25, 20]))


def test_controls_stand_for_the_pruned_trials() -> None:
    kept = [complete(0, 0.5), complete(1, 0.7)]
    ended = [pruned(number, 30) for number in range(10, 20)]
    controls = [control(2, 0.71, 20), control(3, 0.7, 20), control(4, 0.2, 20), control(5, 0.3, 20)]
    found = audit([*kept, *controls, *ended], "maximize", 5)
    assert (found.better.controls, found.better.estimate) == (1, 2.5)
    said = "about 2 of 10 pruned trials would have ended better than the best of those kept, at most"
    assert any(said in sentence for sentence in sentences(found))
    assert audit([*kept, *ended], "maximize", 5).better is None
    assert audit([*controls, *ended], "maximize", 5).better is None


def test_the_bound_of_what_was_lost_holds_in_nineteen_of_twenty_draws() -> None:
    rng = np.random.default_rng(0)
    for population, drawn in [(30, 3), (40, 6), (12, 5)]:
        assert largest_count(drawn, drawn, population) == population
        for number in range(0, population + 1, 3):
            found = rng.hypergeometric(number, population - number, drawn, size=2000)
            bounds = {count: largest_count(count, drawn, population) for count in set(found.tolist())}
            holds = np.mean([bounds[count] >= number for count in found.tolist()])
            assert holds >= 0.93


def test_repeats_of_the_best_raise_no_bar() -> None:
    trials = [complete(0, 0.5), complete(1, 0.6), complete(2, 0.7), control(3, 0.65, 20)]
    repeats = [complete(number, 0.7, repeat_of=2) for number in range(4, 9)]
    without, found = (audit(records, "maximize", 5) for records in (trials, trials + repeats))
    assert found.false_kills == without.false_kills == wilson(1, 1)
    assert found.ranks == without.ranks and found.run.epochs == without.run.epochs + 500


def test_a_minimised_study_is_audited_alike() -> None:
    """Every value negated, the same is found."""
    up = [complete(0, 0.5), complete(1, 0.7), control(2, 0.65, 20), control(3, 0.8, 20), pruned(4, 30)]
    down = [replace(r, value=-r.value, curve=[-score for score in r.curve]) for r in up]
    maximized, minimized = audit(up, "maximize", 5), audit(down, "minimize", 5)
    assert maximized == minimized
    assert maximized.false_kills == wilson(2, 2) and maximized.lead == pytest.approx(0.1)


def test_wilson_intervals_end_where_the_score_test_just_rejects() -> None:
    """Both ends are where a test of the share at 5 % would just reject, by a search on a grid."""
    for count, trials in [(1, 6), (3, 10), (17, 40)]:
        grid = np.linspace(1e-6, 1 - 1e-6, 2_000_001)
        z = np.abs(count / trials - grid) / np.sqrt(grid * (1 - grid) / trials)
        inside = grid[z <= 1.959964]
        rate = wilson(count, trials)
        assert (rate.low, rate.high) == pytest.approx((inside[0], inside[-1]), abs=2e-6)
    assert wilson(0, 6).low == 0.0 and wilson(6, 6).high == 1.0
    assert wilson(0, 6).high == pytest.approx(1 - wilson(6, 6).low)


# -- what an early score says ----------------------------------------------------------------------


def test_the_rank_correlation_against_numpy() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.6, 0.05, 30).round(2)  # with ties
    curves = values[:, None] + rng.normal(0, 0.05, (30, 40))
    records = [
        complete(number, float(value), 40, curve=[float(score) for score in curve])
        for number, (value, curve) in enumerate(zip(values, curves, strict=True))
    ]

    def ranks(x: np.ndarray) -> np.ndarray:
        return (x[:, None] > x).sum(axis=1) + (x[:, None] == x).sum(axis=1) / 2

    for epoch in (1, 3, 20):
        smoothed = curves[:, max(0, epoch - 5) : epoch].mean(axis=1)
        expected = np.corrcoef(ranks(smoothed), ranks(values))[0, 1]
        found = rank_correlation(records, epoch, 5)
        assert found is not None and found.trials == 30 and found.value == pytest.approx(expected)


def test_ranks_are_of_trials_that_came_as_far() -> None:
    long = [complete(number, 0.1 * number, 100) for number in range(4)]
    short = [complete(number, 0.9, 20) for number in range(4, 7)]
    found = audit([*long, *short, pruned(7, 30)], "maximize", 5)
    assert {rank.epoch: rank.trials for rank in found.ranks} == {10: 7, 25: 4, 30: 4, 50: 4}
    assert rank_correlation(long[:2], 10, 5) is None, "two trials have no order worth a number"
    assert rank_correlation(short, 10, 5) is None, "all are equal"
    without = [replace(record, curve=[]) for record in long]
    assert audit(without, "maximize", 5).ranks == []


# -- what a person reads ---------------------------------------------------------------------------


def test_the_sentences_state_savings_losses_and_ranks() -> None:
    kept = [complete(number, 0.5 + 0.1 * number) for number in range(3)]
    saved, lost, better, rank = sentences(
        audit([*kept, control(3, 0.61, 20), pruned(4, 20)], "maximize", 5)
    )
    assert saved == (
        "1 trial ended early saved about 80 epochs (16 % of what would have run), 0.044 device-hours"
    )
    assert lost == (
        "1 control ran on: 1 ended better than half of the trials kept (false kills 100 %, 95 % interval "
        "21 % to 100 %); the best of them is 0.0900 behind the best of the others"
    )
    assert better == (
        "by the controls, about 0 of 1 pruned trial would have ended better than the best of those "
        "kept, at most 1 (95 %)"
    )
    assert rank.startswith("rank correlation between epoch 20, the median epoch of the verdicts, and")
    assert rank.endswith("the end: 1.00 over 4 trials")
    assert sentences(audit([*kept, pruned(4, 20)], "maximize", 5))[1].endswith("is not known")
    stopped = [complete(number, 0.5, 60) for number in range(3)]
    assert sentences(audit([*stopped, pruned(3, 20)], "maximize", 5))[0] == (
        "1 trial ended early saved about 40 epochs (17 % of what would have run), 0.022 device-hours; "
        "at most 80 epochs, 0.044 device-hours"
    )
    assert "no other trial is complete" in sentences(audit([control(3, 0.61, 20)], "maximize", 5))[0]


def test_json_has_numbers_only() -> None:
    found = audit([control(0, 0.5, 20), complete(1, 0.5), pruned(2, 3, seconds=math.nan)], "maximize", 5)
    shown = found.to_json()
    assert shown["saved"] == {"epochs": 97, "seconds": None}
    assert list(shown["false_kills"]) == ["count", "trials", "low", "high"]


def test_the_verdict_of_a_control_is_no_markup() -> None:
    shown = words(trial_detail(replace(RECORD, control=Reason("pruned", "[bold]x[/bold]\x1b[2J", 3))))
    assert "[bold]x[/bold] [2J" in shown
