"""`search ablate`: what lies between two configs, and which of it made the difference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service import Answer, Search

from search.analysis.changes import between, changes_between, combinations
from search.analysis.effects import Effects, next_round
from search.analysis.paired_seeds import Estimate
from search.retraining import confirm
from search.retraining.study import deleted_races, retraining_studies
from search.spec.spec import load_spec
from search.study.open import open_study
from storage import plans

Command = Callable[..., Answer]

DOCUMENT = """\
objective: toy
space:
  rate: {low: 0.0, high: 1.0}
  kind: {choices: [plain, bent, loud]}
  bend: {low: 1, high: 9, when: {kind: [bent, loud]}}
  twist: {low: 1, high: 9, when: {kind: bent}}
  epochs: 4
"""


# -- what lies between -----------------------------------------------------------------------------


def test_what_depends_on_a_condition_goes_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(DOCUMENT)
    space = load_spec(path).space
    plain, bent = {"rate": 0.1, "kind": "plain"}, {"rate": 0.1, "kind": "bent", "bend": 2, "twist": 3}
    loud = {"rate": 0.2, "kind": "loud", "bend": 5}
    assert changes_between(space, plain, plain) == []
    assert changes_between(space, plain, bent) == [
        {"kind": ("plain", "bent"), "bend": (None, 2), "twist": (None, 3)}
    ]
    rate, kind, bend = changes_between(space, bent, loud)
    assert list(rate) == ["rate"] and list(kind) == ["kind", "twist"] and bend == {"bend": (2, 5)}
    assert between(space, bent, loud, kind) == {"rate": 0.1, "kind": "loud", "bend": 2}
    assert between(space, bent, loud, bend) == {**bent, "bend": 5}
    assert between(space, bent, loud, {*rate, *kind, *bend}) == loud
    assert between(space, loud, bent, {"kind", "twist"}) == {**bent, "rate": 0.2, "bend": 5}
    for a, b in [(plain, bent), (bent, loud), (loud, plain)]:
        changes = changes_between(space, a, b)
        for made in combinations(changes):
            space.check(between(space, a, b, {name for index in made for name in changes[index]}))


def test_the_configs_of_an_ablation() -> None:
    assert combinations([{}]) == [(), (0,)]
    assert combinations([{}] * 2) == [(), (0,), (1,), (0, 1)]
    assert combinations([{}] * 3) == [(), (0,), (1,), (2,), (0, 1, 2), (0, 1), (0, 2), (1, 2)]


# -- effects, against a truth that is known --------------------------------------------------------


def ablated(
    seed: int, effects: list[float], pairs: dict[tuple[int, int], float]
) -> tuple[Effects, list[Any]]:
    """A whole ablation of a simulated objective; the effects, and the cells of each round."""
    made = combinations([{} for _ in effects])
    opening = sum(len(each) in (0, 1, len(effects)) for each in made)
    truth = [
        sum(effects[change] for change in each)
        + sum(size for pair, size in pairs.items() if {*pair} <= {*each})
        for each in made
    ]
    rng = np.random.default_rng(seed)
    full = (
        np.array(truth)[:, None] + 0.003 * rng.normal(size=(1, 6)) + 0.005 * rng.normal(size=(len(made), 6))
    )
    seen, rounds = np.full((len(made), 0), np.nan), []
    while cells := next_round(seen, made, opening, 3, 6):
        wider = np.full((len(made), max(seen.shape[1], *(block + 1 for _, block in cells))), np.nan)
        wider[:, : seen.shape[1]] = seen
        for cell in cells:
            assert np.isnan(wider[cell]), "a config was asked for twice with one seed"
            wider[cell] = full[cell]
        seen = wider
        rounds.append(cells)
    return Effects(seen, made), rounds


def holds(estimate: Estimate | None, truth: float) -> bool:
    return estimate is not None and estimate.low <= truth <= estimate.high


def test_two_changes_and_what_they_do_together() -> None:
    """benchmarks/confirm_calibration.py does it at length."""
    found = [ablated(seed, [0.009, 0.001], {(0, 1): 0.012})[0] for seed in range(40)]
    assert sum(holds(each.alone[0], 0.009) for each in found) >= 34
    assert sum(holds(each.alone[1], 0.001) for each in found) >= 34
    assert sum(holds(each.total, 0.022) for each in found) >= 34
    assert sum(holds(each.pairs[0].interaction, 0.012) for each in found) >= 34
    assert all(each.unexplained == each.pairs[0].interaction for each in found)


def test_the_pair_that_interacts_is_trained_and_the_others_are_not() -> None:
    found = [ablated(seed, [0.012, 0.004, -0.005], {(0, 1): 0.04})[0] for seed in range(20)]
    assert sum((0, 1) in [pair.changes for pair in each.pairs] for each in found) >= 18
    assert sum(len(each.pairs) for each in found) <= 45
    none = [ablated(seed, [0.012, 0.004, -0.005], {})[0] for seed in range(20)]
    assert sum(len(each.pairs) for each in none) <= 6
    assert sum(holds(each.unexplained, 0.0) for each in none) >= 17


def test_seeds_go_to_the_large_effects_first() -> None:
    effects, rounds = ablated(1, [0.001, 0.05, 0.012], {})
    assert rounds[0] == [(config, block) for block in range(3) for config in range(5)]
    for cells in rounds[1:]:
        blocks = {block for _, block in cells}
        if len(blocks) == 1:
            sizes = [abs(effects.alone[config - 1].value) for config, _ in cells[2:]]  # type: ignore[union-attr]
            assert [config for config, _ in cells[:2]] == [0, 4]
            assert sizes == sorted(sizes, reverse=True)
    asked = [config for cells in rounds for config, _ in cells]
    assert asked.count(2) == 3, "what is plain at the first look needs no more"
    assert asked.count(1) == 3, "what is small beside it needs no more"


# -- the command -----------------------------------------------------------------------------------


def test_from_the_known_config_to_another(search: Search, command: Command) -> None:
    search.create("noise=0.001", trials=5)
    command("worker")
    trials = command("trials", "--json").json
    bent = next(trial for trial in trials if trial["params"]["kind"] == "bent")
    ablate = ("ablate", "by hand", str(bent["number"]), "--study", "toy")
    made = command(*ablate, "--workers", "0", "--json")
    name = f"toy-ablate-0-{bent['number']}"
    assert "2 changes lie between by hand and" in made.err and "kind+bend" in made.err
    assert made.json["study"] == name and not made.json["ended"]
    command("worker", "--study", name)
    answer = command(*ablate, "--json").json  # with this machine, which finds it done
    assert answer["ended"] and answer["noise"] > 0
    by_change = {each["change"].split()[0]: each for each in answer["effects"]}
    gain = bent["value"] - trials[0]["value"]
    assert by_change["x"]["verdict"] == "hurts" and by_change["kind"]["verdict"] in ("small", "not settled")
    assert by_change["x"]["effect"]["value"] == pytest.approx(gain, abs=0.005)
    assert by_change["kind"]["effect"]["value"] == pytest.approx(0.0, abs=0.005)
    assert answer["total"]["value"] == pytest.approx(gain, abs=0.005)
    assert answer["pairs"][0]["interaction"] == answer["unexplained"]
    trained = command("trials", "--study", name, "--json").json
    assert {trial["params"]["kind"] for trial in trained} == {"plain", "bent"}
    assert len({trial["seed"] for trial in trained}) >= 3 and 7 not in {trial["seed"] for trial in trained}
    shown = command(*ablate, "--workers", "0").out
    assert "beyond the sum of each alone" in shown and "nexplained" not in shown, (
        "of two changes B is the pair"
    )

    study = open_study(search.url, "toy")
    race, _ = confirm.prepared(study, confirm.ConfirmRequest(), search.runs.parent)
    slots = plans.slots(race.engine, race.id)
    assert slots and not {slot.seed for slot in slots} & {trial["seed"] for trial in trained}
    assert deleted_races(study, [race]) == 0
    command("delete", "--study", race.name, "--yes")
    assert deleted_races(study, []) == 1
    again, _ = confirm.prepared(study, confirm.ConfirmRequest(name="again"), search.runs.parent)
    assert not {slot.seed for slot in slots} & {s.seed for s in plans.slots(again.engine, again.id)}
    found = retraining_studies(study)
    assert [each.name for each in (*found["confirm"], *found["ablate"])] == ["again", name]

    refused = command(*ablate, "--workers", "0", "--seeds", "9", code=2)
    assert f"{name!r} was made with --seeds 6 (given: 9)" in refused.err
    assert "the same config" in command("ablate", "0", "by hand", "--study", "toy", code=2).err
    assert "is not a trial" in command("ablate", "0", "77", "--study", "toy", code=2).err
