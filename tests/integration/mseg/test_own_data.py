"""Other people's data, without code: searched, reported, and drawn."""

import json
from pathlib import Path

import pytest
import torch
from own_data import KINDS
from PIL import Image
from service import Search

from search.mseg import gallery
from search.mseg.data import sources
from search.report.collect import collect_report_data
from search.report.writer import write_report
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.study import Study
from search.worker.worker import Worker

DOCUMENT = """\
objective: search.mseg
study: {trials: TRIALS, smooth: 1, sampler: {kind: random, seed: 7}, pruner: {kind: none}}
space:
  data: {source: folder, image_size: SIZE, fit: FIT, eval_size: native, val_share: 0.34}
  augment: {rotation: 0.5, affine: 0.5, cutmix: 0.5}
  model: {width_1: 8, width_2: 8, width_3: 8, width_4: 8, decoder_width: 8}
  optimizer: {learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}
  schedule: {warmup_epochs: 0}
  trainer: {epochs: 1, batch_size: 4, patience: null}
known:
  - {name: by hand, optimizer.learning_rate: 1.0e-4}
"""

SIZES = {
    "street": ("{choices: [[40, 56], 32]}", "resize"),
    "voc": ("64", "pad"),
    "binary": ("[40, 48]", "resize"),
    "grey_16_bit": ("32", "resize"),
}

REPORTED = ("street", "voc")
"""Images of two sizes, and masks of many; a report compares two trials."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, prepared_file: Path) -> dict[str, Path]:
    """The data folders by kind."""
    folder = tmp_path_factory.mktemp("data")
    for name, make in KINDS.items():
        make(folder / name, 9)
    return {name: folder / name for name in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_on_other_data_trains_reports_and_draws(
    prepared: dict[str, Path], tmp_path: Path, prepared_file: Path, kind: str
) -> None:
    torch.set_num_threads(1)
    sources._load.cache_clear()
    size, fit = SIZES[kind]
    trials = 2 if kind in REPORTED else 1
    document = DOCUMENT.replace("SIZE", size).replace("FIT", fit).replace("TRIALS", str(trials))
    if "choices" in size:
        document = document.replace("by hand, ", "by hand, data.image_size: [40, 56], ")
    root = prepared[kind]
    search = Search(tmp_path / "work", f"sqlite:///{tmp_path / 'study.db'}", document)
    search.prepared_file = prepared_file
    study = search.create(data=root)
    worker = Worker(study, search.folder / "runs", root, [Device("cpu", "cpu")])
    assert worker.run(Interrupt()) == 0
    records = search.records()
    assert [record.state for record in records] == ["complete"] * trials
    for record in records:
        folder = search.runs / f"trial-{record.number:04d}"
        (score,) = json.loads((folder / "history.json").read_text())["val_f_score"]
        assert 0 <= score <= 1
        with Image.open(folder / "overlay.png") as overlay:
            assert overlay.width > 600
        kept = gallery.read(folder)
        assert kept is not None and len(kept.names) == 3
        assert kept.images.shape == kept.truth.shape == kept.predicted.shape
    if kind in REPORTED:
        report_says_images(search, study, root)
    study.engine.dispose()


def report_says_images(search: Search, study: Study, root: Path) -> None:
    """The report of a search on data that are no faces does not speak of them."""
    records = search.records()
    other = min(records, key=lambda record: record.value or 0)
    data = collect_report_data(study, search.folder / "runs", str(other.number))
    report = write_report(data, search.folder / "report")
    assert (report.folder / "figures" / "faces.png").exists()
    text = (report.folder / "report.md").read_text()
    assert str(root) in text and "face" not in text.replace("faces.png", "")
