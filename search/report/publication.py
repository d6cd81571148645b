"""A study's page on the dashboard: its last report as a note, its figures and the HTML as artifacts."""

from search.render import markdown
from search.report.writer import WrittenReport
from search.study.study import Study
from storage import pages
from storage.artifacts import open_store
from storage.pages import Artifact, Page


def publish(study: Study, written: WrittenReport, place: str) -> None:
    """Puts a report's files into the artifact store at `place`, then its text into the study.

    Raises:
        StorageError: there is no such store, or no such database.
    """
    store = open_store(place)
    page = written.paths[-1]
    figures = {figure: written.folder / figure.path for figure in written.document.figures}
    artifacts = {path: Artifact.of_study(study.token, path.name) for path in (page, *figures.values())}
    for path, artifact in artifacts.items():
        with path.open("rb") as file:
            store.write(artifact.id, file)
    note = markdown.render(
        written.document,
        lambda figure: artifacts[figures[figure]].path(study.id),
        gap=markdown.NOTE_GAP,
    )
    with study.engine.begin() as connection:
        pages.write_study(connection, study.id, Page(note, tuple(artifacts.values())))
