"""`search dashboard`: optuna-dashboard on the study's storage and artifacts."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.study.resolve import resolve_study, storage_url


def dashboard(
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    artifacts: flag.Artifacts = None,
    study: Annotated[str | None, typer.Option("--study", help="Only checks that it exists.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; there is no login.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
) -> int:
    """optuna-dashboard on the study's storage and artifacts."""
    from search.launcher.dashboard import serve
    from search.worker.checkpoint_sync import artifact_place

    url = storage_url(storage, runs)
    if study is not None:
        resolve_study(url, study)
    serve(url, artifact_place(artifacts or None, runs), host, port)
    return 130  # it catches Ctrl-C, and nothing else ends it
