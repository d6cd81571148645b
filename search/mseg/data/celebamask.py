"""The 19 classes of CelebAMask-HQ: their numbers, names and mirror pairs.

Lee et al. 2020, "MaskGAN", arXiv:1907.11922. Left and right are positions in the picture's own frame:
the left eye, brow and ear sit at larger x. A horizontal mirror image therefore shows every left part
where a right one belongs, and its labels must change places (`MIRROR_PAIRS`).
"""

from enum import IntEnum


class Part(IntEnum):
    """A pixel's class."""

    BACKGROUND = 0
    SKIN = 1
    NOSE = 2
    EYEGLASSES = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    LEFT_BROW = 6
    RIGHT_BROW = 7
    LEFT_EAR = 8
    RIGHT_EAR = 9
    MOUTH = 10
    UPPER_LIP = 11
    LOWER_LIP = 12
    HAIR = 13
    HAT = 14
    EARRING = 15
    NECKLACE = 16
    NECK = 17
    CLOTH = 18


CLASSES = tuple(part.name.lower().replace("_", " ") for part in Part)

MIRROR_PAIRS = (
    (int(Part.LEFT_EYE), int(Part.RIGHT_EYE)),
    (int(Part.LEFT_BROW), int(Part.RIGHT_BROW)),
    (int(Part.LEFT_EAR), int(Part.RIGHT_EAR)),
)
