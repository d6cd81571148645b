"""The dashboard's page of a study that retrains: the answer so far of `search confirm` or `search ablate`.

A worker that finds everything begun that is planned writes it, and so do the commands, with the answer
that they print. Of several answers the one that knows more trainings stays.
"""

from search.analysis.ablation import Ablation
from search.analysis.confirmation import Confirmation
from search.render import markdown
from search.render.document import Block, Document, Paragraph, literal
from search.retraining import ablate, answers, confirm
from search.study.study import Study
from storage import pages
from storage.pages import Page


def publish_answer(study: Study) -> None:
    """Tells the answer so far on the page of `study`, which retrains."""
    is_race = study.plan is not None and study.plan.kind == "confirm"
    publish(study, confirm.answer(study) if is_race else ablate.answer(study))


def publish(study: Study, found: Confirmation | Ablation) -> None:
    """Tells `found` on the page of `study`; nothing before a training has ended."""
    if ended := found.planned - found.open:
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, Page(note(found)), ended)


def note(found: Confirmation | Ablation) -> str:
    """The answer in Markdown."""
    of = literal(found.plan.of)
    if isinstance(found, Confirmation):
        title = f"The best of {of} on fresh seeds"
        before = [] if found.predicted is None else [answers.predicted(found.predicted)]
        blocks = answers.confirmed(found, before)
    else:
        title = f"Which change makes the difference in {of}"
        blocks = list(answers.ablated(found))
    so_far: list[Block] = [] if found.ended else [Paragraph("So far: more trainings are to come.")]
    return markdown.render(Document(title, [*so_far, *blocks], []))
