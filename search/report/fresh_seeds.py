"""The section about fresh seeds: the answers of `search confirm` and `search ablate` so far."""

from search.render.document import Block, Paragraph, Section
from search.report.material import Material
from search.retraining.answers import ablation_blocks, confirmation_blocks, predicted

NOTHING = (
    "Nothing has been trained again with other seeds: how much of the difference comes from the config is "
    "not known."
)


def fresh_seeds(material: Material) -> Section:
    """Whether the best is better than the baseline when both are trained again."""
    blocks: list[Block] = []
    if material.confirmation is not None and material.confirmation.winner is not None:
        blocks += confirmation_blocks(material.confirmation)
    else:
        blocks += [] if material.predicted is None else [Paragraph(predicted(material.predicted))]
        blocks.append(Paragraph(NOTHING))
    for answer in material.ablations:
        blocks += ablation_blocks(answer)
    return Section("On fresh seeds", blocks)
