"""Differences over seeds and images as blocks, with what each interval holds for."""

from collections.abc import Sequence

from search import formatting
from search.analysis.image_intervals import ImageDifference
from search.analysis.interval import Interval
from search.render.document import Block, Paragraph, Table, literal

SEEDS_ONLY = (
    "The intervals are about other seeds on the same validation images. What other images would give is "
    "not known: these trainings kept no scores by image."
)


def image_blocks(differences: Sequence[ImageDifference]) -> list[Block]:
    """The differences of an answer on fresh seeds, where its trainings kept scores by image."""
    if not differences:
        return [Paragraph(SEEDS_ONLY)]
    images = differences[0].images
    head = ["", "seeds", "difference", f"other seeds, these {images} images", "other seeds and images"]
    rows = [
        [
            literal(each.name),
            str(each.seeds),
            f"{each.over_seeds.value:+z.4f}",
            _span(each.over_seeds),
            _span(each.over_both),
        ]
        for each in differences
    ]
    note = (
        "95 % intervals. The verdicts are about the validation images that were used; the last column is "
        "about images like them."
    )
    return [Table(head, rows, numeric=4, note=note)]


def compared_images(difference: ImageDifference) -> str:
    """What two single runs say about other images, in sentences."""
    return (
        f"That is on these {difference.images} validation images. For images like them, by the weights of "
        f"these two runs: 95 % interval {_span(difference.over_both)}."
    )


def _span(interval: Interval) -> str:
    return formatting.interval(interval.low, interval.high)
