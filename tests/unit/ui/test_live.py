"""What a person reads: numbers, curves, the live view, plain lines, tables, the end of a search."""

import os
import pty
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from snapshots import EMPTY, PARAMS, RECORD, RUNNING, WORKER, pictured, text, words

from search import formatting
from search.records import Budget, Reason, Record, Snapshot, WorkerView
from search.render.terminal import show
from search.ui import forecast, live
from search.ui.best import best_summary, closing
from search.ui.overview import Overview
from search.ui.trials import TrialsTable, trial_detail

TRACEBACK = (
    'Traceback (most recent call last):\n  File "m.py", line 3, in train\nValueError: no [bold]way[/bold]'
)


def record(number: int = 0, **changes) -> Record:
    return replace(RECORD, number=number, **changes)


def running(number: int, **changes) -> Record:
    return replace(RUNNING, number=number, **changes)


def worker(name: str = "w0", trial: int | None = 3, **changes) -> WorkerView:
    return replace(WORKER, id=name, trial=trial, **changes)


def snapshot(**changes) -> Snapshot:
    return replace(EMPTY, **changes)


# Numbers


@pytest.mark.parametrize(
    ("write", "value", "expected"),
    [
        (formatting.score, 0.70414, "0.7041"),
        (formatting.score, None, "–"),
        (formatting.score, float("nan"), "–"),
        (formatting.rate, 8e-4, "8.0e-4"),
        (formatting.rate, 0.00123, "1.2e-3"),
        (formatting.rate, 0.0, "0.0e0"),
        (formatting.whole, 412.4, "412"),
        (formatting.whole, float("inf"), "–"),
        (formatting.duration, 41.6, "42s"),
        (formatting.duration, 59.6, "1m 00s"),
        (formatting.duration, 80, "1m 20s"),
        (formatting.duration, 3600 + 5 * 60 + 59, "1h 05m"),
        (formatting.duration, 52 * 3600, "2d 4h"),
        (formatting.duration, None, "–"),
        (formatting.roughly, 20, "under a minute"),
        (formatting.roughly, 754, "about 13m"),
        (formatting.roughly, 3590, "about 1h 00m"),
        (formatting.roughly, 12100, "about 3h 20m"),
        (formatting.parameter, 8e-4, "8e-4"),
        (formatting.parameter, 1.0e-10, "1e-10"),
        (formatting.parameter, 1.5e-3, "1.5e-3"),
        (formatting.parameter, 0.000963182, "9.63e-4"),
        (formatting.parameter, 0.15, "0.15"),
        (formatting.parameter, 0.0, "0"),
        (formatting.parameter, 12345.6, "12346"),
        (formatting.parameter, 20, "20"),
        (formatting.parameter, True, "true"),
        (formatting.parameter, "a\nb\x1b[2J", "a b [2J"),
        (formatting.parameter, None, "–"),
    ],
)
def test_numbers_are_written_for_people(write, value, expected):
    assert write(value) == expected


def test_a_change_shows_the_digits_that_differ():
    assert formatting.change(0.1, 0.25) == "0.1 → 0.25"
    assert formatting.change(0.10001, 0.10002) == "0.10001 → 0.10002"
    assert formatting.change(None, 30) == "– → 30"


def test_short_names_stay_unambiguous():
    names = ["model.kind", "a.rate", "b.rate", "loss.dice_weight"]
    assert list(formatting.short_names(names).values()) == ["model.kind", "a.rate", "b.rate", "dice_weight"]


def test_gain_is_positive_where_it_is_better():
    assert formatting.gain(0.7, 0.6, "maximize") == pytest.approx(0.1)
    assert formatting.gain(0.7, 0.6, "minimize") == pytest.approx(-0.1)
    assert formatting.gain(None, 0.6, "maximize") is None
    assert formatting.gain(float("nan"), 0.6, "maximize") is None


# Curves


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([7, 0], "█▁"),
        ([0.0, None, 1.0], "▁ █"),
        ([None, float("nan"), 0.0, 1.0], "  ▁█"),
        ([0.5, 0.5, 0.5], "▅▅▅"),
        ([0.5], "▅"),
        ([], ""),
    ],
)
def test_a_sparkline_spans_lowest_to_highest(curve, expected):
    assert formatting.sparkline(curve) == expected


def test_sparkline_without_any_score_is_blank():
    assert formatting.sparkline([None, None]).strip() == ""


def test_a_long_curve_is_averaged_into_its_width():
    assert formatting.sparkline([0, 0, 2, 2, 6, 8], width=3) == "▁▃█"
    assert formatting.sparkline([0, None, None, None, 8, 8], width=3) == "▁ █"
    assert len(formatting.sparkline(range(997), width=40)) == 40


def test_a_growing_curve_keeps_its_place():
    curve = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    limits = (0, 19)
    early = formatting.sparkline(curve[:6], width=10, epochs=20, limits=limits)
    late = formatting.sparkline(curve, width=10, epochs=20, limits=limits)
    assert len(early) == 3
    assert len(late) == 5
    assert late.startswith(early)


def test_a_plot_fills_its_width_and_height():
    assert formatting.plot([0, 15], width=2, height=2) == [" █", "▁█"]
    assert formatting.plot([0, None, 15], width=9, height=2) == ["      ███", "▁▁▁   ███"]
    assert formatting.plot([1.0], width=10, height=3)[2] == "███"
    assert formatting.plot([None], width=10, height=3) == []
    assert all(len(line) == 50 for line in formatting.plot(range(321), width=50, height=4))
    assert formatting.plot([0, 15, 0, 0], width=2, height=2) == ["▁ ", "█▁"]


# Forecasts


def test_the_time_left_of_a_trial_follows_from_its_epochs():
    one = running(3, epochs=9, seconds=95.0)
    assert forecast.trial_left(one, 20, snapshot()) == pytest.approx(10.5 * 10)
    assert forecast.trial_left(one, 9, snapshot()) == 0
    assert forecast.trial_left(running(3, epochs=0), 20, snapshot()) is None
    assert forecast.trial_left(one, None, snapshot()) is None


def test_trial_left_of_one_taken_over_is_taken_from_the_others():
    one = running(3, epochs=9, seconds=90_000.0, attempts=2)
    assert forecast.trial_left(one, 20, snapshot()) is None
    others = [record(0, epochs=10, seconds=50.0), record(1, epochs=10, seconds=9e9, attempts=2)]
    assert forecast.trial_left(one, 20, snapshot(finished=others)) == pytest.approx(10.5 * 5)


def test_the_time_left_of_a_study_counts_its_workers():
    # Two workers; 100 s per trial so far; 105 s and an unknown rest run, 8 slots are unclaimed.
    state = snapshot(
        budget=Budget(trials=12, claimed=4, complete=1, pruned=1, failed=0, running=2),
        running=[running(2, epochs=9, seconds=95.0), running(3, epochs=0, seconds=1.0)],
        workers=[worker("a", 2), worker("b", 3)],
        finished=[record(0, seconds=150.0), record(1, seconds=50.0)],
    )
    assert forecast.study_left(state) == pytest.approx((105 + 100 + 8 * 100) / 2)
    assert forecast.study_left(replace(state, finished=())) == pytest.approx((105 + 200 + 8 * 200) / 2)
    assert forecast.study_left(replace(state, stop="drain")) is None
    assert forecast.study_left(replace(state, workers=[])) is None


# The picture


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_person_reads_it_all(width):
    seen = text(Overview(pictured()), width)
    for part in (
        "mseg",
        "sqlite:///runs/mseg.db",
        "3/10",
        *("2 complete", "1 pruned", "0 failed", "1 running", "6 to go"),
        *("cuda:0", " 4/20", "0.6000", "0.6500", "7.9e-4", "412", "2m 35s", "▁▆██"),
        *("0.7000 mean of 5", "trial 2", "epoch 9 scored 0.7200"),
        "0.0100 better than hand-tuned best (0.6900)",
        "0.0500 short of target 0.7500",
        *("learning_rate 8e-4", "dropout 0.15", "schedule.kind cosine", "warmup_epochs 5"),
    ):
        assert part in seen
    assert re.search(r"about 13m left\n", seen)


@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 70, 79, 80, 81, 100, 119, 140, 300])
@pytest.mark.parametrize("count", [0, 1, 64])
def test_no_line_is_wider_than_the_terminal(width, count):
    crowd = pictured(
        running=[running(n) for n in range(count)],
        workers=[worker(f"w{n}", n, host=f"a-long-host-name-{n}") for n in range(count)],
        notes=["a note that is rather longer than a narrow terminal is wide, so that it has to be wrapped"],
    )
    seen = text(Overview(crowd), width).splitlines()
    assert max(map(len, seen)) <= min(width, 140)
    assert sum("/20" in line for line in seen) == count


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50), (80, 12), (40, 5)])
def test_sixty_four_workers_fit(width, height):
    crowd = pictured(
        running=[running(n) for n in range(64)], workers=[worker(f"w{n}", n) for n in range(64)]
    )
    seen = text(Overview(crowd, fit=True), width, height)
    assert len(seen.splitlines()) < height
    rows = sum("/20" in line for line in seen.splitlines())
    if height > 20:
        assert rows >= 10
        assert f"+{64 - rows} more" in seen
        assert "0.0500 short of target" in seen
    assert "more" not in text(Overview(crowd), width, height)


def test_the_height_does_not_depend_on_which_trials_have_scores():
    both = [running(1), running(2)]
    fresh = [running(1), running(2, curve=[], last=None, best_score=None, epochs=0)]
    pair = [worker("a", 1), worker("b", 2)]
    heights = {
        len(text(Overview(pictured(running=some, workers=pair), fit=True)).splitlines())
        for some in (both, fresh)
    }
    assert len(heights) == 1


def test_a_lagging_curve_looks_it():
    good, bad = running(1, curve=[0.0, 0.8]), running(2, curve=[0.0, 0.09])
    seen = text(Overview(pictured(running=[good, bad], workers=[worker("a", 1), worker("b", 2)])), 120)
    assert "▁█" in seen
    assert "▁▁" in seen


def test_unknown_values_are_shown_as_dashes():
    nothing = dict.fromkeys(("score", "best", "lr", "images_per_second", "epoch", "epochs"))
    empty = record(
        3,
        state="running",
        **dict.fromkeys(("value", "last", "best_score", "best_epoch", "seed", "worker", "seconds")),
        epochs=0,
        curve=[],
        params={"a.b": None},
    )
    state = pictured(
        best=replace(empty, state="complete"),
        best_known=replace(empty, number=0),
        running=[empty],
        workers=[
            worker("a", None, state="waiting", **nothing),
            worker("b", 3, state="starting", **nothing),
        ],
        finished=[replace(empty, number=0)],
    )
    for width in (40, 80, 120):
        seen = text(Overview(state), width)
        assert "waiting" in seen
        assert "starting" in seen
        assert "None" not in seen
        assert "nan" not in seen
    for shown in (
        trial_detail(empty),
        TrialsTable([empty]),
        closing(state, None),
        Overview(snapshot(budget=Budget(0, 0, 0, 0, 0, 0))),
    ):
        assert "None" not in text(shown)


def test_the_live_view_says_what_needs_attention():
    assert "silent" in text(Overview(pictured(workers=[worker(state="silent", seen_seconds_ago=90)])))
    assert "no worker" in text(Overview(pictured(workers=[])))
    assert "stopping" in text(Overview(pictured(stop="drain")))
    assert "three bugs in a row" in text(Overview(pictured(stop="bugs")))
    assert "the disk is full" in text(Overview(pictured(notes=["the disk is full"])))
    assert "no trial is complete yet" in text(Overview(pictured(best=None)))
    assert "the known config A" in text(Overview(pictured(best=record(0, known="A"))))
    assert "gpu-2 cuda:0" in text(Overview(pictured(workers=[worker(), worker("b", None, host="gpu-2")])))


def test_a_minimised_score_is_shown_as_such():
    state = pictured(direction="minimize", best=record(2, value=0.6), target=0.65)
    seen = words(Overview(state))
    assert "lower is better" in seen
    assert "0.0900 better than hand-tuned best (0.6900)" in seen
    assert "target 0.6500 reached" in seen
    assert "0.1000 short of target 0.5000" in words(Overview(replace(state, target=0.5)))
    assert "0.0900 better" in words(closing(state, None))


def test_names_are_not_markup_and_move_no_cursor():
    state = pictured(study="[red]x\x1b[2J", notes=["[/]"], workers=[worker(device="[b]0")])
    seen = text(Overview(state))
    assert "[red]x [2J" in seen
    assert "[/]" in seen
    assert "[b]0" in seen
    assert "\x1b" not in seen


def test_no_color_turns_colours_off(monkeypatch):
    coloured = text(Overview(pictured()), force_terminal=True, color_system="standard")
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = text(Overview(pictured()), force_terminal=True, color_system="standard")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)


# The two views


def test_the_terminal_decides_which_view(monkeypatch):
    shown = []
    monkeypatch.setattr(live, "show_picture", lambda snapshots, console: shown.append("picture"))
    monkeypatch.setattr(live, "write_lines", lambda snapshots, stream: shown.append("lines"))
    live.follow([], StringIO())
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as terminal:
        for name in ("xterm-256color", "dumb"):
            monkeypatch.setenv("TERM", name)
            live.follow([], terminal)
    assert shown == ["lines", "picture", "lines"]


def test_the_live_view_draws_at_most_four_times_a_second_and_tidies_up():
    stream, ticks = StringIO(), iter([0.0, 0.1, 0.2, 0.3])
    console = Console(file=stream, width=100, height=30, force_terminal=True, color_system=None)
    trials = [pictured(running=[running(n)], workers=[worker(trial=n)]) for n in (10, 11, 12, 13)]
    assert live.show_picture(trials, console, clock=lambda: next(ticks)) is trials[-1]
    seen = stream.getvalue()
    assert re.findall(r"cuda:0 +(\d+)", seen) == ["10", "13"]
    assert "\x1b[?1049h" not in seen
    last = seen.rpartition("cuda:0")[2]
    assert "3/10" in last
    assert seen.rstrip("\n").endswith("\x1b[?25h")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def lines_of(snapshots: list[Snapshot], step: float = 1.0) -> list[list[str]]:
    """The lines that each snapshot adds, without their time."""
    stream, clock, added = StringIO(), Clock(), []

    def one_by_one() -> Iterator[Snapshot]:
        for state in snapshots:
            before = len(stream.getvalue())
            yield state
            lines = stream.getvalue()[before:].splitlines()
            assert all(line.startswith("03:04:05  ") for line in lines)
            added.append([line[10:] for line in lines])
            clock.seconds += step

    live.write_lines(one_by_one(), stream, clock, now=lambda: datetime(2026, 1, 2, 3, 4, 5))
    return added


def test_plain_lines_tell_what_happened():
    begin = snapshot(running=[running(3, worker="a")], workers=[worker("a", 3)])
    joined = replace(begin, workers=[worker("a", 3), worker("b", None, device="cuda:1")])
    started = replace(
        joined,
        running=[running(3, worker="a"), running(4, worker="b")],
        workers=[worker("a", 3), worker("b", 4, device="cuda:1")],
    )
    ended = replace(
        started,
        running=[running(4, worker="b")],
        workers=[worker("a", None), worker("b", 4, device="cuda:1")],
        finished=[
            record(3, value=0.7),
            record(5, state="pruned", reason=Reason("pruned", "below the median 0.5", 2), epochs=2),
            record(6, state="failed", reason=Reason("bug", TRACEBACK, None), epochs=0),
        ],
        best=record(3, value=0.7),
        best_known=record(0, value=0.69, known="A"),
    )
    lost = replace(ended, workers=[worker("a", None)])
    taken = replace(lost, running=[running(4, attempts=2, worker="a")], workers=[worker("a", 4)])
    left = replace(taken, running=[], workers=[], finished=[*ended.finished, record(4)], stop="drain")

    added = lines_of([begin, begin, joined, started, ended, lost, taken, left])
    assert "study mseg" in added[0][0]
    assert any("trial 3 is at epoch 4 on here cuda:0: learning_rate 8e-4" in line for line in added[0])
    assert added[1] == []
    assert added[2] == ["worker here cuda:1 joined"]
    assert len(added[3]) == 1
    assert added[3][0].startswith("trial 4 started on here cuda:1: learning_rate 8e-4")
    assert added[4] == [
        "trial 3 complete after 10 epochs in 1m 20s: 0.7000, best epoch 9 with 0.7200",
        "trial 5 pruned after 2 epochs in 1m 20s: below the median 0.5",
        "trial 6 failed after 0 epochs in 1m 20s: bug, ValueError: no [bold]way[/bold]",
        "new best 0.7000, trial 3, 0.0100 better than A (0.6900)",
    ]
    assert added[5] == ["worker here cuda:1 lost with trial 4"]
    assert added[6] == ["trial 4 taken over on here cuda:0 after epoch 4"]
    assert added[7][0] == "worker here cuda:0 left"
    assert added[7][1].startswith("trial 4 complete")
    assert added[7][2].startswith("stopping: running trials finish")


def test_a_trial_is_its_owners_while_a_dead_worker_is_still_listed_with_it():
    dead = worker("b", 3, device="cuda:1")
    before = snapshot(running=[running(3, worker="b")], workers=[dead, worker("a", None)])
    after = replace(before, running=[running(3, attempts=2, worker="a")], workers=[dead, worker("a", 3)])
    assert lines_of([before, after])[1] == ["trial 3 taken over on here cuda:0 after epoch 4"]


def test_plain_progress_comes_every_half_minute_and_only_where_it_changed():
    states = [snapshot(running=[running(3, epochs=n // 40)]) for n in range(120)]
    added = lines_of(states)
    shown = [(second, lines) for second, lines in enumerate(added) if lines and second]
    assert [second for second, _ in shown] == [30, 60, 90]
    assert "3 of 10 trials finished" in shown[0][1][0]
    assert sum(map(len, lines_of([snapshot()] * 300))) == 3


def test_plain_view_ends_with_how_far_it_came():
    stream = StringIO()
    live.write_lines([snapshot(), snapshot(budget=Budget(10, 10, 9, 1, 0, 0))], stream)
    assert "10 of 10 trials finished; 9 complete" in stream.getvalue().splitlines()[-1]


# Tables


def test_the_table_of_trials_shows_known_pruned_and_failed_ones():
    records = [
        record(0, known="A"),
        record(1, state="pruned", params={**PARAMS, "schedule.restart_epochs": 30}),
        record(2, state="failed", reason=Reason("oom", "out of memory", None), value=None),
    ]
    seen = text(TrialsTable(records, best=0), 140)
    assert re.search(r"\*0  complete  0\.7000  0\.7200      10  1m 20s  ▁▆██ +8e-4 +0\.15", seen)
    assert re.search(r" 1  pruned .* 30\n", re.sub(" +\n", "\n", seen))
    assert re.search(r" 2  oom +– ", seen)
    assert "no room" not in seen


def test_a_narrow_trials_table_says_what_it_leaves_out():
    seen = text(TrialsTable([record(n) for n in range(3)]), 70)
    assert max(len(line.rstrip()) for line in seen.splitlines()) <= 70
    assert "learning" in seen
    assert re.search(r"no room for .*warmup_epochs", seen)
    assert "no trials yet" in text(TrialsTable([]))


def test_a_parameter_may_be_called_like_a_column():
    seen = text(TrialsTable([record(params={"trainer.epochs": 25, "a.state": "x"})]), 120)
    assert seen.split().count("epochs") == 2
    assert seen.split()[-2:] == ["25", "x"]


def test_trial_detail_of_a_bug_has_its_traceback():
    failed = record(7, state="failed", reason=Reason("bug", TRACEBACK, 3), attempts=2, best_epoch=3)
    seen = text(trial_detail(failed))
    for part in (
        *("trial 7", "failed", "0.7000", "10 in 1m 20s, taken up 2 times", "w0", "42"),
        *("optimizer.learning_rate", "8e-4", "bug at epoch 3"),
        *TRACEBACK.splitlines(),
    ):
        assert part in seen
    plot = [line for line in seen.splitlines() if "█" in line]
    assert len(plot) == 8
    assert plot[0].startswith("0.7200 ")
    assert plot[-1].startswith("0.1000 ▁")
    axis, marker = seen.splitlines()[-2:]
    assert re.fullmatch(r" +1 +4", axis)
    assert marker == " " * 13 + "▲ epoch 3"


def test_the_mark_under_the_curve_stays_below_it():
    last = text(trial_detail(record(1, curve=[n / 300 for n in range(300)], best_epoch=300))).splitlines()[
        -1
    ]
    assert last == "epoch 300 ▲".rjust(7 + 60)


def test_best_summary_says_what_differs_and_claims_nothing():
    best = record(7, value=0.7123, params={**PARAMS, "model.dropout": 0.08, "schedule.restart_epochs": 30})
    known = record(0, value=0.7041, known="hand-tuned best")
    files = Path("runs/mseg/trial-0007")
    seen = words(best_summary(best, snapshot(best_known=known, smooth=5, target=0.71), files))
    assert "0.7123 trial 7, mean of 5 validations; epoch 9 scored 0.7200" in seen
    assert "hand-tuned best → trial 7" in seen
    assert "model.dropout 0.15 → 0.08" in seen
    assert "schedule.restart_epochs – → 30" in seen
    assert "optimizer.learning_rate 8e-4 the same" in seen
    assert "0.0082 better than the best known config, hand-tuned best (trial 0, 0.7041)" in seen
    assert "one seed" in seen
    assert "no evidence" in seen
    assert "significan" not in seen
    assert "target 0.7100 reached" in seen
    assert "files runs/mseg/trial-0007" in seen


def test_best_summary_without_something_to_compare_with():
    alone = words(best_summary(record(7), snapshot(smooth=1), None))
    assert "No known config has completed" in alone
    assert "one validation" in alone
    known = record(0, known="A")
    assert "It is the known config A." in words(best_summary(known, snapshot(best_known=known), None))


def test_the_closing_words_keep_commands_on_one_line():
    name = "x" * 100  # a command is copied: it must stay on its line
    state = pictured(study=name, budget=Budget(10, 10, 7, 2, 1, 0))
    seen = text(closing(state, Path("runs/mseg/trial-0002")), 80)
    assert "10 of 10 trials: 7 complete, 2 pruned, 1 failed\n" in seen
    assert "40 epochs run, at most 12 saved by pruning\n" in seen
    assert "0.0100 better than the best known config" in " ".join(seen.split())
    assert "runs/mseg/trial-0002" in seen
    assert f"next\n  search report --study {name}\n  search confirm --study {name}\n" in seen
    interrupted = pictured(study=name, budget=Budget(10, 10, 7, 1, 1, 1))
    assert f"next\n  search start --study {name}\n" in text(closing(interrupted, None), 80)


def test_closing_without_a_complete_trial_says_why():
    bug = Reason("bug", TRACEBACK, None)
    failed = [record(n, state="failed", reason=bug) for n in (4, 5)]
    other = record(6, state="failed", reason=Reason("oom", "out of memory", 1))
    seen = words(closing(snapshot(finished=[other, *failed]), None))
    assert "No trial completed. 2 × bug, ValueError: no [bold]way[/bold] (trial 4) 1 × oom" in seen


def test_a_study_that_retrains_has_an_answer_and_no_best():
    command = "search confirm --study mseg --workers 0"
    state = replace(pictured(), best=None, best_known=None, answer=command)
    state = replace(state, budget=Budget(10, 10, 10, 0, 0, 0))
    for seen in (text(closing(state, None), 80), text(Overview(state), 80)):
        assert command in seen and "No trial" not in seen and "no trial" not in seen


def test_show_does_not_squeeze_what_goes_into_a_pipe():
    stream = StringIO()
    show(TrialsTable([record(n) for n in range(3)]), stream)
    assert "no room" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
