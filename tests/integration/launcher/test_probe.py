"""What is refused before a study is created: a config that does not fit the data."""

import pytest

from search.errors import SpaceError
from search.launcher.creation import probe
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
