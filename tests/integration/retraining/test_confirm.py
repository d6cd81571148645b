"""`search confirm` with real processes: fresh seeds, a frozen plan, nothing trained twice.

The toy adds luck to a score that depends on the seed and on x: what a new seed gives is known.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import toy
from optuna_dashboard import get_note
from service import Answer, Search, ended_search

from search.analysis.confirmation import confirmation
from search.retraining import confirm
from search.retraining.answer import read_answer
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.scoring import best_mean
from search.study.create import create_study
from search.study.open import open_study
from search.study.read import read_records
from search.worker.worker import Worker
from storage import plans

Command = Callable[..., Answer]

CONFIRM = ("confirm", "--study", "toy")


@pytest.fixture(scope="module")
def three_trials(tmp_path_factory: pytest.TempPathFactory, prepared_file: Path) -> Search:
    """A search of three trials that has ended."""
    return ended_search(tmp_path_factory.mktemp("searched"), prepared_file, "noise=0.02", trials=3)


@pytest.fixture
def ended(search: Search, three_trials: Search) -> Search:
    """A copy of it that a test may change."""
    search.take(three_trials)
    return search


def searched(search: Search, command: Command, *overrides: str, trials: int = 5) -> list[dict[str, Any]]:
    """A search that has ended; its trials."""
    search.create("noise=0.02", *overrides, trials=trials)
    command("worker")
    found: list[dict[str, Any]] = command("trials", "--json").json
    assert len(found) == trials and {trial["state"] for trial in found} == {"complete"}
    return found


def retrained(command: Command, name: str = "toy-confirm") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command("trials", "--study", name, "--json").json
    return found


def noted(search: Search, name: str) -> tuple[str, list[str]]:
    """What the dashboard shows of a study, and of each of its trials."""
    study = open_study(search.url, name).optuna
    trials = [optuna.trial.Trial(study, trial._trial_id) for trial in study.get_trials()]
    return get_note(study), [get_note(trial) for trial in trials]


def value(params: dict[str, Any], seed: int) -> float:
    """What the toy's config comes to with a seed."""
    scores = [toy.score(params, epoch) + toy.luck({**params, "noise": 0.02}, seed) for epoch in range(1, 5)]
    return best_mean(scores, 2) or 0.0


def check_images(search: Search, answer: dict[str, Any], again: list[dict[str, Any]]) -> None:
    """Every training has kept its scores by image, and they widen the intervals over seeds."""
    folder = search.folder / "runs" / "toy-confirm"
    for trial in again:
        kept = json.loads((folder / f"trial-{trial['number']:04d}" / "images.json").read_text())
        assert (kept["epoch"], kept["score"]) == (trial["best_epoch"], trial["best_score"])
        assert kept["images"].keys() == {f"{image}.png" for image in range(20)}
        assert sum(kept["images"].values()) / 20 == pytest.approx(kept["score"], abs=1e-6)
    assert [each["name"] for each in answer["over_images"]] == [row["name"] for row in answer["contenders"]]
    for row, wider in zip(answer["contenders"], answer["over_images"], strict=True):
        over_seeds, both = row["difference"], wider["difference"]
        assert both["value"] == over_seeds["value"] and wider["images"] == 20 and wider["seeds"] >= 3
        assert both["low"] < over_seeds["low"] - 1e-4 and both["high"] > over_seeds["high"] + 1e-4


def test_the_best_on_fresh_seeds(search: Search, command: Command) -> None:
    trials = searched(search, command, "images=20")
    best = sorted(trials, key=lambda trial: -trial["value"])
    others = [trial for trial in best if trial["number"] != 0]
    made = command(
        *CONFIRM, "--top", "2", "--against", "by hand", "--seeds", "4", "--workers", "0", "--json"
    )
    assert "search worker --study toy-confirm" in made.err
    assert made.json["ended"] is False and made.json["winner"] is None
    command("worker", "--study", "toy-confirm")
    page, pages = noted(search, "toy-confirm")
    answer = command(*CONFIRM, "--workers", "0", "--json").json
    assert answer["ended"] and answer["of"] == "toy"
    assert page == noted(search, "toy-confirm")[0], "the worker that found it ended had told the same"
    planned = answer["trials"]["planned"]
    assert page.startswith("# The best of toy on fresh seeds") and "to come" not in page
    assert f"{planned} of {planned} trainings on fresh seeds have ended" in page

    again = retrained(command)
    check_images(search, answer, again)
    assert "other seeds, these 20 images" in page and "other seeds and images" in page
    assert {trial["state"] for trial in again} == {"complete"}
    seeds = {trial["seed"] for trial in again}
    assert len(seeds) in (3, 4) and not seeds & {trial["seed"] for trial in trials}
    assert len(again) == answer["trials"]["planned"] <= 3 * 4
    contenders = {row["number"]: row for row in answer["contenders"]}
    assert set(contenders) == {trial["number"] for trial in others[:2]}
    assert answer["baseline"]["name"] == "by hand" and answer["baseline"]["number"] == 0
    rows = (*contenders.values(), answer["baseline"])
    for trial in again:
        assert trial["value"] == pytest.approx(value(trial["params"], trial["seed"]))
        (row,) = (row for row in rows if row["params"] == trial["params"])
        page = pages[trial["number"]]
        assert f"Retrains {row['name']} of study toy with the fresh seed {trial['seed']}, number " in page
        contender = "one of 2 contenders, compared with by hand"
        part = contender if row["number"] else "the baseline of 2 contenders"
        assert f" of 4 at most. It is {part}." in page
    for row in rows:
        mine = [trial["value"] for trial in again if trial["params"] == row["params"]]
        assert row["seeds"] == len(mine) and row["mean"]["value"] == pytest.approx(sum(mine) / len(mine))
    luckiest = max(rows, key=lambda row: row["value"])
    assert luckiest["value"] == best[0]["value"]
    luck = luckiest["value"] - luckiest["mean"]["value"]
    assert answer["curse"]["measured"]["value"] == pytest.approx(luck)
    assert answer["curse"]["expected"] is None, "five trials tell nothing of their luck"
    by_hand = answer["baseline"]
    shared = None if luckiest is by_hand else by_hand["value"] - by_hand["mean"]["value"]
    assert answer["curse"]["shared"] == (shared if shared is None else pytest.approx(shared))
    assert answer["winner"]["number"] in contenders and 0 <= answer["winner"]["chance"] <= 1
    shown = command(*CONFIRM, "--workers", "0").out
    # The seeds are drawn anew for every race, so either may turn out better.
    assert "; probability of being better " in shown or "is better than every contender" in shown
    assert "Prior: differences from the baseline are normal around 0" in " ".join(shown.split())
    (pair,) = answer["between"]
    assert set(pair["contenders"]) == {row["name"] for row in contenders.values()}
    assert answer["errors"] == "moderated" and answer["margin"] == 0.005, "the toy has the stock vocabulary"
    assert f"trial {others[0]['number']}" in shown and "baseline" in shown

    assert command("status", "--json").json["budget"]["claimed"] == 5, "the search itself is as it was"
    folder = search.folder / "runs" / "toy-confirm"
    assert len(list(folder.glob("trial-*"))) == len(again)


def test_plain_differences_are_settled_at_the_first_look(search: Search, command: Command) -> None:
    search.create("noise=0.0005", trials=4)
    command("worker")
    command(*CONFIRM, "--workers", "0", "--against", "2", "--seeds", "9")
    command("worker", "--study", "toy-confirm")
    answer = command(*CONFIRM, "--workers", "0", "--json").json
    assert answer["settled"] and answer["ended"] and answer["trials"]["planned"] == 4 * 3
    plan = command(*CONFIRM, "--plan", "--smallest-gain", "0.001", "--json").json
    assert plan["sources"] == ["toy-confirm"] and plan["noise"]["freedom"] == 3 * 2
    assert plan["noise"]["low"] < plan["noise"]["value"] < plan["noise"]["high"] < 0.003
    assert (
        plan["seeds"]["low"] <= plan["seeds"]["needed"] and plan["trainings"] == 4 * plan["seeds"]["needed"]
    )
    shown = " ".join(command(*CONFIRM, "--plan", "--top", "1").out.split())
    assert "A gain of 0.0050 over the baseline needs 3 seeds" in shown
    baseline = answer["baseline"]["value"]
    for row in answer["contenders"]:
        assert row["verdict"] == ("better" if row["value"] > baseline else "worse")
        assert row["settled_after"] == row["seeds"] == 3
        assert row["difference"]["value"] == pytest.approx(row["value"] - baseline, abs=0.003)
        assert row["difference"]["low"] < row["difference"]["value"] < row["difference"]["high"]


def test_killed_and_called_again_it_goes_on(search: Search, command: Command) -> None:
    """Two at once, one of them killed with its worker, the rest done by a worker that joins."""
    searched(search, command, "seconds=0.08", trials=3)
    search.environment["SEARCH_TOY_LOG"] = str(search.folder / "again")
    (search.folder / "again").mkdir()
    asked = (*CONFIRM, "--top", "2", "--seeds", "2")
    first, second = search.spawn(*asked), search.spawn(*asked)

    def trained() -> Counter[str]:
        log = search.folder / "again" / "epochs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(line.rpartition(" ")[0] for line in lines)

    search.wait(lambda: len(trained()) >= 4)
    study = open_study(search.url, "toy-confirm")
    planned = plans.slots(study.engine, study.id)
    assert len(planned) == 6, "both had the same plan"
    first.kill()
    search.wait(lambda: first.poll() is not None)
    search.ends(second)
    before = retrained(command)
    assert {trial["state"] for trial in before} == {"complete"} and len(before) == 6
    pairs = Counter((json.dumps(trial["params"]), trial["seed"]) for trial in before)
    assert set(pairs.values()) == {1}, "a config was trained twice with one seed"
    assert set(trained().values()) <= {1, 2} and sum(trained().values()) <= 6 * 4 + 1
    again = command(*asked, "--json")
    assert again.json["ended"] and retrained(command) == before
    assert plans.slots(study.engine, study.id) == planned


def test_three_workers_race_to_plan_and_one_is_killed(search_on_postgres: Search) -> None:
    """On PostgreSQL: whoever plans a round, it is planned once, and each config has each seed once."""
    search = search_on_postgres
    study = search.create("noise=0.3", "seconds=0.03", trials=3)
    assert Worker(study, search.runs.parent, None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    made, _ = confirm.prepared(study, confirm.ConfirmRequest(top=2, seeds=5), search.runs.parent)
    assert made.plan is not None  # by the rule of an older version, which no small chance of a verdict ends
    plans.replace(made.engine, made.id, replace(made.plan, errors="pooled").to_json())
    search.environment["SEARCH_TOY_LOG"] = str(search.runs)
    log = search.runs / "epochs.log"
    first, *others = [search.spawn("worker", "--study", "toy-confirm") for _ in range(3)]
    search.wait(lambda: log.exists() and f" {first.pid}\n" in log.read_text())
    first.kill()
    for other in others:
        search.ends(other)

    slots = plans.slots(made.engine, made.id)
    assert len(slots) > 9, "nothing was settled after three seeds: there was a second round to plan"
    assert set(Counter((slot.config, slot.block) for slot in slots).values()) == {1}
    assert len({(slot.block, slot.seed) for slot in slots}) == len({slot.block for slot in slots})
    trials = read_records(made)
    assert [trial.state for trial in trials] == ["complete"] * len(slots)
    assert set(Counter((str(trial.params), trial.seed) for trial in trials).values()) == {1}
    epochs = Counter(line.rpartition(" ")[0] for line in log.read_text().splitlines())
    assert len(epochs) == len(slots) * 4 and sum(epochs.values()) <= len(slots) * 4 + 1
    answer = read_answer(confirmation, made)
    assert answer.ended and answer.planned == len(slots) and not answer.lost
    assert (
        f"{len(slots)} of {len(slots)} trainings on fresh seeds have ended"
        in noted(search, "toy-confirm")[0]
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--against", "99"], "--against: 99 is not a trial of study 'toy'; search trials lists them"),
        (["--against", "nobody"], "--against: 'nobody' is neither a trial's number, nor best, nor a known"),
        (["--trials", "5"], "--trials: 5 is too few: 3 configs with 3 seeds need 9"),
        (["--splits"], "--splits: the objective has no constant called split_seed"),
        (["--plan", "--splits"], "--splits: --plan knows how seeds vary on one split, not how splits do"),
        (["--margin", "0"], "--margin: 0.0 is not above 0"),
        (["--margin", "5"], "--margin: 5 is no difference between scores from 0 to 1"),
        (["--plan", "--smallest-gain", "1"], "--smallest-gain: 1 is no difference between scores"),
        (["--as", ""], "it is empty; give a value, or omit the flag"),
        (["--smallest-gain", "0.01"], "--smallest-gain: belongs to --plan; add it, or leave this out"),
        (["--plan"], "--plan: no config of study 'toy' has been trained with two seeds"),
        (["--as", "toy"], "--as: study 'toy' searches; use another name"),
        (["--as", "-x"], "--as: '-x' is not a study's name"),
    ],
)
def test_wrong_flags_of_confirm_are_refused_in_one_line(
    ended: Search, command: Command, flags: list[str], said: str
) -> None:
    answer = command(*CONFIRM, "--workers", "0", *flags, code=2)
    assert said in answer.err and answer.out == "" and len(answer.err.splitlines()) == 1


def test_the_rule_of_a_confirmation_cannot_change_later(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(search, command, "data.split_seed=3", trials=4)
    command(*CONFIRM, "--workers", "0", "--top", "2", "--trials", "9", "--splits")
    refused = command(*CONFIRM, "--workers", "0", "--top", "3", code=2)
    assert "'toy-confirm' was made with --top 2 (given: 3)" in refused.err
    assert command(*CONFIRM, "--workers", "0", "--trials", "12", "--json").json["trials"]["limit"] == 12
    other = command(*CONFIRM, "--workers", "0", "--top", "3", "--as", "other", "--json").json
    assert len(other["contenders"]) == 3 and other["split"] is None
    for flags in (["--trials", "99"], ["--set", "x.high=0.5"]):
        refused = command("start", "--study", "toy-confirm", *flags, code=2)
        assert "retrains trials of 'toy' by a plan" in refused.err
    for study in (["confirm"], ["ablate", "0", "1"]):
        refused = command(*study, "--study", "toy-confirm", "--workers", "0", code=2)
        assert "--study: 'toy-confirm' retrains trials of 'toy'; name that study" in refused.err
    command("worker", "--study", "toy-confirm")
    assert command("status", "--study", "toy-confirm", "--json").json["best"] is None
    lucky = command("best", "--study", "toy-confirm", code=2).err
    assert "see search confirm --study toy --workers 0" in lucky
    assert "search confirm --study toy --as other --workers 0" in command("status", "--study", "other").out
    answer = command(*CONFIRM, "--workers", "0", "--json").json
    assert answer["split"] == "data.split_seed" and answer["curse"]["measured"] is None
    assert answer["split_sizes"] == {"train": 10, "val": 5}, "as the objective describes its data"
    assert answer["over_images"] == []
    for trial in retrained(command):
        with_its_split = {**trial["params"], "data.split_seed": trial["seed"]}
        assert trial["value"] == pytest.approx(value(with_its_split, trial["seed"]))
    described = toy.describe({}, None)
    monkeypatch.setattr(toy, "describe", lambda *_: replace(described, fixed_val=True))
    refused = command(*CONFIRM, "--workers", "0", "--as", "fixed", "--splits", code=2)
    assert "--splits: thin air has a validation part of its own" in refused.err


def test_made_by_halves_it_is_made_whole(ended: Search, command: Command) -> None:
    """A coordinator that dies between study and plan leaves one without a budget: nobody trains in it."""
    study = open_study(ended.url, "toy")
    create_study(ended.url, "toy-confirm", study.spec, study.row.fingerprint, trials=0)
    command("worker", "--study", "toy-confirm")
    assert retrained(command) == []
    answer = command(*CONFIRM, "--workers", "0", "--json").json
    assert answer["trials"]["planned"] == 3 * 3


def test_confirm_needs_a_contender_and_a_baseline(search: Search, command: Command) -> None:
    search.create(trials=1)
    none = command(*CONFIRM, "--workers", "0", "--against", "by hand", code=1)
    assert "study 'toy' has no complete trial yet" in none.err
    command("worker")
    alone = command(*CONFIRM, "--workers", "0", code=2)
    assert "is the only config that completed" in alone.err
