"""What the values and colours in a mask's file mean, and what its values mean in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images, masks or colours in memory."""

IGNORED = 255
"""The value (uint8) of pixels that neither the loss nor the score looks at; classes go up to 254."""

MOST_CLASSES = 255

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What the values and colours in a mask's file mean.

    Attributes:
        classes: how many there are; the values below are classes.
        ignore: the value, or the colour in RGB masks, of pixels without a label; None: every pixel has one.
        colours: the colour of each class in RGB masks; empty: there are no such masks.
    """

    classes: int
    ignore: int | Colour | None = None
    colours: tuple[Colour, ...] = ()

    def __bool__(self) -> bool:
        """Whether it says more than the number of classes."""
        return self.ignore is not None or bool(self.colours)
