"""`search check`: what a search would do on this machine, said before anything trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from search.objective import Description
from search.spec import Spec
from search.start import Wanted, choose, probe
from search.supervisor import Place


@dataclass(frozen=True)
class Report:
    """The document, the data and the device as a search would find them."""

    spec: Spec
    description: Description | None
    device: str

    @property
    def problems(self) -> Sequence[str]:
        return [*self.spec.notes, *(self.description.problems if self.description else ())]

    def to_json(self) -> dict[str, Any]:
        """The object of `search check --json`; parameters are the model's trainable ones."""
        data = self.description
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
        }


def check(wanted: Wanted, place: Place) -> Report:
    """Reads everything a search would read; raises what a search would raise."""
    spec, _, _ = choose(wanted)
    return Report(spec, probe(spec, wanted.data), place.label)


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
    return table
