"""What is drawn: jointly, aware of who is running, and never the same twice but on purpose."""

import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pytest
from lease_workers import claimed, worker
from service import STUDY, Search

from search.objective import EpochResult, Run
from search.report.collect import collect_report_data
from search.runtime.signals import Interrupt
from search.samplers.ask import Task, ask, repeat_seed
from search.samplers.choose import DrawHistory, choose, sample_of, trial_of
from search.samplers.gp import whole_trials
from search.spec.grid import configs, point
from search.spec.spec import Spec, load_spec
from search.study.open import open_study
from search.study.read import read_records, read_snapshot
from search.study.study import Study
from storage.samples import frozen

DISCRETE = """\
objective: toy
study:
  trials: 10
  smooth: 1
  sampler: {kind: random, seed: 7}
  pruner: {kind: none}
space:
  x: {low: 0.0, high: 0.3, step: 0.1}
  kind: {choices: [plain, bent]}
  bend: {choices: [1, 2], when: {kind: bent}}
  epochs: 1
known:
  - {name: by hand, x: 0.2, kind: plain}
"""
POINTS = 4 + 4 * 2

BRANCHES = """\
objective: toy
study: {sampler: {kind: tpe, seed: 1}}
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0}
  kind: {choices: [plain, bent]}
  first: {low: 0.0, high: 1.0, when: {kind: bent}}
  second: {low: 0.0, high: 1.0, when: {kind: bent}}
"""


def spec_of(folder: Path, document: str, sampler: str = "{kind: random, seed: 7}") -> Spec:
    path = folder / "space.yaml"
    path.write_text(document)
    return load_spec(path, overrides=[f"study.sampler={sampler}"])


def drawn(spec: Spec, trials: list[optuna.trial.FrozenTrial], slot: int) -> dict[str, object]:
    taken = {point(spec.space, trial.params): [trial.number] for trial in trials}
    return dict(choose(spec, slot, DrawHistory(trials, len(trials), taken)).params)


# -- points ----------------------------------------------------------------------------------------


def test_equal_configs_have_equal_point_names(tmp_path: Path) -> None:
    space = spec_of(tmp_path, DISCRETE).space
    computed, written = {"x": 0.1 + 0.2, "kind": "plain"}, {"x": 0.3, "kind": "plain", "epochs": 1}
    assert computed["x"] != written["x"]
    assert point(space, computed) == point(space, written)
    assert point(space, {"x": 0.3, "kind": "bent", "bend": 1}) != point(space, computed)


def test_configs_lists_every_config_of_a_finite_space(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, DISCRETE)
    every = list(configs(spec.space))
    assert len(every) == len({point(spec.space, params) for params in every}) == POINTS
    for params in every:
        spec.space.check(params)
    assert not list(configs(spec_of(tmp_path, BRANCHES).space)), "a range of floats has no end"


# -- never twice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampler",
    ["{kind: random, seed: 7}", "{kind: tpe, seed: 7, n_startup_trials: 3}", "{kind: qmc, seed: 7}"],
)
def test_every_point_is_drawn_once_and_then_the_best_ones_in_turn(tmp_path: Path, sampler: str) -> None:
    """Also by a sampler that has seen which is best and would draw it for ever."""
    spec = spec_of(tmp_path, DISCRETE, sampler)
    trials: list[optuna.trial.FrozenTrial] = []
    taken: dict[str, list[int]] = {}
    repeats = []
    for slot in range(POINTS + 7):
        draw = choose(spec, slot, DrawHistory(trials, slot, taken))
        assert draw.repeat == len(taken.get(draw.point, []))
        if draw.repeat:
            repeats.append((draw.of, draw.repeat))
        taken.setdefault(draw.point, []).append(slot)
        quality = 1.0 if draw.params["kind"] == "bent" else 0.0
        trials.append(trial_of(spec, slot, draw.params, quality - float(draw.params["x"])))
    assert trials[0].params == {"x": 0.2, "kind": "plain"}
    assert len(taken) == POINTS
    best = sorted(range(POINTS), key=lambda number: -(trials[number].value or 0.0))[:5]
    assert repeats == [*((number, 1) for number in best), (best[0], 2), (best[1], 2)]


def test_a_known_config_is_drawn_by_its_own_slot_only(search: Search) -> None:
    """Slot 1 draws while slot 0 has not stored its known config yet."""
    study = discrete(search, trials=POINTS)
    leases = [worker(study.engine, study.id, f"{number}") for number in range(POINTS)]
    held = [claimed(each) for each in leases]
    tasks = {
        lease.slot: ask(study, mine, lease) for mine, lease in reversed([*zip(leases, held, strict=True)])
    }
    params = [task.params for task in tasks.values() if task]
    assert len({point(study.spec.space, each) for each in params}) == POINTS
    known = tasks[0]
    assert known is not None and known.params["x"] == pytest.approx(0.2) and known.params["kind"] == "plain"


def test_workers_that_draw_at_once_draw_different_points(tmp_path: Path, url: str) -> None:
    """All ask at one moment, again and again, until more than everything is drawn."""
    search = Search(tmp_path / "work", url, DISCRETE)
    crowd = 5
    rounds, extra = divmod(POINTS + 3, crowd)
    assert extra == 0
    discrete(search, trials=POINTS + 3)
    barrier = threading.Barrier(crowd)
    tasks: list[Task] = []

    def work(name: str) -> None:
        study = open_study(url, STUDY)
        mine = worker(study.engine, study.id, name)
        for _ in range(rounds):
            lease = claimed(mine)
            barrier.wait(60)
            task = ask(study, mine, lease)
            assert task is not None
            tasks.append(task)
            assert mine.report(lease, 1, 1, 0.5) and mine.finish(lease, "COMPLETE", 0.5, {"seed": 7})
        study.engine.dispose()

    threads = [threading.Thread(target=work, args=[f"worker {number}"]) for number in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    study = open_study(url, STUDY, read_only=True)
    records = read_records(study)
    names = [point(study.spec.space, record.params) for record in records]
    again = [record for record in records if record.repeat_of is not None]
    assert len(tasks) == POINTS + 3 and len(set(names)) == POINTS and len(again) == 3
    for record in again:
        assert record.repeat_of is not None
        assert names[record.number] == names[record.repeat_of] and record.seed != 7
    assert {record.seed for record in records if record.repeat_of is None} == {7}
    study.engine.dispose()


# -- repeats ---------------------------------------------------------------------------------------


def test_a_repeat_has_its_own_seed_is_recorded_and_is_never_the_best(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where that seed is a lucky one."""
    from search.runtime.devices import Device
    from search.worker.worker import Worker

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        luck = 0.0 if run.seed == 7 else 0.5
        yield EpochResult(epoch=1, epochs=1, score=luck - abs(config["x"] - 0.1))

    monkeypatch.setattr("toy.train", train)
    study = discrete(search, trials=POINTS + 1)
    mine = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    assert mine.run(Interrupt()) == 0
    (again,) = (record for record in read_records(study) if record.repeat_of is not None)
    assert again.number == POINTS and again.seed == repeat_seed(7, 1)
    snapshot = read_snapshot(study)
    assert snapshot.best is not None and snapshot.best.number == again.repeat_of
    assert snapshot.best.value == pytest.approx(0.0) and again.value == pytest.approx(0.5)
    reported = {record.number for record in collect_report_data(study, search.folder / "runs").complete}
    assert reported == set(range(POINTS)), "nor does a report count its config twice"
    frozen = study.optuna.trials[POINTS]
    assert frozen.user_attrs["repeat_of"] == again.repeat_of and frozen.user_attrs["seed"] == again.seed


def test_a_repeat_that_is_taken_over_keeps_its_seed(search: Search) -> None:
    study = discrete(search, trials=POINTS + 1)
    first, second = worker(study.engine, study.id, "first"), worker(study.engine, study.id, "second")
    for _ in range(POINTS):
        lease = claimed(first)
        assert ask(study, first, lease) is not None
        first.report(lease, 1, 1, 0.5)
        first.finish(lease, "COMPLETE", 0.5, {"seed": 7})
    lease = claimed(first)
    task = ask(study, first, lease)
    first.release(lease)
    taken = claimed(second)
    assert taken.number == lease.number
    assert task is not None and task.seed == repeat_seed(7, 1)
    assert ask(study, second, taken) == task


# -- TPE -------------------------------------------------------------------------------------------


def test_tpe_samples_jointly_within_a_branch(tmp_path: Path) -> None:
    """Where only the difference of two parameters counts, both are drawn together."""
    spec = spec_of(tmp_path, BRANCHES, "{kind: tpe, seed: 1}")
    dice = np.random.default_rng(0)
    trials = []
    for number in range(80):
        x, y, first, second = dice.uniform(size=4)
        params = {"x": x, "y": y, "kind": "plain"}
        score = -abs(x - y)
        if number % 2:
            params |= {"kind": "bent", "first": first, "second": second}
            score -= abs(first - second)
        trials.append(trial_of(spec, number, params, score))
    draws = [drawn(spec, trials, slot) for slot in range(80, 140)]
    bent = [draw for draw in draws if draw["kind"] == "bent"]
    assert len(bent) >= 5
    # A third is what two independent uniform numbers differ by, and what two medians would.
    assert fmean(abs(draw["x"] - draw["y"]) for draw in draws) < 0.2  # type: ignore[operator]
    assert fmean(abs(draw["first"] - draw["second"]) for draw in bent) < 0.2  # type: ignore[operator]


def test_tpe_avoids_the_configs_of_running_trials(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, BRANCHES, "{kind: tpe, seed: 1}")
    dice = np.random.default_rng(0)
    trials = []
    for number in range(30):
        x, y = dice.uniform(size=2)
        trials.append(trial_of(spec, number, {"x": x, "y": y, "kind": "plain"}, -abs(x - 0.5)))
    running = [
        trial_of(spec, number, {"x": x, "y": y, "kind": "plain"})
        for number, (x, y) in enumerate(
            zip(dice.normal(0.5, 0.04, 16), dice.uniform(size=16), strict=True), 30
        )
    ]
    alone = fmean(abs(drawn(spec, trials, slot)["x"] - 0.5) for slot in range(46, 86))  # type: ignore[operator]
    beside = fmean(
        abs(drawn(spec, [*trials, *running], slot)["x"] - 0.5)  # type: ignore[operator]
        for slot in range(46, 86)
    )
    assert beside > 1.3 * alone


# -- GP --------------------------------------------------------------------------------------------


def test_the_gp_is_shown_whole_trials(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, BRANCHES, "{kind: gp, seed: 1}")
    state = optuna.trial.TrialState
    plain, bent = {"x": 0.1, "y": 0.2, "kind": "plain"}, {"x": 0.3, "y": 0.4, "kind": "bent"}
    bent |= {"first": 0.9, "second": 0.8}
    sample = sample_of(spec, plain)
    trials = [
        trial_of(spec, 0, plain, 0.5),
        trial_of(spec, 1, bent, 0.7),
        frozen(2, state.PRUNED, 0.1, sample),
        frozen(3, state.PRUNED, 0.6, sample),
        frozen(4, state.PRUNED, None, sample),
        trial_of(spec, 5, bent),
        frozen(6, state.RUNNING, None, {}),
    ]
    views = whole_trials(spec, trials)
    assert [view.number for view in views] == [0, 1, 2, 3, 5]
    assert [view.value for view in views] == [0.5, 0.7, 0.5, 0.6, None]
    assert [view.state for view in views] == [state.COMPLETE] * 4 + [state.RUNNING]
    assert all(view.params.keys() == view.distributions.keys() == bent.keys() for view in views)
    assert views[0].params["first"] == pytest.approx(0.5) and views[1].params["first"] == 0.9


def test_the_gp_finds_the_peak_after_a_dozen_trials(tmp_path: Path) -> None:
    """Half of them pruned, some in a branch, one running: stock would see six, and not enough to begin."""
    spec = spec_of(tmp_path, BRANCHES, "{kind: gp, seed: 1}")
    dice = np.random.default_rng(1)
    trials: list[optuna.trial.FrozenTrial] = []
    for number in range(12):
        x, y, first, second = dice.uniform(size=4)
        params = {"x": x, "y": y, "kind": "plain"}
        params |= {"kind": "bent", "first": first, "second": second} if number % 3 == 0 else {}
        trials.append(trial_of(spec, number, params, -((x - 0.3) ** 2) - (y - 0.6) ** 2))
        if number % 2:
            trials[-1].state = optuna.trial.TrialState.PRUNED
    trials.append(trial_of(spec, 12, {"x": 0.9, "y": 0.9, "kind": "plain"}))
    for slot in (13, 14):
        draw = drawn(spec, trials, slot)
        spec.space.check(draw)
        assert abs(draw["x"] - 0.3) < 0.15 and abs(draw["y"] - 0.6) < 0.15  # type: ignore[operator]


def discrete(search: Search, trials: int) -> Study:
    (search.folder / "space.yaml").write_text(DISCRETE)
    return search.create(trials=trials)
