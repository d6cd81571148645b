"""`search dashboard`: optuna-dashboard on the study's storage and artifacts."""

from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place


def dashboard(
    place: Place,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Refuse to start without this study.")
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. On any but this machine's own it asks for a token.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, flag.number_option("--port", "Port to listen on.", max=65535)] = 8080,
    write: Annotated[
        bool, typer.Option("--write", help="Let the page change and delete; by default it only shows.")
    ] = False,
    artifacts: flag.Artifacts = None,
) -> int:
    """Serve optuna-dashboard on the study's storage and artifacts.

    The token is SEARCH_DASHBOARD_TOKEN, or in the file that SEARCH_DASHBOARD_TOKEN_FILE names.
    """
    from search.launcher.dashboard import serve
    from search.worker.checkpoint_sync import artifact_place

    if study is not None:
        place.open(study)
    serve(place.url, artifact_place(artifacts, place.runs), host, port, write)
    return 0
