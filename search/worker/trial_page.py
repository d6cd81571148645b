"""A trial's page on the dashboard: what became of it in a few lines, its curve, its overlay, its files.

It is made under the lease, right before the trial ends, and stored in the transaction that ends it. A
store that does not take the files leaves a page without them.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from search.objective import WEIGHTS
from search.render import curve_svg, markdown
from search.render.document import literal
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.outcome import TrialEnd, TrialProgress
from search.worker.workspace import Workspace
from storage.claims import Lease
from storage.pages import Artifact, Page

log = logging.getLogger(__name__)

CURVE = "curve.svg"
SHOWN = (CURVE, "overlay.png")  # in the note itself
FILES = (*SHOWN, "history.json", "config.yaml")


def build_page(
    sync: CheckpointSync,
    lease: Lease,
    workspace: Workspace,
    progress: TrialProgress,
    end: TrialEnd,
    attributes: Mapping[str, Any],
    stop: Callable[[], bool],
) -> Page:
    """The page of a trial that is about to end with these attributes; its files go to the store."""
    files: list[Artifact] = []
    try:
        files = _put_files(sync, lease, workspace, progress, end, attributes, stop)
    except FileNotFoundError as error:  # a frozen worker wakes up, and somebody has ended the trial
        log.warning("its page has no files: %s", error)
    except Exception:  # a page is worth no trial
        log.warning("its page has no files", exc_info=True)
    return Page(note(sync.study.id, lease, progress, end, attributes, files), files)


def _put_files(
    sync: CheckpointSync,
    lease: Lease,
    workspace: Workspace,
    progress: TrialProgress,
    end: TrialEnd,
    attributes: Mapping[str, Any],
    stop: Callable[[], bool],
) -> list[Artifact]:
    """Puts the files of the page into the store, the curve newly drawn; returns those that are there."""
    beside = workspace.beside("page")
    if "best_epoch" in attributes:
        smooth = sync.study.spec.study.smooth
        title = f"trial {lease.number}: score by epoch, and its mean of {smooth}"
        drawn = curve_svg.draw(progress.scores, smooth, attributes["best_epoch"], title)
        (beside / CURVE).write_text(drawn)
    # Weights stand beside in a folder that others see, too; a store that is shared brings them there.
    wanted = {*FILES, WEIGHTS} if sync.shared and end.state == "COMPLETE" else set(FILES)
    files = [path for path in (*beside.iterdir(), *workspace.files()) if path.name in wanted]
    return sync.put_files(lease.number, files, stop)


def note(
    study_id: int,
    lease: Lease,
    progress: TrialProgress,
    end: TrialEnd,
    attributes: Mapping[str, Any],
    files: list[Artifact],
) -> str:
    """The note in Markdown: how it ended and why, its figures, its pictures."""
    state = {"COMPLETE": "Complete", "PRUNED": "Pruned", "FAIL": "Failed"}[end.state]
    horizon = f" of {progress.last.epochs}" if progress.last else ""
    lines = [f"**{state}** after {max(progress.scores, default=0)}{horizon} epochs"]
    if end.text:
        lines[0] += ":"
        lines.append(f"```\n{end.text.splitlines()[-1]}\n```")
    if "best_epoch" in attributes:
        lines.append(f"Best epoch: {attributes['best_score']:.4f} at {attributes['best_epoch']}.")
    if progress.retrains:
        lines.append(markdown.inline(literal(progress.retrains)))
    if "known" in attributes:
        lines.append(markdown.inline(f"A known config: {literal(attributes['known'])}."))
    if "control" in attributes:
        lines.append(f"Ran on as one of the control group: {attributes['control']}.")
    if lease.attempt > 1:
        lines.append(f"{lease.attempt} owners: it was taken over, or given back and gone on with.")
    by_name = {file.filename: file for file in files}
    lines += [
        f"![{name}]({by_name[name].path(study_id, lease.trial_id)})" for name in SHOWN if name in by_name
    ]
    return "\n\n".join(lines)
