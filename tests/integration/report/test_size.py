"""The report's section on score and size: only where the models differ in size."""

from collections.abc import Iterator
from typing import Any

import pytest
from service import Search

from search.objective import EpochResult, Run
from search.render.document import Figure, Paragraph, Table
from search.report.collect import collect_report_data
from search.report.writer import write_report
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.worker.worker import Worker

TOLD = [(900, 0.3), (100, 0.1), (500, 0.4), (200, 0.2)]
"""Parameters and score of each trial: 0 is larger and worse than 2."""


@pytest.mark.parametrize("sizes", ["different", "equal"])
def test_score_and_size_are_drawn_where_sizes_differ(
    search: Search, monkeypatch: pytest.MonkeyPatch, sizes: str
) -> None:
    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        parameters, score = TOLD[int(run.dir.name.removeprefix("trial-"))]
        parameters = parameters if sizes == "different" else 700
        yield EpochResult(epoch=1, epochs=1, score=score, parameters=parameters, forward_ms=2.0)

    monkeypatch.setattr("toy.train", train)
    study = search.create(trials=4)
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    report = write_report(collect_report_data(study, search.folder / "runs"), search.runs / "report")
    found = [section for section in report.document.sections if section.title == "Score and size"]
    figure = search.runs / "report" / "figures" / "size.png"
    assert bool(found) == figure.is_file() == (sizes == "different")
    if found:
        said, drawn, table = found[0].blocks
        assert isinstance(said, Paragraph) and isinstance(drawn, Figure) and isinstance(table, Table)
        assert said.text.startswith("Of 4 complete trials, 3 are on the front: no smaller model scored as ")
        assert table.rows == [
            ["1", "0.1000", "100", "2"],
            ["3", "0.2000", "200", "2"],
            ["2", "0.4000", "500", "2"],
        ]
