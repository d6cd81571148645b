"""CSV files as TensorBoard, Weights & Biases and pandas write them become runs; percentages do not."""

from pathlib import Path

import pytest

from search.errors import UserError
from search.imports.csv_runs import read_csv
from search.loading import vocabulary_of

TENSORBOARD = "Wall time,Step,Value\n1760025390.1,{0},0.21\n1760025400.2,{1},0.43\n"
CHART = (
    '"Step","night one - val_f_score","night one - val_f_score__MIN","night one - val_f_score__MAX",'
    '"two - val_f_score","two - val_f_score__MIN","two - val_f_score__MAX"\n'
    '"1","0.21","0.21","0.21","0.3","0.3","0.3"\n"2","0.43","0.43","0.43","","",""\n'
)
HISTORY = ",_step,_runtime,_timestamp,val_f_score,lr\n0,0,1.5,1.7e9,0.21,0.01\n1,1,2.5,1.7e9,0.43,0.02\n"
PANDAS = "epoch,val_f_score\n1.0,0.21\n2.0,0.43\n"


def read(tmp_path: Path, text: str) -> dict[str, list[float | None]]:
    path = tmp_path / "night.csv"
    path.write_text(text)
    return {each.run.name: list(each.run.scores) for each in read_csv(path, vocabulary_of())}


@pytest.mark.parametrize(
    "text",
    [TENSORBOARD.format(0, 1), TENSORBOARD.format(1, 2), TENSORBOARD.format("1.0", "2.0"), HISTORY, PANDAS],
)
def test_an_export_of_one_run(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {"night": [0.21, 0.43]}


def test_a_chart_of_several_runs(tmp_path: Path) -> None:
    assert read(tmp_path, CHART) == {"night one": [0.21, 0.43], "two": [0.3]}


def test_steps_that_are_no_epochs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="epoch is '100' where 1 is due"):
        read(tmp_path, TENSORBOARD.format(100, 200))
    with pytest.raises(UserError, match="epoch is '\u00b2' where 1 is due"):  # a digit that is no number
        read(tmp_path, TENSORBOARD.format("\u00b2", 3))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("epoch,val_f_score\n1,0.2\n2,21.4\n", "night.csv:3: val_f_score: 21.4"),
        ("name,val_f_score\na,68.9\n", "night.csv:2: val_f_score: 68.9"),
    ],
)
def test_percentages_are_refused_with_the_remedy(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(UserError, match=f"{place} is not a score from 0 to 1; divide percentages by 100"):
        read(tmp_path, text)
