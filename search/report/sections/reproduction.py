"""The section about what it takes to run it all again: seeds, versions, the data's fingerprint,
commands."""

import platform
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from search import formatting
from search.render.document import Block, Code, Paragraph, Table, code, literal
from search.report.report_data import NOT_RECORDED, ReportData

DOCUMENT = "space.yaml"
"""The study's own document, written beside the report: a new study can start from it."""

PACKAGES = ("mseg-search", "optuna", "matplotlib")


def reproduction(data: ReportData) -> Iterator[Block]:
    """The facts of the study, how the two were trained, and commands."""
    yield Table(["", ""], _facts(data))
    yield from _provenance(data)
    yield Paragraph(
        f"The study's own document is {code(data.folder / DOCUMENT)}. Whether a trial comes out the same "
        "again, `search replay` tells. If several workers run, which configs are drawn depends also on the "
        "order in which trials end."
    )
    again = start_command(data).format(name=f"{data.study}-again")
    yield Code([f"{again} --trials {data.snapshot.budget.trials}", f"search report --study {data.study}"])


def start_command(data: ReportData) -> str:
    """The command that makes a study `{name}` with the same document and data."""
    root = data.best.data
    flag = f" --data {shlex.quote(root)}" if root and Path(root).is_absolute() else ""
    document = shlex.quote(str(data.folder / DOCUMENT)).replace("{", "{{").replace("}", "}}")
    return f"search start --study {{name}} --space {document}{flag}".replace("{{name}}", "{name}")


def _seeds(data: ReportData) -> str:
    seed, count = data.best.record.seed, data.spec.study.seeds
    return str(seed) if count == 1 else f"{count} in turn; of the best: {seed}"


def _facts(data: ReportData) -> list[list[str]]:
    settings = data.spec.study
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    facts = {
        "study": code(data.study),
        "storage": code(data.snapshot.storage),
        "objective": code(data.spec.objective),
        "profile": literal(data.snapshot.profile or "none"),
        "sampler": f"{literal(settings.sampler.kind)}, seed {settings.sampler.seed}",
        "pruner": literal(settings.pruner.kind),
        "seed of every trial": _seeds(data),
        **{f"data: {literal(name)}": literal(value) for name, value in data.fingerprint.items()},
        **{f"this report: {name}": text for name, text in versions.items()},
    }
    return [[name, value] for name, value in facts.items()]


def _provenance(data: ReportData) -> list[Block]:
    """How the two were trained, as their folders say."""
    names = dict.fromkeys(name for _, trial in data.roles for name in trial.provenance)
    if not names:
        return [Paragraph(f"Devices and versions of the trainings: {NOT_RECORDED} on this machine.")]
    rows = [
        [literal(name), *(_value(trial.provenance.get(name)) for _, trial in data.roles)] for name in names
    ]
    head = ["", *(role.lower() for role, _ in data.roles)]
    return [Paragraph("How the two were trained, as they recorded it:"), Table(head, rows)]


def _value(value: object) -> str:
    return formatting.DASH if value is None else literal(value)
