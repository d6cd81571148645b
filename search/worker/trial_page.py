"""A trial's page on the dashboard: how it ended in a few lines, its curve, its overlay, its files.

It is built under the lease right before the trial ends, and stored in the transaction that ends it. If
the artifact store does not take the files, the page has none.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from search import formatting
from search.objective import PICTURE, WEIGHTS
from search.objective.image_scores import IMAGES
from search.recorded_run import CONFIG, HISTORY
from search.render import curve_svg, markdown
from search.render.document import literal
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.outcome import OwnedTrial, TrialEnd
from storage.pages import Artifact, Page

log = logging.getLogger(__name__)

CURVE = "curve.svg"
SHOWN = (CURVE, PICTURE)  # in the note itself
FILES = (*SHOWN, HISTORY, CONFIG, IMAGES)


def build_page(
    sync: CheckpointSync,
    trial: OwnedTrial,
    end: TrialEnd,
    attributes: Mapping[str, Any],
    stop: Callable[[], bool],
) -> Page:
    """The page of a trial that is about to end with these attributes; its files go to the store."""
    files: list[Artifact] = []
    try:
        files = sync.put_files(trial.lease.number, _files(sync, trial, end, attributes), stop)
    except FileNotFoundError as error:  # this worker was frozen, and another one has ended the trial
        log.warning("its page has no files: %s", error)
    except Exception:  # a page is not worth losing a trial
        log.warning("its page has no files", exc_info=True)
    return Page(note(sync.study.id, trial, end, attributes, files), files)


def _files(
    sync: CheckpointSync, trial: OwnedTrial, end: TrialEnd, attributes: Mapping[str, Any]
) -> list[Path]:
    """The files of the page, the curve newly drawn."""
    folder = trial.workspace.beside("page")
    if "best_epoch" in attributes:
        smooth = sync.study.spec.study.smooth
        title = f"trial {trial.lease.number}: score by epoch, and its mean of {smooth}"
        (folder / CURVE).write_text(curve_svg.draw(trial.scores, smooth, attributes["best_epoch"], title))
    # Weights are in the trial's folder; only a shared store brings them to other machines.
    names = {*FILES, WEIGHTS} if sync.shared and end.state == "COMPLETE" else set(FILES)
    return [path for path in (*folder.iterdir(), *trial.workspace.files()) if path.name in names]


def note(
    study_id: int,
    trial: OwnedTrial,
    end: TrialEnd,
    attributes: Mapping[str, Any],
    files: Sequence[Artifact],
) -> str:
    """The note in Markdown: how it ended and why, its figures, its pictures."""
    state = {"COMPLETE": "Complete", "PRUNED": "Pruned", "FAIL": "Failed"}[end.state]
    horizon = f" of {trial.last.epochs}" if trial.last else ""
    lines = [f"**{state}** after {max(trial.scores, default=0)}{horizon} epochs"]
    if end.text:
        lines[0] += f": {markdown.inline(literal(end.text.splitlines()[-1]))}"
    if "best_epoch" in attributes:
        lines.append(f"Best epoch: {attributes['best_score']:.4f} at {attributes['best_epoch']}.")
    if footprint := formatting.footprint(attributes.get("parameters"), attributes.get("forward_ms")):
        lines.append(f"Its model: {footprint}.")
    if trial.retrains:
        lines.append(markdown.inline(literal(trial.retrains)))
    if "known" in attributes:
        lines.append(markdown.inline(f"A known config: {literal(attributes['known'])}."))
    if "control" in attributes:
        lines.append(f"Ran on as one of the control group: {attributes['control']}.")
    if trial.lease.attempt > 1:
        lines.append(f"{trial.lease.attempt} owners: it was taken over, or given back and continued.")
    by_name = {file.filename: file for file in files}
    lines += [
        f"![{name}]({by_name[name].path(study_id, trial.lease.trial_id)})"
        for name in SHOWN
        if name in by_name
    ]
    return "\n\n".join(lines)
