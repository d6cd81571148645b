"""The section `loss` of space.yaml, and the loss that a run trains with.

B batch, C classes, H and W the sides of a mask.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from torch import Tensor

from search.document.options import options_of
from search.errors import SpaceError
from search.mseg.losses.fused import ce_dice
from search.mseg.losses.terms import DEFAULT_WEIGHTS, TERMS, LabelledPixels
from search.objective import Value


class LossSettings(BaseModel):
    """The section `loss` of space.yaml: `NAME_weight` of each term, and the options of all terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def weights(self) -> dict[str, float]:
        """Of the terms that are on."""
        weights = {name: getattr(self, _weight(name)) for name in TERMS}
        return {name: weight for name, weight in weights.items() if weight > 0}

    def options(self, term: str) -> dict[str, Value]:
        return {name: getattr(self, name) for name in options_of(TERMS[term])}

    @model_validator(mode="after")
    def _has_a_term(self) -> Self:
        if not self.weights:
            names = ", ".join(map(_weight, TERMS))
            raise SpaceError(
                f"loss: {names} are all 0, so that nothing would be learnt; set one above 0",
                parameter=f"loss.{_weight('ce')}",
            )
        return self


def _weight(term: str) -> str:
    """The setting that is the term's weight."""
    return f"{term}_weight"


def _fields() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, term in TERMS.items():
        field = Field(ge=0.0, allow_inf_nan=False, description=f"of the term {name}, from 0; 0: it is off")
        fields[_weight(name)] = (Annotated[float, field], DEFAULT_WEIGHTS.get(name, 0.0))
        fields |= options_of(term)
    return fields


LossConfig = create_model("LossConfig", __base__=LossSettings, **_fields())


def is_fused(config: LossSettings, *, may_ignore: bool) -> bool:
    """Whether the loss is computed by the one fast function `ce_dice` instead of term by term.

    It is for cross-entropy with its default options and Dice, whatever their weights above 0, without any
    other term, where no pixel may be ignored.
    """
    defaults = {name: default for name, (_, default) in options_of(TERMS["ce"]).items()}
    plain = config.weights.keys() == {"ce", "dice"} and config.options("ce") == defaults
    return plain and not may_ignore


class Criterion:
    """The loss of a run: the mean over images of the weighted sum of the terms that are on.

    A step calls it on a few images of its batch at a time and weights each part by its share of the images.

    Attributes:
        weights: of the terms that are on. terms: the same terms with their options.
        fused: see `is_fused`.
    """

    def __init__(
        self, config: LossSettings, *, may_ignore: bool, class_frequencies: Callable[[], Tensor]
    ) -> None:
        """
        Args:
            may_ignore: whether a target may hold IGNORED.
            class_frequencies: see `LabelledPixels`; called only by a term that needs it.
        """
        self.weights = config.weights
        self.terms = {name: partial(TERMS[name], **config.options(name)) for name in self.weights}
        self.fused = is_fused(config, may_ignore=may_ignore)
        self._class_frequencies = class_frequencies

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """A scalar float32 loss that autograd can derive by the logits.

        Args:
            logits: (B, C, H, W), float32, or bfloat16 under autocast; the loss is float32 either way.
            target: (B, H, W), integers from 0 to C - 1, or IGNORED.
        """
        if self.fused:
            return ce_dice(logits, target, self.weights["ce"], self.weights["dice"])
        pixels = LabelledPixels(logits, target, self._class_frequencies)
        images = logits.new_zeros(len(logits), dtype=pixels.log_p.dtype)
        for name, term in self.terms.items():
            images = images + self.weights[name] * term(pixels)
        return images.mean()

    def applied(self) -> dict[str, Value]:
        """The weight of every term and the options of those that are on, by parameter name."""
        values: dict[str, Value] = {_weight(name): self.weights.get(name, 0.0) for name in TERMS}
        for term in self.terms.values():
            values |= term.keywords
        return {f"loss.{name}": value for name, value in values.items()}
