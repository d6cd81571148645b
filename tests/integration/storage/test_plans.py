"""The plan of a study that retrains: stored once, grown by one of many."""

import threading
from dataclasses import replace

from service import Search

from search.study.plan import Plan, PlannedConfig, Prediction
from storage import plans
from storage.plans import Slot
from storage.studies import find


def plan() -> Plan:
    return Plan(
        kind="ablate",
        of="toy",
        configs=[
            PlannedConfig(name="A", number=0, params={"x": 0.3}, value=0.7),
            PlannedConfig(
                name="B", number=None, params={"x": 0.1, "kind": "plain"}, value=None, changes=(0, 1)
            ),
        ],
        first=3,
        last=6,
        trials=None,
        seed=7,
        split="data.split_seed",
        asked={"top": 3},
        changes=[{"x": (0.3, 0.1)}, {"kind": ("bent", "plain"), "bend": (3, None)}],
        predicted=Prediction(curse=0.01, noise=0.005, trials=60),
        values=[0.7, 0.6],
        groups=[],
    )


def test_a_plan_is_stored_as_it_is(search_on_each: Search) -> None:
    study = search_on_each.create()
    assert plans.read(study.engine, study.id) is None and study.plan is None
    plans.create(study.engine, study.id, plan().to_json())
    plans.create(study.engine, study.id, {"another": "plan"})
    stored = plans.read(study.engine, study.id)
    assert stored is not None
    assert Plan.from_json(stored).to_json() == plan().to_json()
    older = {name: value for name, value in stored.items() if name not in ("train", "val")}
    assert Plan.from_json(older).overlap is None, "the sizes of its splits are not known"
    sized = Plan.from_json({**stored, "train": 80, "val": 20})
    assert (sized.overlap, replace(sized, split=None).overlap) == (0.25, 0.0)
    plans.replace(study.engine, study.id, {**plan().to_json(), "trials": 20})
    assert (plans.read(study.engine, study.id) or {})["trials"] == 20


def test_of_many_that_append_one_does(search_on_each: Search) -> None:
    study = search_on_each.create()
    added: list[bool] = []
    more = [Slot(0, 0, 4_294_967_295), Slot(1, 0, 17)]
    begin = threading.Barrier(4)

    def append() -> None:
        begin.wait()
        added.append(plans.append(study.engine, study.id, 0, more))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False, False, False, True]
    assert plans.slots(study.engine, study.id) == more
    assert plans.append(study.engine, study.id, 2, [Slot(1, 1, 3)] * 9)
    assert len(plans.slots(study.engine, study.id)) == 11
    assert plans.slot(study.engine, study.id, 10) == Slot(1, 1, 3)
    assert plans.slot(study.engine, study.id, 11) is None
    row = find(study.engine, study.name)
    assert row is not None and row.trials == 11, "the budget is what is planned"


def test_a_training_says_what_it_is() -> None:
    end = "Retrains B of study toy with the fresh seed 9, number 2 of 6 at most. It is an end of the path"
    assert plan().planned(1, 1, 9).description == f"{end} from A to B."
    configs = [*plan().configs, PlannedConfig(name="x", number=None, params={}, value=None, changes=(0,))]
    between = "Trains A of study toy, except for x as in B, with the fresh seed 8, number 1 of 6 at most."
    assert replace(plan(), configs=configs).planned(2, 0, 8).description == between
    only = replace(plan(), kind="confirm").planned(0, 0, 8)
    assert only.description.endswith("It is the baseline of 1 contender.")
    assert only.constants == {"data.split_seed": 8}


def test_fresh_seeds_are_others_and_never_the_studys() -> None:
    races = [replace(plan(), draw=f"token {race}") for race in ("confirm a", "confirm b", "ablate a")]
    seeds = [race.fresh_seed(block) for race in races for block in range(30)]
    assert len({*seeds, 7}) == 91, "no seed twice, in whichever race"
    assert seeds[:30] == [Plan.from_json(races[0].to_json()).fresh_seed(block) for block in range(30)]
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_plan_of_an_older_version_keeps_the_seeds_it_had() -> None:
    """As commit 13896dc drew them: from the study's seed alone."""
    stored = {name: value for name, value in plan().to_json().items() if name != "draw"}
    old = Plan.from_json(stored)
    assert [old.fresh_seed(block) for block in range(3)] == [402720070, 3223229711, 2214192101]
    assert replace(old, kind="stage", stage=1).fresh_seed(0) == 1933817381
