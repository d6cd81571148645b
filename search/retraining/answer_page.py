"""The dashboard's page of a study that retrains: the answer so far of `search confirm` or `search ablate`.

A worker that finds every planned training started writes it, and so do the commands, with the answer they
print. Of several answers the one based on more trainings stays.
"""

from pathlib import Path

from search.analysis.ablation import Ablation, ablation
from search.analysis.confirmation import Confirmation, confirmation
from search.render import markdown
from search.render.document import Block, Document, Headline, Paragraph, literal
from search.retraining.answer import read_answer
from search.retraining.answer_blocks import ablation_blocks, confirmation_blocks
from search.retraining.stage_blocks import stage_blocks
from search.retraining.study import standing
from search.study.open import open_study
from search.study.study import Study
from storage import pages
from storage.pages import Page

Answer = Confirmation | Ablation


def publish_answer(study: Study, runs: Path) -> None:
    """Publishes the answer so far of `study`, which retrains; its folder is below `runs`."""
    if study.plan is not None and study.plan.kind == "stage":
        publish_stages(study)
        return
    publish(study, answer_of(study, runs))


def answer_of(study: Study, runs: Path | None = None, artifacts: str | None = None) -> Answer:
    """The answer so far of `study`, which retrains on fresh seeds.

    Args:
        runs, artifacts: where scores by image are looked for; with neither, the answer is about seeds only.
    """
    if study.plan is not None and study.plan.kind == "confirm":
        return read_answer(confirmation, study, runs, artifacts)
    return read_answer(ablation, study, runs, artifacts)


def answer_blocks(answer: Answer) -> list[Block]:
    """The answer for a reader, its headline first."""
    return confirmation_blocks(answer) if isinstance(answer, Confirmation) else ablation_blocks(answer)


def in_one_sentence(answer: Answer) -> str:
    """The headline of the answer."""
    return next(each.sentence for each in answer_blocks(answer) if isinstance(each, Headline))


def publish_stages(study: Study) -> None:
    """Writes what is known of all stages on the page of `study`, which is one of them."""
    plan, results, _ = standing(study)
    if ended := results.planned - results.running:
        blocks = stage_blocks(open_study(study.url, plan.of, read_only=True))
        document = Document(f"The stages of {literal(plan.of)}", blocks)
        page = Page(markdown.render(document, gap=markdown.NOTE_GAP))
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, page, ended)


def publish(study: Study, answer: Answer) -> None:
    """Writes `answer` on the page of `study`; nothing before the first training has ended."""
    if ended := answer.planned - answer.open:
        with study.engine.begin() as connection:
            pages.write_study(connection, study.id, Page(note(answer)), ended)


def note(answer: Answer) -> str:
    """The answer in Markdown."""
    of = literal(answer.plan.of)
    is_race = isinstance(answer, Confirmation)
    title = f"The best of {of} on fresh seeds" if is_race else f"Which change makes the difference in {of}"
    so_far: list[Block] = [] if answer.ended else [Paragraph("So far: more trainings are to come.")]
    document = Document(title, [*so_far, *answer_blocks(answer)])
    return markdown.render(document, gap=markdown.NOTE_GAP)
