"""`study.stages`: what a stage may say, and what the search and its stages then are."""

from pathlib import Path

import pytest

from search.errors import SpaceError
from search.spec.spec import Spec, load_spec

DOCUMENT = """\
objective: toy
study:
  trials: 9
  stages: STAGES
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0, when: {mode: a}}
  mode: a
  size: 512
  train: {epochs: 200}
"""
STAGES = "[{trials: 40, size: 128, train.epochs: 60}, {keep: 8, size: 256}, {keep: 3, seeds: 3}]"


def spec_of(folder: Path, stages: str) -> Spec:
    path = folder / "space.yaml"
    path.write_text(DOCUMENT.replace("STAGES", stages))
    return load_spec(path)


def test_a_stage_without_a_constant_has_the_spaces_own_value(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, STAGES)
    sizes = [spec.stage(index).space.constants["size"] for index in range(3)]
    epochs = [spec.stage(index).space.constants["train.epochs"] for index in range(3)]
    assert (sizes, epochs) == ([128, 256, 512], [60, 200, 200])
    assert spec.space.constants["size"] == 128, "the search itself is the first stage"
    assert spec.study.trials == 40, "the first stage's trials are the budget"
    assert spec.stage(1).study.stages == ()


def test_nested_names_are_those_with_dots(tmp_path: Path) -> None:
    nested = spec_of(tmp_path, "[{train: {epochs: 60}}, {keep: 8}]")
    assert nested == spec_of(tmp_path, "[{train.epochs: 60}, {keep: 8}]")
    assert nested.study.trials == 9


def test_a_stage_may_replace_a_constant_by_a_list(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "[{size: [96, 128]}, {keep: 2}]")
    assert list(spec.space.constants["size"]) == [96, 128]
    assert Spec.from_document(spec.document, origin="study 'toy'").document == spec.document


def test_a_stored_document_with_stages_reads_as_the_same(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, STAGES)
    again = Spec.from_document(spec.document, origin="study 'toy'")
    assert again.document == spec.document
    assert again.stage(2).space.constants["size"] == 512


def test_keeping_more_configs_than_there_are_is_pointed_out(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, STAGES)
    assert spec.budget_notes(40) == spec.budget_notes(8) == []
    (note,) = spec.budget_notes(7)
    assert (
        "study.stages, stage 2: keep: 8 is more than the 7 trials of stage 1, so it chooses nothing" in note
    )


def test_a_document_without_stages_does_not_mention_them(tmp_path: Path) -> None:
    assert "stages" not in spec_of(tmp_path, "null").document["study"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("7", "study.stages: a search has no stages, or a list of at least two"),
        ("[{size: 128}]", "study.stages: a search has no stages, or a list of at least two"),
        ("[3, {keep: 2}]", "stage 1: 3 is not a mapping, as in {keep: 8, data.image_size: 256}"),
        ("[{}, {size: 96}]", "stage 2: has no keep, the number of configs that go on to it; write keep: 8"),
        ("[{keep: 2}, {keep: 2}]", "stage 1: keep belongs to the second and later of the stages"),
        ("[{}, {keep: 2, trials: 3}]", "stage 2: trials belongs to the first of the stages"),
        ("[{}, {keep: 2, seeds: 3}, {keep: 2}]", "stage 2: seeds belongs to the last of the stages"),
        ("[{}, {keep: 2, seeds: 3, controls: 0.1}]", "stage 2: a confirmation (seeds) has no controls"),
        ("[{}, {keep: 0}]", "stage 2: keep: 0 is not a whole number from 1 to 10000"),
        ("[{}, {keep: true}]", "stage 2: keep: true is not a whole number from 1 to 10000"),
        ("[{}, {keep: 2, seeds: 1}]", "stage 2: seeds: 1 is not a whole number from 2 to 30"),
        ("[{}, {keep: 2, controls: 1.5}]", "stage 2: controls: 1.5 is not a share from 0 to 1"),
        ("[{x: 0.5}, {keep: 2}]", "stage 1: x is searched; a stage replaces constants only"),
        ("[{siz: 3}, {keep: 2}]", "stage 1: siz: no such constant (did you mean 'size'?)"),
        ("[{mode: b}, {keep: 2}]", "stage 1: a condition in the space depends on one of its constants"),
        ("[{size: [[1]]}, {keep: 2}]", "size: "),
        ("[{}, {keep: 2, a.b: 1, a: {b: 2}}]", "stage 2: a.b is given twice; keep one"),
    ],
)
def test_a_wrong_stage_is_refused_with_its_place(tmp_path: Path, stages: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        spec_of(tmp_path, stages)
    line = str(refused.value)
    assert message in line and line.count("space.yaml:4:") == 1 and "\n" not in line
