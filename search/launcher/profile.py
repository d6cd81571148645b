"""One epoch under PyTorch's profiler: a trace file, and the operations that took most of its time.

It is the second epoch of a training in a temporary folder: the first one includes the set-up. Any objective
that trains with torch can be traced.
"""

import os
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.errors import SearchError, UserError
from search.loading import configure, load_objective, train
from search.objective import Run
from search.spec.spec import Spec

LARGEST = 5  # costs that are shown


@dataclass(frozen=True, slots=True)
class OperationCost:
    """One operation over the whole epoch, without the operations it calls; on a GPU one kernel or copy.

    Attributes:
        seconds: on the GPU where there is one, else of CPU time over all threads.
        share: of the seconds of all of them, 0 to 1.
        calls: how often it ran.
    """

    name: str
    seconds: float
    share: float
    calls: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in `file`, which chrome://tracing and ui.perfetto.dev open, and its largest costs."""

    file: Path
    epoch: int
    costs: tuple[OperationCost, ...]

    def to_json(self) -> dict[str, Any]:
        return {"file": str(self.file), "epoch": self.epoch, "costs": [asdict(cost) for cost in self.costs]}


def trace(spec: Spec, data: Path | None, device: str, file: Path) -> Trace:
    """Trains the first known config, or a corner of the space, for two epochs and traces the second.

    Raises:
        UserError: `file` cannot be written.
        SearchError: the objective trained no epoch.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler writes to stderr
    from torch.profiler import ProfilerActivity, profile  # not every objective needs torch

    writable(file)
    objective = load_objective(spec.objective)
    config = configure(objective, spec.example())
    activities = [ProfilerActivity.CPU]
    if device.startswith("cuda"):
        activities.append(ProfilerActivity.CUDA)
    with tempfile.TemporaryDirectory(prefix="search-trace-") as folder:
        trial = Path(folder) / "trial-0000"
        trial.mkdir()
        run = Run(trial, device, spec.study.sampler.seed, data=data)
        with closing(train(objective, config, run)) as results:
            first = next(results, None)
            if first is None:
                raise SearchError("--trace: the objective trained no epoch; search start shows why")
            with profile(activities=activities) as profiler:
                second = next(results, None)
    if second is None:
        raise SearchError("--trace: the objective ended after one epoch; trace a config with two or more")
    profiler.export_chrome_trace(str(file))
    return Trace(file, second.epoch, largest(profiler.key_averages(), on_gpu=len(activities) > 1))


def largest(operations: Any, *, on_gpu: bool) -> tuple[OperationCost, ...]:
    """The `LARGEST` costs, largest first; `operations` are the profiler's averages.

    On a GPU only what ran there counts. The operators that launched it and the ranges that users annotate
    carry the same time again.
    """
    if on_gpu:
        kernels = (each for each in operations if each.device_type.name != "CPU")
        spent = [(each, each.self_device_time_total) for each in kernels if not each.is_user_annotation]
    else:
        spent = [(each, each.self_cpu_time_total) for each in operations]
    total = sum(microseconds for _, microseconds in spent)
    ranked = sorted(spent, key=lambda item: -item[1])[:LARGEST]
    return tuple(
        OperationCost(each.key, microseconds / 1e6, microseconds / total if total else 0.0, each.count)
        for each, microseconds in ranked
    )


def writable(file: Path) -> None:
    """Raises UserError where `file` cannot be created, before minutes are spent on its content."""
    try:
        file.open("ab").close()
    except OSError as error:
        raise UserError(
            f"--trace: {file}: {error.strerror}; run it in a folder that is writable"
        ) from error
