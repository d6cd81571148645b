"""`search export`: a trained model as a folder that works without this program, and says what it is.

    OUT/README.md      the model card
    OUT/export.json    model, metrics, provenance and parameters for machines
    OUT/config.yaml    the settings, as the training recorded them
    OUT/...            weights and code: what the objective's `export_model` writes

The folder is written beside and renamed: it is there as a whole or not at all.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from search.errors import UserError
from search.objective.results import ExportedModel
from search.recorded_run import CONFIG, read_leaves, read_run
from search.records import finite
from search.results.card import card
from search.results.weights import ChosenWeights
from search.results.winner import confirmation_of

PROVENANCE = "provenance."
DOCUMENT = "export.json"
CARD = "README.md"


def export(weights: ChosenWeights, out: Path, command: str) -> dict[str, Any]:
    """Writes the folder `out`; returns what is in `export.json`.

    Args:
        command: the command line that asked for it.

    Raises:
        UserError: `out` holds something, or the objective exports no models.
    """
    write = weights.part("export_model", "export")
    with whole_folder(out) as folder:
        model: ExportedModel = write(weights.config, weights.path, folder)
        recorded = _recorded(weights)
        document = finite(
            {
                "title": weights.title,
                "why": weights.why or None,
                "objective": weights.name,
                "model": dict(model.facts),
                "metrics": metrics_of(weights),
                "params": weights.params
                or {name: value for name, value in recorded.items() if not name.startswith(PROVENANCE)},
                "provenance": _provenance(weights, recorded, command),
            }
        )
        if recorded:
            shutil.copyfile(_beside(weights) / CONFIG, folder / CONFIG)
        elif weights.params:
            text = yaml.safe_dump(dict(weights.params), sort_keys=False, allow_unicode=True)
            (folder / CONFIG).write_text(text, encoding="utf-8")
        (folder / DOCUMENT).write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
        files = sorted(path.name for path in folder.iterdir())
        (folder / CARD).write_text(card(document, model.usage, files), encoding="utf-8")
    return document


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` at the end of this block, or nothing remains.

    Raises:
        UserError: `out` is there and holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out: {out} exists already; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.parent / f".{out.name}.{os.getpid()}.tmp"
    try:
        beside.mkdir()
        yield beside
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def metrics_of(weights: ChosenWeights) -> dict[str, Any] | None:
    """What the model scores, and on what that rests; None where nothing is known."""
    if weights.study is None or weights.record is None:
        return _metrics_beside(weights)
    record, study = weights.record, weights.study
    settings = study.spec.study
    answer = confirmation_of(study)
    rows = (answer.baseline, *answer.contenders) if answer else ()
    fresh = next((row for row in rows if row.seeds and row.config.params == record.params), None)
    return {
        "score": study.spec.vocabulary.score_words,
        "value": record.value,
        "smooth": settings.smooth,
        "best_score": record.best_score,
        "best_epoch": record.best_epoch,
        "trials": study.row.trials,
        "confirmation": fresh and answer and {
            "study": answer.study,
            "ended": answer.ended,
            "against": answer.baseline.config.name,
            "has_this_run": study.plan is not None,
            **{name: value for name, value in fresh.to_json().items() if name != "params"},
        },
    }  # fmt: skip


def _metrics_beside(weights: ChosenWeights) -> dict[str, Any] | None:
    """Of weights without a study: the best epoch of the history beside them.

    Nothing if there is none, or if the validation examples were trained on.
    """
    try:
        run = read_run(_beside(weights))
    except UserError:
        return None
    if run.leaves.get("data.all_data") or not run.finite:
        return None
    best = run.best_epoch
    return {"score": run.metric, "best_score": run.finite[best], "best_epoch": best}


def _beside(weights: ChosenWeights) -> Path:
    return weights.path if weights.path.is_dir() else weights.path.parent


def _recorded(weights: ChosenWeights) -> dict[str, Any]:
    """What the training recorded beside its weights, by dotted name; empty if there is nothing."""
    path = _beside(weights) / CONFIG
    try:
        return read_leaves(path) if path.is_file() else {}
    except UserError:
        return {}


def _provenance(weights: ChosenWeights, recorded: Mapping[str, Any], command: str) -> dict[str, Any]:
    study, record = weights.study, weights.record
    trained = {
        name.removeprefix(PROVENANCE): value
        for name, value in recorded.items()
        if name.startswith(PROVENANCE)
    }
    return {
        "study": study and study.name,
        "trial": record and record.number,
        "seed": record.seed if record else trained.get("seed"),
        "data": dict(study.row.fingerprint) if study else None,
        "training": trained,
        "exported": {
            "by": f"mseg-search {version('mseg-search')}",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
        },
    }
