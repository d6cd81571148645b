"""A trial while a worker owns it, and how it ends: what scores, a return or an exception mean for it.

A pruned or diverged trial and one that ran out of memory are reported to the sampler, which must learn from
them. An objective may prune its own trial by Optuna's exception for that. A bug is a failed trial with its
traceback. What is the machine's fault ends the worker and is no end of the trial. An error after which this
process cannot use its device ends the process.
"""

import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from optuna.exceptions import TrialPruned

from search.errors import (
    BrokenDevice,
    MachineError,
    NoFeasibleConfig,
    ObjectiveError,
    SearchError,
    UserError,
    first_line,
    text_of,
)
from search.objective import EpochResult
from search.objective.image_scores import write_image_scores
from search.pruners.pruner import Decision
from search.recorded_run import HISTORY, read_columns
from search.records import ReasonCode
from search.runtime.devices import Device
from search.scoring import best_mean, epoch_of_best
from search.spec.spec import Spec
from search.worker.faults import fault_of, is_disk_error
from search.worker.workspace import Workspace
from storage.claims import Lease

MAX_DEATHS = 5  # owners in a row that died in a trial before finishing an epoch of it
TOLERANCE = 1e-6  # relative: how exactly the trainer must use the sampled value


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How a trial ended and why.

    Attributes:
        device_lost: the process cannot use its device any more.
    """

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    code: ReasonCode | None = None
    text: str = ""
    epoch: int | None = None
    device_lost: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """The reason as the trial's user attributes."""
        if self.code is None:
            return {}
        return {"reason": self.code, "reason_text": self.text, "reason_epoch": self.epoch}


@dataclass
class OwnedTrial:
    """A trial that this worker trains, and how far it is, whoever trained it so far.

    Attributes:
        scores: by epoch, those of earlier owners included.
        last: this owner's last result.
        waiting: results that the database has not confirmed yet, in order.
        seed: of weights, data order and augmentation.
        retrains: in a study that retrains, which config this is and what for; None in a search.
        control: the verdict against it, where it runs on as one of the control group.
        footprint: how large its model is and how fast, as far as it was told.
    """

    lease: Lease
    workspace: Workspace
    scores: dict[int, float] = field(default_factory=dict)
    last: EpochResult | None = None
    waiting: list[EpochResult] = field(default_factory=list)
    seed: int = 0
    retrains: str | None = None
    control: Decision | None = None
    footprint: dict[str, float] = field(default_factory=dict)

    def note_footprint(self, result: EpochResult) -> None:
        """Keeps what the result says about the model, which also one that diverges at once has."""
        told = {"parameters": result.parameters, "forward_ms": result.forward_ms}
        self.footprint |= {name: value for name, value in told.items() if value is not None}

    def add(self, result: EpochResult) -> None:
        self.scores.setdefault(result.epoch, result.score)  # a reported score is never replaced
        self.last = result
        self.waiting.append(result)

    def add_with_forgotten(self, result: EpochResult, spec: Spec) -> None:
        """Adds a result and, where training resumes, the epochs before it that the database lacks.

        A database that was restored from a backup lacks some. Their scores are beside the checkpoint or,
        where that came from the store, in its `history.json`. The best epoch's scores by image are written
        to a file.

        Raises:
            ObjectiveError: the objective has removed its folder.
        """
        if not self.workspace.work.is_dir():
            raise ObjectiveError(
                "objective: it removed run.dir, where its checkpoint belongs; remove only files that it "
                "has written there"
            )
        if result.resumed:
            known: dict[int, float | None] = {}
            with suppress(UserError):  # the objective keeps none
                column = spec.vocabulary.score_column
                known |= enumerate(read_columns(self.workspace.work / HISTORY, column)[column], 1)
            known |= self.workspace.scores
            for epoch in range(1, result.epoch):
                score = known.get(epoch)
                if epoch not in self.scores and score is not None:
                    self.add(EpochResult(epoch=epoch, epochs=result.epochs, score=score))
        self.add(result)
        if epoch_of_best(self.scores, spec.study.direction) == result.epoch:
            write_image_scores(self.workspace.work, result)

    @property
    def epoch(self) -> int | None:
        return self.last.epoch if self.last else None


def too_many_deaths(lease: Lease) -> TrialEnd | None:
    """The end of a trial that kills its workers: it would kill every one of them in turn."""
    if lease.deaths < MAX_DEATHS:
        return None
    text = f"{lease.deaths} workers died in it in a row, after epoch {lease.epochs}; see its log.txt"
    return TrialEnd("FAIL", "bug", text, lease.epochs or None)


def diverged(result: EpochResult) -> TrialEnd:
    """The end of a trial whose score is not finite any more."""
    return TrialEnd("PRUNED", "diverged", f"the score became {result.score}", result.epoch)


def end_for_return(trial: OwnedTrial) -> TrialEnd:
    """The end of a trial whose trainer returned by itself, at its last epoch or before."""
    last = trial.last
    if last is None:
        return TrialEnd("FAIL", "bug", "the objective returned without training an epoch")
    if last.epoch < last.epochs:
        text = f"no improvement: the objective stopped at epoch {last.epoch} of {last.epochs}"
        return TrialEnd("COMPLETE", "early_stop", text, last.epoch)
    return TrialEnd("COMPLETE")


def end_for_error(error: BaseException, trial: OwnedTrial, device: Device) -> TrialEnd:
    """What an exception from the objective means for its trial; raised again if it ends the process.

    An assertion in a kernel is a bug at once: the kernel has found an index out of range, and would find it
    on every other device.

    Raises:
        BrokenDevice: the device does not work.
    """
    if is_no_fault_of_the_trial(error):
        raise error
    if isinstance(error, TrialPruned):
        why = f": {first_line(error)}" if text_of(error).strip() else ""
        return TrialEnd("PRUNED", "objective", f"the objective raised TrialPruned{why}", trial.epoch)
    fault = fault_of(error, device)
    if fault == "process":
        raise error
    if fault == "memory":
        return TrialEnd("PRUNED", "oom", f"out of memory: {first_line(error)}", trial.epoch)
    if fault == "bug" and isinstance(error, SearchError):
        return TrialEnd("FAIL", "bug", str(error), trial.epoch)
    text = "".join(traceback.format_exception(error)).strip()
    if fault == "trial":
        text += f"\n{first_line(error)} (a label or an index out of range; the worker's log says where)"
    return TrialEnd("FAIL", "bug", text, trial.epoch, device_lost=fault == "trial")


def value_and_attributes(
    spec: Spec, trial: OwnedTrial, end: TrialEnd
) -> tuple[float | None, dict[str, Any]]:
    """The trial's value for Optuna, and its user attributes."""
    settings = spec.study
    attributes: dict[str, Any] = {"seed": trial.seed, **trial.footprint, **end.attributes}
    if trial.lease.slot < len(spec.known):
        attributes["known"] = spec.known[trial.lease.slot].name
    if trial.control is not None:
        attributes |= verdict(trial.control)
    if end.state == "FAIL" or not trial.scores:
        return None, attributes
    best = epoch_of_best(trial.scores, settings.direction)
    attributes |= {"best_score": trial.scores[best], "best_epoch": best}
    curve = [trial.scores[epoch] for epoch in sorted(trial.scores)]
    mean = best_mean(curve, settings.smooth, settings.direction)
    if end.state == "COMPLETE":
        return mean, attributes
    # Optuna's convention for a pruned trial is its last report; the comparable mean is an attribute.
    return curve[-1], {**attributes, "mean": mean}


def verdict(decision: Decision) -> dict[str, Any]:
    """The decision against a trial of the control group as its user attributes."""
    return {"control": decision.text, "control_epoch": decision.epoch}


def is_no_fault_of_the_trial(error: BaseException) -> bool:
    """Whether the worker has to end and another one may continue the trial."""
    return is_disk_error(error) or isinstance(error, NoFeasibleConfig | BrokenDevice)


def is_given_back(error: BaseException) -> bool:
    """Whether an error outside of training costs the trial nothing: one of files, or as above."""
    return isinstance(error, OSError) or is_no_fault_of_the_trial(error)


def after_giving_back(folder: Path, error: BaseException) -> SearchError:
    """What to say when such an error ends a worker that has given its trial back."""
    if isinstance(error, NoFeasibleConfig | BrokenDevice):
        return type(error)(f"{error} (the trial was given back)")
    remedy = "make room" if is_disk_error(error) else "let this user write there"
    return MachineError(
        f"--runs: {folder}: {first_line(error)}; {remedy} or name another folder, then start again "
        "(the trial was given back)"
    )


def check_applied(params: Mapping[str, Any], applied: Mapping[str, Any]) -> None:
    """Raises RuntimeError where the trainer uses another value than the one that was sampled."""
    for name, live in applied.items():
        if name not in params or same(params[name], live):
            continue
        raise RuntimeError(f"{name}: {params[name]!r} was sampled, but the trainer uses {live!r}")


def same(sampled: Any, live: Any) -> bool:
    """Whether two values are equal, floats up to rounding."""
    if isinstance(sampled, float) and isinstance(live, float | int):
        return abs(sampled - live) <= TOLERANCE * max(abs(sampled), abs(live))
    return bool(sampled == live)
