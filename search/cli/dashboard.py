"""`search dashboard`: optuna-dashboard on the study's storage and artifacts."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.study.resolve import resolve_study, storage_url


def dashboard(
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
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    artifacts: flag.Artifacts = None,
) -> int:
    """Serve optuna-dashboard on the study's storage and artifacts.

    The token is SEARCH_DASHBOARD_TOKEN, or in the file that SEARCH_DASHBOARD_TOKEN_FILE names.
    """
    from search.launcher.dashboard import serve
    from search.worker.checkpoint_sync import artifact_place

    url = storage_url(storage, runs)
    if study is not None:
        resolve_study(url, study)
    serve(url, artifact_place(artifacts, runs), host, port, write)
    return 0
