"""No infeasible config is trained, none costs a slot, and the samplers learn where the limit lies."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from lease_workers import claimed, worker
from optuna.trial import FrozenTrial
from service import STUDY, Search

from search.errors import NoFeasibleConfig, SpaceError, StudyError
from search.launcher.creation import probe
from search.loading import constraints_of
from search.objective import Constraint, Description, Params
from search.retraining.ablate import AblateRequest, prepared
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.samplers.ask import ask, history_of
from search.samplers.choose import DrawHistory, choose, infeasible_trial, next_number, trial_of
from search.samplers.feasibility import Constraints, Feasibility, feasible_share, uniform_draws
from search.samplers.gp import whole_trials
from search.spec.grid import point
from search.spec.spec import Spec, load_spec
from search.study.open import find_study, open_study
from search.study.study import Study
from search.study.warm_start import inherit
from search.worker.worker import Worker
from storage import studies

CAPPED = """\
objective: toy
study:
  trials: 12
  smooth: 1
  sampler: {kind: random, seed: 3}
  pruner: {kind: none}
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0}
  cap: 0.3
  epochs: 1
known:
  - {name: by hand, x: 0.1, y: 0.5}
"""
SAMPLERS = ["{kind: random}", "{kind: qmc}", "{kind: tpe}"]


def spec_of(folder: Path, *overrides: str, document: str = CAPPED) -> Spec:
    (folder / "space.yaml").write_text(document)
    return load_spec(folder / "space.yaml", overrides=overrides)


def limits() -> Constraints:
    return constraints_of(toy, toy.describe({}, None))


def counted(calls: list[Params]) -> Constraints:
    """The toy's constraints, noting what they were asked about."""
    inner = constraints_of(toy, toy.describe({}, None))

    def ask_about(params: Params) -> Any:
        calls.append(params)
        return inner(params)

    return ask_about


def capped(search: Search, *overrides: str, trials: int = 12) -> Study:
    (search.folder / "space.yaml").write_text(CAPPED)
    return search.create(*overrides, trials=trials)


# -- the draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_draw_of_any_sampler_is_infeasible(tmp_path: Path, sampler: str) -> None:
    spec = spec_of(tmp_path, f"study.sampler={sampler}")
    feasibility = Feasibility(spec.space, limits())
    trials = []
    for slot in range(20):
        taken = {point(spec.space, trial.params): [trial.number] for trial in trials}
        shown = [feasibility.shown(trial) for trial in trials]
        draw = choose(spec, slot, DrawHistory(shown, slot, taken, feasibility=feasibility))
        assert float(draw.params["x"]) <= 0.3
        trials.append(trial_of(spec, slot, draw.params, float(draw.params["x"])))
    assert feasibility.infeasible, "or nothing was put to the test"


def test_without_constraints_the_draws_are_what_they_were(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "cap=null", "study.sampler={kind: tpe, seed: 3}")
    dice = np.random.default_rng(0)
    trials = [
        trial_of(spec, number, {"x": float(x), "y": float(y)}, float(x))
        for number, (x, y) in enumerate(dice.uniform(size=(15, 2)))
    ]
    asked = Feasibility(spec.space, limits())
    for slot in range(15, 20):
        alone = choose(spec, slot, DrawHistory(trials, slot, {}))
        assert choose(spec, slot, DrawHistory(trials, slot, {}, feasibility=asked)) == alone
    assert not asked.checked


def test_tpe_moves_away_from_what_was_refused(tmp_path: Path) -> None:
    """The score rises towards the limit: TPE that is told nothing runs into it at each draw."""
    spec = spec_of(tmp_path, "study.sampler={kind: tpe, seed: 1}")
    dice = np.random.default_rng(1)
    points = [{"x": float(x), "y": float(y)} for x, y in dice.uniform(size=(40, 2))]
    feasible = [params for params in points if params["x"] <= 0.3]
    trials = [trial_of(spec, number, params, params["x"]) for number, params in enumerate(feasible)]
    told = told_of(spec, trials, points)

    def refused(history: list[FrozenTrial]) -> int:
        """How many of 12 slots have an infeasible first draw."""
        draws = [choose(spec, slot, DrawHistory(history, slot, {})).params for slot in range(40, 52)]
        return sum(float(params["x"]) > 0.3 for params in draws)

    assert refused(trials) >= 9 and refused(told) <= 4


def test_the_gp_is_shown_where_the_limit_lies(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "study.sampler={kind: gp, seed: 1, n_startup_trials: 3}")
    trials = [trial_of(spec, number, {"x": x, "y": 0.5}, x) for number, x in enumerate([0.1, 0.3])]
    told = told_of(spec, trials, [{"x": 0.6, "y": 0.5}, {"x": 0.9, "y": 0.5}])
    views = whole_trials(spec, told)
    assert [view.value for view in views] == pytest.approx([0.1, 0.3, 0.2, 0.2]), "the mean of the others"
    assert [view.constraints["cap"] for view in views] == pytest.approx([-0.2, 0.0, 0.3, 0.6])
    assert 0 <= choose(spec, 4, DrawHistory(told, 4, {})).params["x"] <= 1, "one limit for every trial"


def told_of(spec: Spec, trials: list[FrozenTrial], refused: list[dict[str, float]]) -> list[FrozenTrial]:
    """The trials with their violations, and after them those of `refused` that are infeasible."""
    feasibility = Feasibility(spec.space, limits())
    told = [feasibility.shown(trial) for trial in trials]
    for config in [feasibility.of(params) for params in refused]:
        if not config.feasible:
            told.append(infeasible_trial(spec, next_number(0, told), config))
    return told


def test_a_finite_space_is_used_up_and_then_repeats_its_feasible_configs(tmp_path: Path) -> None:
    grid = ("x={low: 0.0, high: 1.0, step: 0.1}", "y={choices: [0.0, 0.5]}", "cap=0.25")
    spec = spec_of(tmp_path, *grid)
    feasibility = Feasibility(spec.space, limits())
    taken: dict[str, list[int]] = {}
    trials = []
    for slot in range(8):
        draw = choose(spec, slot, DrawHistory(trials, slot, taken, feasibility=feasibility))
        assert float(draw.params["x"]) <= 0.25
        taken.setdefault(draw.point, []).append(slot)
        trials.append(trial_of(spec, slot, draw.params, float(draw.params["x"])))
    assert len(taken) == 6, "0.0, 0.1 and 0.2, each with two values of y; then two of them again"


# -- the share -------------------------------------------------------------------------------------


def test_the_share_of_a_small_space_is_exact(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "x={low: 0.0, high: 1.0, step: 0.1}", "y={choices: [0.0, 0.5]}", "cap=0.25")
    share = feasible_share(spec, limits())
    assert share.whole and (share.rate.count, share.rate.trials) == (6, 22)
    assert share.rate.low == share.rate.high == share.rate.share == 6 / 22


def test_the_share_of_a_large_space_is_estimated_by_uniform_draws(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    share = feasible_share(spec, limits())
    draws = uniform_draws(spec)
    assert not share.whole and share.rate.trials == len(draws) == 200
    assert share.rate.count == sum(float(params["x"]) <= 0.3 for params in draws)
    assert share.rate.low < 0.3 < share.rate.high, "the share of this space"


# -- what is refused -------------------------------------------------------------------------------


def test_an_infeasible_known_config_is_refused_when_the_study_is_created(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as error:
        probe(spec_of(tmp_path, document=CAPPED.replace("cap: 0.3", "cap: 0.05")), None)
    place = f"{tmp_path / 'space.yaml'}:10:3"
    assert (
        str(error.value) == f"{place}: known config 'by hand': cap: x 0.100 is above 0.05; make it smaller"
    )


def test_a_space_without_a_feasible_config_is_refused_when_the_study_is_created(tmp_path: Path) -> None:
    document = CAPPED.partition("known:")[0].replace("cap: 0.3", "cap: -1.0")
    with pytest.raises(
        SpaceError, match=r":10:3: none of 200 draws is feasible: cap: x 0\.\d+ is above -1"
    ):
        probe(spec_of(tmp_path, document=document), None)


# -- in the database -------------------------------------------------------------------------------


def test_refused_draws_are_kept_for_all_workers_and_use_no_slot(search_on_each: Search) -> None:
    study = capped(search_on_each)
    first, second = worker(study.engine, study.id, "first"), worker(study.engine, study.id, "second")
    calls: list[Params] = []
    for number in range(12):
        mine = (first, second)[number % 2]
        lease = claimed(mine)
        task = ask(study, mine, lease, constraints=counted(calls))
        assert task is not None and lease.number == lease.slot == number and task.params["x"] <= 0.3
        assert ask(study, mine, lease, constraints=counted(calls)) == task, "whoever asks again"
        assert mine.finish(lease, "COMPLETE", task.params["x"], {"seed": 3})
    assert first.claim() == "spent"
    checked = study.samples.checked()
    assert len(calls) == len(checked), "each config is held against the constraints once"
    refused = [config for config in checked.values() if not config.feasible]
    assert refused and len(checked) == 12 + len(refused)
    assert all(config.violations == {"cap": config.params["x"] - 0.3} for config in checked.values())
    assert search_on_each.count("SELECT count(*) FROM trials") == 12


def test_a_trial_taken_over_before_its_config_was_stored_gets_the_same_config(
    search_on_each: Search,
) -> None:
    """Nothing of a draw is stored without its config, so the next owner draws from the same."""
    study = capped(search_on_each)
    first, second = worker(study.engine, study.id, "first"), worker(study.engine, study.id, "second")
    assert ask(study, first, claimed(first), constraints=limits()) is not None  # the known config
    lease = claimed(first)
    drawn = choose(study.spec, lease.slot, history_of(study, lease, constraints=limits()))
    first.release(lease)
    again = claimed(second)
    task = ask(study, second, again, constraints=limits())
    assert again.number == lease.number and again.attempt == 2
    assert task is not None and {name: task.params[name] for name in drawn.params} == drawn.params


def test_workers_that_draw_at_once_share_what_was_refused(search_on_each: Search) -> None:
    study = capped(search_on_each, trials=16)
    barrier = threading.Barrier(4)
    drawn: list[Params] = []

    def work(name: str) -> None:
        mine_too = open_study(search_on_each.url, STUDY)
        mine = worker(mine_too.engine, mine_too.id, name)
        for _ in range(4):
            lease = claimed(mine)
            barrier.wait(60)
            task = ask(mine_too, mine, lease, constraints=limits())
            assert task is not None
            drawn.append(task.params)
            assert mine.finish(lease, "COMPLETE", 0.5, {"seed": 3})
        mine_too.engine.dispose()

    threads = [threading.Thread(target=work, args=[f"worker {number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(drawn) == len({params["x"] for params in drawn}) == 16
    assert all(params["x"] <= 0.3 for params in drawn)
    checked = study.samples.checked().values()
    assert sum(config.feasible for config in checked) == 16
    assert search_on_each.count("SELECT count(*) FROM search_leases") == 16


def test_workers_that_are_killed_leave_a_budget_that_is_exact(search_on_postgres: Search) -> None:
    search = search_on_postgres
    (search.folder / "space.yaml").write_text(CAPPED.replace("epochs: 1", "epochs: 3\n  seconds: 0.1"))
    start = search.spawn("start", "--space", "space.yaml", "--trials", "7", "--workers", "2")
    search.wait(lambda: len(search.records()) >= 4)
    os.kill(search.pids()[0], signal.SIGKILL)
    search.ends(start)
    records = search.finished(7, epochs=3)
    assert all(record.params["x"] <= 0.3 for record in records)
    study = open_study(search.url, STUDY)
    checked = study.samples.checked().values()
    study.engine.dispose()
    assert sum(config.feasible for config in checked) == 7 < len(checked)


def test_a_study_that_finds_nothing_feasible_ends_with_one_line_and_gives_its_trial_back(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = capped(search)
    monkeypatch.setattr("search.samplers.choose.INFEASIBLE_UNIFORM", 20)
    monkeypatch.setattr("toy.constraints", nothing_feasible)
    for _ in range(2):
        worker = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
        with pytest.raises(NoFeasibleConfig) as error:
            worker.run(Interrupt())
        assert "\n" not in str(error.value)
        assert "'toy': none of 52 draws is feasible: cap: too much; give up (the" in str(error.value)
    (record,) = search.records()
    assert (record.state, record.attempts, record.params) == ("running", 2, {})


def nothing_feasible(config: Params, description: Description | None) -> list[Constraint]:
    return [Constraint(name="cap", violation=1.0, text="cap: too much; give up")]


# -- other studies ---------------------------------------------------------------------------------


def test_a_study_that_starts_from_another_leaves_its_infeasible_trials_out(search: Search) -> None:
    """Another cap alone is no reason to leave a trial out: it changes no score."""
    (search.folder / "space.yaml").write_text(CAPPED)
    study = search.create("cap=0.9", trials=8)
    mine, xs = worker(study.engine, study.id, "mine"), []
    for _ in range(8):
        lease = claimed(mine)
        task = ask(study, mine, lease, constraints=limits())
        assert task is not None and mine.finish(lease, "COMPLETE", 0.5, {"seed": 3})
        xs.append(task.params["x"])
    spec = load_spec(search.folder / "space.yaml")
    origin = inherit(study, spec, toy.describe({}, None), limits())
    feasible = [number for number, x in enumerate(xs) if x <= 0.3]
    assert [trial.number for trial in origin.trials] == feasible and 1 < len(feasible) < 8
    assert origin.left_out == {"infeasible by cap": tuple(n for n in range(8) if n not in feasible)}


def test_an_infeasible_config_is_not_retrained(search: Search) -> None:
    """Whether an ablation's configs keep the study's constraints is known before anything is planned."""
    study = capped(search, trials=3)
    mine = worker(study.engine, study.id, "mine")
    for _ in range(3):
        lease = claimed(mine)
        assert ask(study, mine, lease, constraints=limits()) is not None
        assert mine.report(lease, 1, 1, 0.5) and mine.finish(lease, "COMPLETE", 0.5, {"seed": 3})
    assert prepared(study, AblateRequest(a="0", b="1", name="allowed"), search.folder)[0].plan is not None
    space = {**study.spec.document["space"], "cap": 0.05}
    studies.set_document(study.engine, study.id, {**study.spec.document, "space": space})
    with pytest.raises(StudyError, match=r"^ablate: x: cap: x 0\.\d+ is above 0.05; make it smaller$"):
        prepared(open_study(search.url, STUDY), AblateRequest(a="0", b="2", name="refused"), search.folder)
    assert find_study(search.url, "refused") is None
