"""What the answers of `confirm` and `ablate` say, and when: each sentence in its case only."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search.analysis.ablation import ablation
from search.analysis.confirmation import Confirmation, confirmation
from search.analysis.image_intervals import ImageDifference
from search.analysis.interval import Interval
from search.analysis.needed_seeds import noise_of, seed_plan
from search.analysis.racing import Results
from search.render import markdown
from search.render.document import Document
from search.retraining.answer_blocks import ablation_blocks, confirmation_blocks, headline
from search.retraining.answer_page import note
from search.retraining.image_blocks import compared_images
from search.retraining.seed_plan import plan_blocks
from search.study.plan import Plan, PlannedConfig, Prediction

NOISE = np.array([0.000, 0.004, -0.003, 0.002, -0.004, 0.001])
OTHER = np.array([0.002, -0.003, 0.001, -0.002, 0.003, -0.001])
THIRD = np.array([-0.001, 0.003, 0.002, -0.004, 0.000, 0.000])


SPLIT: dict[str, Any] = {"split": "data.split_seed", "train": 80, "val": 20}


def race(
    gains: list[float], seeds: int = 6, *, ended: bool = True, lost: int = 0, running: int = 0, **plan: Any
) -> Confirmation:
    """Contenders that are `gains` above a baseline at 0.60, which the search gave 0.65 each."""
    names = ["by hand", *(f"trial {number}" for number in range(1, len(gains) + 1))]
    configs = [
        PlannedConfig(name=name, number=number, params={}, value=0.65 if number else 0.60)
        for number, name in enumerate(names)
    ]
    settings: dict[str, Any] = {
        "kind": "confirm", "of": "toy", "configs": configs, "first": 3, "last": 6, "trials": None,
        "seed": 7, "split": None, "asked": {}, "errors": "moderated", "margin": 0.02,
    }  # fmt: skip
    noises = (NOISE, OTHER, THIRD)
    scores = np.array([0.60 + gain + noise for gain, noise in zip([0.0, *gains], noises, strict=False)])
    results = Results(
        scores=scores[:, :seeds], planned=scores[:, :seeds].size, running=running, lost=lost, rounds=seeds
    )
    return confirmation("toy-confirm", Plan(**settings | plan), results, "maximize", ended=ended)


def said(answer: Confirmation) -> str:
    return markdown.render(Document("", confirmation_blocks(answer), []))


def test_a_contender_that_is_plainly_better_is_called_so_with_its_size() -> None:
    answer = race([0.05, 0.0])
    assert headline(answer).sentence.startswith("On 6 fresh seeds trial 1 is better than by hand: +0.05")
    text = said(answer)
    assert "A gain that is called is read too large on average" in text and "less than measured" in text
    assert "Probability that trial 1 is better than by hand: 99.7 %" in text
    assert "that it is by 0.0200 or more" in text and "Prior: differences from the baseline" in text
    assert "trial 1 is better" in text, "the contenders with each other"
    assert "18 of 18 trainings on fresh seeds have ended. Differences are" in text
    assert "False-positive rate of the whole race: at most 5 %. To keep to it, every look, after" in text
    assert "kept no scores by image" in text


def test_what_is_worse_the_same_or_open_is_not_called_better() -> None:
    assert headline(race([-0.05])).text == "On fresh seeds by hand is better than every contender"
    alike = race([0.0])
    assert headline(alike).text == "On 6 fresh seeds trial 1 and by hand are practically the same"
    assert "they differ by less than 0.0200" in headline(alike).sentence
    assert "The same: closer than 0.0200." in said(alike) and "A gain that is called" not in said(alike)
    open_ = race([0.004], margin=None)
    assert headline(open_).text.endswith("not settled whether trial 1 is better than by hand")
    going_on = race([0.004], 3, margin=None, ended=False)
    assert "it is not yet settled whether" in headline(going_on).text
    none = race([0.05], 0, ended=False)
    assert headline(none).sentence == "Not settled on fresh seeds: too few trainings have ended."
    assert "scores by image" not in said(none), "nothing is known of what trainings to come will keep"


def test_an_open_race_says_why_no_more_is_trained() -> None:
    text = said(race([0.004], margin=None))
    stays = "What is not settled stays open" in text
    futile = "No more seeds for trial 1" in text
    assert stays != futile
    assert "What is not settled stays open" not in said(race([0.004], 3, margin=None, ended=False))
    pooled = said(race([0.05], errors="pooled"))
    assert "An older version began this race" in pooled and "An older version" not in said(race([0.05]))
    assert "the one look, after 6 seeds," in said(race([0.05], first=6))
    assert "2 of them without a score." in said(race([0.05], lost=2))
    assert "So far: more trainings are to come." in note(race([0.05], ended=False))


def test_a_race_of_an_older_version_is_judged_as_it_was() -> None:
    """Figures of the version in which each contender had its own differences only, from a stored plan."""
    stored = race([0.05, 0.0], errors="paired").plan.to_json()
    plan = Plan.from_json(json.loads(json.dumps(stored)))
    older, newer = (race([0.05, 0.0], errors=errors) for errors in (plan.errors, "moderated"))
    assert [row.settled_after for row in older.contenders] == [4, 3]
    assert [row.settled_after for row in newer.contenders] == [3, 3]
    best = older.contenders[0]
    assert best.difference is not None and best.given_call is not None
    assert (best.difference.low, best.difference.high) == pytest.approx((0.04408794786, 0.05591205214))
    assert (best.given_call.low, best.given_call.high) == pytest.approx((0.04431695661, 0.05554233341))
    assert older.levels == pytest.approx((0.00267732682, 0.0126912373))


def test_luck_is_named_where_the_interval_shows_it() -> None:
    """The search gave 0.65; trial 1 has 0.60 over fresh seeds, or 0.65."""
    told = said(race([0.0]))
    assert "; that much of it was luck." in told
    assert "that much of it was luck" not in said(race([0.05]))
    assert "The search used another split" in said(race([0.0], split="data.split_seed"))
    assert "Over fresh seeds a value varies by 0.00" in told
    assert "Of by hand, which was not picked for its value, it is " in told
    guessed = race([0.0], predicted=Prediction(curse=0.003, noise=0.004, trials=20))
    assert "Predicted from 20 complete trials, whose values vary by 0.0040 over seeds" in said(guessed)
    assert "the interval allows for" not in said(guessed), "plans of older versions have none"
    sized = replace(Prediction(curse=0.003, noise=0.004, trials=20), low=-0.004, high=0.01)
    assert "The trials share one seed: the interval allows for" in said(race([0.0], predicted=sized))


def test_splits_of_their_own_are_said_with_what_they_do_to_the_error() -> None:
    one, split = race([0.05]), race([0.05], **SPLIT)
    older = race([0.05], split="data.split_seed")
    assert "Every seed has a train/val split of its own" in said(split)
    assert "that of one, times 1/n + 20/80, by the images of a split" in said(split)
    assert "False-positive rate of the whole race: at most 5 %." in said(split)
    assert "how many images a split has was not recorded: intervals are too narrow" in said(older)
    assert "False-positive rate" not in said(older) and "splits" not in said(one)
    futile, unknown = race([0.004], margin=None), race([0.004], margin=None, split="data.split_seed")
    assert "--plan says how many would" in said(futile).replace("`", "")
    assert "No more seeds for trial 1" in said(unknown) and "says how many" not in said(unknown)
    same = "is called the same in at most 5 % of races"
    assert same in said(race([0.0])) and same not in said(race([0.0], split="data.split_seed"))
    assert "by image" not in said(split) + said(older), "every split has other validation images"

    def widths(answer: Confirmation) -> list[float]:
        result = answer.contenders[0]
        return [each.high - each.low for each in (result.difference, result.mean) if each]

    wider = np.divide(widths(split), widths(one))
    assert wider == pytest.approx(np.sqrt((1 / 6 + 20 / 80) * 6)) and widths(older) == widths(one)
    likely = [answer.contenders[0].chances for answer in (race([0.003]), race([0.003], **SPLIT))]
    assert likely[0] and likely[1] and 0.5 < likely[1].better < likely[0].better
    assert split.to_json()["split_sizes"] == {"train": 80, "val": 20}
    assert older.to_json()["split_sizes"] is None and older.to_json()["split"] == "data.split_seed"


def test_two_runs_say_what_their_weights_give_on_other_images() -> None:
    over_seeds, over_both = Interval(0.02, 0.01, 0.03), Interval(0.02, -0.01, 0.05)
    found = ImageDifference(name="b", over_seeds=over_seeds, over_both=over_both, seeds=1, images=40)
    assert compared_images(found) == (
        "That is on these 40 validation images. For images like them, by the weights of these two runs: "
        "95 % interval -0.0100 to +0.0500."
    )
    shown = said(replace(race([0.05]), over_images=[found]))
    assert (
        "other seeds, these 40 images" in shown and "The verdicts are about the validation images" in shown
    )


def test_an_ablation_says_what_single_changes_do_and_what_stays_unexplained() -> None:
    """Of three changes the first gives 0.03, and the first and third together 0.02 more."""
    changes = [{"lr": (1, 2)}, {"wd": (0, 1)}, {"drop": (0.1, 0.2)}]
    of_configs = [(), (0,), (1,), (2,), (0, 1, 2), (0, 2)]
    configs = [
        PlannedConfig(
            name="by hand" if not has else "trial 4", number=len(has), params={}, value=None, changes=has
        )
        for has in of_configs
    ]
    plan = Plan(
        kind="ablate", of="toy", configs=configs, first=3, last=6, trials=None, seed=7, split=None,
        asked={}, changes=changes,
    )  # fmt: skip
    levels = (0.60, 0.63, 0.60, 0.60, 0.65, 0.65)
    noise = 0.003 * np.random.default_rng(0).standard_normal((6, 6))
    results = Results(scores=np.array(levels)[:, None] + noise, planned=36, running=0, lost=0, rounds=6)
    found = ablation("x", plan, results, "maximize", ended=True)
    text = markdown.render(Document("", ablation_blocks(found), []))
    assert found.total is not None
    assert f"**From by hand to trial 4, all changes together**: {found.total.value:+.4f}" in text
    assert "lr 1 → 2 alone | 6 | +0.0" in text and "| helps |" in text
    assert "lr 1 → 2 and drop 0.1 → 0.2, both" in text and "… beyond the sum of each alone | " in text
    assert "36 of 36 trainings on fresh seeds have ended. Over seeds a value varies by 0.00" in text
    assert "An effect is the mean of by hand with that change less the mean of by hand" in text
    assert "Unexplained: the part of the total that single changes and the pairs shown do not" in text
    without = replace(results, scores=np.array(levels)[:5, None] + noise[:5, :1])
    alone = replace(plan, configs=configs[:5])
    few = ablation("x", alone, replace(without, rounds=1, planned=5), "maximize", ended=False)
    assert "all changes together**: too few trainings have ended" in markdown.render(
        Document("", ablation_blocks(few), [])
    )


def test_a_plan_says_how_many_seeds_and_by_whose_repeats() -> None:
    plan = seed_plan(0.01, 2, 3, noise_of([np.array([NOISE, OTHER]) + 0.6]), 6, ["toy-confirm"])
    text = markdown.render(Document("", plan_blocks(plan), []))
    assert "A gain of 0.0100 over the baseline needs" in text and "as asked or by default" in text
    assert "is called better in 80 % of races of 2 contenders" in text
    assert "from repeats in toy-confirm. The gain is the one you state" in text
