"""`search check`: what a search would do on this machine, said before anything trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from search.objective import Description
from search.places import Place
from search.spec import Spec
from search.start import Wanted, choose, probe
from search.tracing import Trace, trace


@dataclass(frozen=True)
class Report:
    """The document, the data and the device as a search would find them."""

    spec: Spec
    description: Description | None
    device: str
    trace: Trace | None = None

    @property
    def problems(self) -> Sequence[str]:
        return [*self.spec.notes, *(self.description.problems if self.description else ())]

    def to_json(self) -> dict[str, Any]:
        """The object of `search check --json`; parameters are the model's trainable ones."""
        data = self.description
        traced = {"trace": self.trace.to_json()} if self.trace else {}
        return {
            "parameters": data.parameters if data else None,
            "device": self.device,
            "data": data
            and {
                "train": data.train,
                "val": data.val,
                "classes": data.classes,
                "image_size": data.image_size,
                "source": data.source,
            },
            "problems": list(self.problems),
            **traced,
        }


def check(wanted: Wanted, place: Place, trace_to: Path | None = None) -> Report:
    """Reads everything a search would read; raises what a search would raise.

    With `trace_to` an epoch is trained and its trace written there; nothing else is written.
    """
    spec, _, _ = choose(wanted)
    description = probe(spec, wanted.data)
    traced = trace(spec, wanted.data, place.device, trace_to) if trace_to else None
    return Report(spec, description, place.label, traced)


def check_table(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    spec, data = report.spec, report.description
    table.add_row("objective", spec.objective)
    if spec.profile:
        table.add_row("profile", spec.profile)
    table.add_row("searched", ", ".join(parameter.name for parameter in spec.space.parameters))
    table.add_row("known", ", ".join(known.name for known in spec.known) or "none")
    table.add_row("trials", str(spec.study.trials))
    if data is not None:
        size = (
            f"{data.train} to train, {data.val} to validate, {data.classes} classes, {data.image_size} px"
        )
        table.add_row("data", f"{data.source}: {size}")
        if data.parameters is not None:
            table.add_row("model", f"{data.parameters:,} parameters")
    table.add_row("device", report.device)
    for problem in report.problems:
        table.add_row("problem", problem)
    if report.trace is not None:
        for row in _trace_rows(report.trace):
            table.add_row(*row)
    return table


def _trace_rows(trace: Trace) -> Iterator[tuple[str, str]]:
    """Rows that say where the trace is and what the epoch spent its time on."""
    yield "trace", f"{trace.file}: epoch {trace.epoch}; open it in ui.perfetto.dev or chrome://tracing"
    for cost in trace.costs:
        yield "cost", f"{cost.share:5.1%}  {cost.seconds:8.3f} s  {cost.calls:7,} x  {cost.name}"
