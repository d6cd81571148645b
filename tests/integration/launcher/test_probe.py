"""What is refused before a study is created: a config that does not fit the data."""

from pathlib import Path
from typing import Any

import pytest

from search.errors import SpaceError
from search.launcher.creation import StartOptions, probe
from search.loading import constraints_of, load_objective
from search.samplers.feasibility import feasible_share
from search.spec.spec import Spec, load_spec, stock_space

NAME = "trainer.batch_size"
SMALL = ("data.drawn_images=20", "data.val_share=0.2", "data.image_size=32")


def drawn(batch_size: str) -> Spec:
    return load_spec(stock_space(), profile="quick", overrides=[*SMALL, f"{NAME}={batch_size}"])


@pytest.mark.parametrize("batch_size", ["17", "{choices: [4, 17, 8]}", "{low: 2, high: 17}"])
def test_a_batch_larger_than_the_training_set_is_refused_before_anything_trains(batch_size: str) -> None:
    """Wherever in its range the parameter reaches that far."""
    with pytest.raises(SpaceError) as error:
        probe(drawn(batch_size), None)
    problem = "17 is more than the 16 training images; make it smaller"
    assert str(error.value) == f"--set {NAME}: {problem}"


def test_a_batch_of_the_whole_training_set_is_accepted() -> None:
    description = probe(drawn("16"), None)
    assert description is not None and description.train == 16


CAP = "model.max_parameters"


def capped(folder: Path, most: int | str) -> Spec:
    """Two models: 1,747,923 parameters with LMSA, 1,721,939 without."""
    (folder / "space.yaml").write_text(f"""\
objective: search.mseg
space:
  data: {{source: drawn, drawn_images: 20, val_share: 0.2, image_size: 32}}
  trainer: {{batch_size: 4}}
  model: {{max_parameters: {most}, lmsa: {{choices: [true, false]}}}}
""")
    return load_spec(folder / "space.yaml")


def test_a_cap_on_the_parameters_tells_the_models_that_are_too_large(tmp_path: Path) -> None:
    spec, objective = capped(tmp_path, 1_730_000), load_objective("search.mseg")
    description = probe(spec, None)
    constraints = constraints_of(objective, description)
    for lmsa, count in ((True, 1_747_923), (False, 1_721_939)):
        (limit,) = constraints({**spec.space.constants, "model.lmsa": lmsa})
        assert limit.name == CAP and limit.violation == pytest.approx(count / 1_730_000 - 1)
    share = feasible_share(spec, constraints)
    assert share.to_json() == {
        "count": 1,
        "trials": 2,
        "share": 0.5,
        "low": 0.5,
        "high": 0.5,
        "whole": True,
    }
    assert not constraints({"model.lmsa": True}), "without a cap nothing is counted"


def test_a_cap_below_every_model_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as error:
        probe(capped(tmp_path, 1000), None)
    text = f"{CAP}: a model with 1,721,939 parameters is above 1,000; make it smaller or raise the cap"
    assert str(error.value) == f"{tmp_path}/space.yaml:5:11: none of 2 configs is feasible: {text}"


@pytest.mark.parametrize("most", ["{choices: [null, 1821084]}", "{low: 1000000, high: 2000000}"])
def test_a_searched_cap_is_refused_before_anything_trains(tmp_path: Path, most: str) -> None:
    with pytest.raises(SpaceError) as error:
        probe(capped(tmp_path, most), None)
    problem = "limits which configs are drawn, so it cannot be searched; give one value"
    assert str(error.value) == f"{tmp_path}/space.yaml:5:11: {CAP}: {problem}"


def test_a_score_that_the_objective_lacks_is_refused_before_anything_trains() -> None:
    spec = load_spec(stock_space(), profile="quick", overrides=[*SMALL, "study.score=val_iou"])
    with pytest.raises(
        SpaceError, match=r"^--set study\.score: 'val_iou' is not one of val_fscore, val_miou"
    ):
        probe(spec, None)


def test_naming_the_default_score_is_naming_none(tmp_path: Path) -> None:
    def document(*overrides: str) -> Any:
        options = StartOptions(
            study="s", url="", runs=tmp_path, data=None, space=stock_space(), overrides=overrides
        )
        return options.load("quick").document["study"]

    assert document() == document("study.score=val_fscore") == document("study.score=null")
    assert document("study.score=val_miou")["score"] == "val_miou"
