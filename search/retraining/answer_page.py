"""The dashboard's page of a study that retrains: the answer so far of `search confirm` or `search ablate`.

A worker that finds every planned training started writes it, and so do the commands, with the answer they
print. Of several answers the one based on more trainings stays.
"""

from pathlib import Path

from search.analysis.ablation import Ablation
from search.analysis.confirmation import Confirmation
from search.render import markdown
from search.render.document import Block, Document, Paragraph, literal
from search.retraining import ablate, confirm
from search.retraining.answers import ablation_blocks, confirmation_blocks
from search.retraining.stage_blocks import stage_blocks
from search.retraining.study import standing
from search.study.open import open_study
from search.study.study import Study
from storage import pages
from storage.pages import Page


def publish_answer(study: Study, runs: Path) -> None:
    """Publishes the answer so far of `study`, which retrains; its folder is below `runs`."""
    if study.plan is not None and study.plan.kind == "stage":
        publish_stages(study)
        return
    is_race = study.plan is not None and study.plan.kind == "confirm"
    publish(study, confirm.answer(study, runs) if is_race else ablate.answer(study, runs))


def publish_stages(study: Study) -> None:
    """Writes what is known of all stages on the page of `study`, which is one of them."""
    plan, results, _ = standing(study)
    if ended := results.planned - results.running:
        blocks = stage_blocks(open_study(study.url, plan.of, read_only=True))
        page = Page(markdown.render(Document(f"The stages of {literal(plan.of)}", blocks)))
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, page, ended)


def publish(study: Study, answer: Confirmation | Ablation) -> None:
    """Writes `answer` on the page of `study`; nothing before the first training has ended."""
    if ended := answer.planned - answer.open:
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, Page(note(answer)), ended)


def note(answer: Confirmation | Ablation) -> str:
    """The answer in Markdown."""
    of = literal(answer.plan.of)
    if isinstance(answer, Confirmation):
        title, blocks = f"The best of {of} on fresh seeds", confirmation_blocks(answer)
    else:
        title, blocks = f"Which change makes the difference in {of}", ablation_blocks(answer)
    so_far: list[Block] = [] if answer.ended else [Paragraph("So far: more trainings are to come.")]
    return markdown.render(Document(title, [*so_far, *blocks]))
