"""The last sections: what to try next, and what it takes to run it all again."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from search import formatting
from search.render.document import Block, Code, Paragraph, Section, Table, code, literal
from search.report.advice import advice
from search.report.material import NOT_RECORDED, Material

DOCUMENT = "space.yaml"
"""The study's own document, written beside the report: a new study can start from it."""


def next_steps(material: Material, folder: Path) -> Section:
    """What to try next, each with its evidence and a command."""
    found = advice(material, start_command(material, folder))
    blocks: list[Block] = []
    for each in found:
        blocks += [Paragraph(f"{each.what} {each.evidence}"), Code(each.commands)]
    if not found:
        blocks.append(Paragraph("No range was hit and nothing shows that the search stopped too early."))
    return Section("What to try next", blocks)


def reproduction(material: Material, folder: Path, versions: Mapping[str, str]) -> Section:
    """Seeds, versions, the data's fingerprint, and commands."""
    snapshot, settings = material.snapshot, material.spec.study
    facts = {
        "study": code(snapshot.study),
        "storage": code(snapshot.storage),
        "objective": code(material.spec.objective),
        "profile": literal(snapshot.profile or "none"),
        "sampler": f"{literal(settings.sampler.kind)}, seed {settings.sampler.seed}",
        "pruner": literal(settings.pruner.kind),
        "seed of every trial": str(material.best.record.seed),
        **{f"data: {literal(name)}": literal(value) for name, value in material.fingerprint.items()},
        **{f"this report: {name}": version for name, version in versions.items()},
    }
    blocks: list[Block] = [Table(["", ""], [[name, value] for name, value in facts.items()])]
    sides = material.roles
    names = list(dict.fromkeys(name for _, trial in sides for name in trial.provenance))
    if names:
        rows = [
            [literal(name), *(_provenance(trial.provenance.get(name)) for _, trial in sides)]
            for name in names
        ]
        blocks += [
            Paragraph("How the two were trained, as they wrote it down:"),
            Table(["", *(role.lower() for role, _ in sides)], rows),
        ]
    else:
        blocks.append(Paragraph(f"Devices and versions of the trainings: {NOT_RECORDED} on this machine."))
    again = start_command(material, folder).format(name=f"{material.study}-again")
    commands = [f"{again} --trials {snapshot.budget.trials}", f"search report --study {material.study}"]
    blocks += [
        Paragraph(
            f"The study's own document is {code(folder / DOCUMENT)}. With the same device and as many "
            "threads each config trains to the same scores on a CPU, on a GPU up to rounding. Which "
            "configs are drawn depends also on the order in which trials end, where several workers run."
        ),
        Code(commands),
    ]
    return Section("Seeds, versions, data, commands", blocks)


def start_command(material: Material, folder: Path) -> str:
    """What makes a study `{name}` of the same document and data."""
    data = material.best.data if _has_data(material) else None
    given = f" --data {shlex.quote(data)}" if data else ""
    document = shlex.quote(str(folder / DOCUMENT)).replace("{", "{{").replace("}", "}}")
    return f"search start --study {{name}} --space {document}{given}".replace("{{name}}", "{name}")


def _has_data(material: Material) -> bool:
    """Whether the data are a folder's."""
    return bool(material.best.data) and Path(str(material.best.data)).is_absolute()


def _provenance(value: object) -> str:
    if value is None:
        return formatting.DASH
    return literal(value)
