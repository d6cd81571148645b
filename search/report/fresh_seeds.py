"""The section about fresh seeds: what `search confirm` and `search ablate` found, if they were asked."""

from itertools import chain

from search.render.document import Block, Paragraph, Section
from search.report.material import Material
from search.retraining.answers import ablated, confirmed, predicted

TITLE = "On fresh seeds"


def fresh_seeds(material: Material) -> Section:
    """Whether the best is better than the baseline when both are trained again."""
    found = material.confirmation
    before = [] if material.predicted is None else [predicted(material.predicted)]
    nothing = (
        "Nothing has been trained again with other seeds: how much of the difference is the config's is "
        "not known."
    )
    if found is None or found.winner is None:
        blocks: list[Block] = [Paragraph(said) for said in (*before, nothing)]
    else:
        blocks = confirmed(found, before)
    return Section(TITLE, [*blocks, *chain.from_iterable(map(ablated, material.ablations))])
