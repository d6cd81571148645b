"""Trained weights, loaded to predict."""

from pathlib import Path

from search.api.places import PathLike, own_errors
from search.objective.results import MaskPredictor
from search.results.weights import ChosenWeights, named_weights
from search.runtime.devices import find_devices


@own_errors()
def load_predictor(model: PathLike, *, device: str | None = None, flip: bool = False) -> MaskPredictor:
    """Loads weights of the stock objective from a file, or from the folder it is in.

    Args:
        device: a torch device; by default the first GPU, or the CPU.
        flip: the mean over an image and its mirror image, for twice the time.

    Raises:
        UserError: there is no such file. DataError: it holds no weights that can be used.
    """
    return loaded(named_weights(Path(model), None), device, flip)


def loaded(weights: ChosenWeights, device: str | None, flip: bool) -> MaskPredictor:
    """The predictor of these weights.

    Raises:
        UserError: their objective predicts nothing.
    """
    build = weights.part("predictor", "predictor")
    predictor: MaskPredictor = build(
        weights.config, weights.path, find_devices("auto", None, device)[0].name, flip
    )
    return predictor
