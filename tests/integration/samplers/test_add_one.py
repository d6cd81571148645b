"""A sampler and a pruner are added to a copy of the project by one definition and one entry each."""

import json
from pathlib import Path
from typing import Any

from add_one import ProjectCopy

SPACE = """\
objective: toy
study:
  trials: {trials}
  smooth: 1
  sampler: {sampler}
  pruner: {pruner}
space:
  x: {{low: 0.0, high: 1.0}}
  y: {{low: 0.0, high: 1.0}}
  epochs: 3
"""


def trained(project: ProjectCopy, document: str) -> list[dict[str, Any]]:
    """The trials of a study that the copy ran."""
    (project.folder / "toy.yaml").write_text(document)
    study = ("--study", "added", "--storage", f"sqlite:///{project.folder / 'added.db'}")
    project.run("start", *study, "--space", "toy.yaml", "--workers", "1", "--device", "cpu")
    trials: list[dict[str, Any]] = json.loads(project.run("trials", *study, "--json"))
    return trials


def test_a_sampler_and_a_pruner_are_one_definition_and_one_entry_each(tmp_path: Path) -> None:
    project = ProjectCopy(tmp_path)
    project.add(
        "search/samplers/registry.py",
        registry="SAMPLERS",
        entry='"fixed": fixed',
        definition="""
            def fixed(draw: SlotDraw, *, at: float) -> BaseSampler:
                return PartialFixedSampler({"y": at}, uniform(draw))
        """,
    )
    project.add(
        "search/pruners/registry.py",
        registry="PRUNERS",
        entry='"floor": Floor',
        definition="""
            class Floor(Pruner):
                def __init__(self, spec: Spec, *, score: float) -> None:
                    self.score = score

                def open(self, study):
                    pass

                def decide(self, lease, params, result, reachable):
                    from search.pruners.pruner import Decision

                    below = result.score < self.score
                    text = f"{result.score:.3f} is below the floor of {self.score}"
                    return Decision(prune=below, text=text, epoch=result.epoch)
        """,
    )
    document = SPACE.format(
        trials=6, sampler="{kind: fixed, seed: 1, at: 0.25}", pruner="{kind: floor, score: 0.2}"
    )
    trials = trained(project, document)
    assert {trial["params"]["y"] for trial in trials} == {0.25}
    assert len({trial["params"]["x"] for trial in trials}) == 6
    first_scores = [trial["curve"][0] for trial in trials]
    pruned = [trial["state"] == "pruned" for trial in trials]
    assert pruned == [score < 0.2 for score in first_scores]
    assert any(pruned) and not all(pruned)
    assert all(
        "the floor of 0.2" in trial["reason"]["text"] for trial in trials if trial["state"] == "pruned"
    )
