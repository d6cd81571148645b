"""The notebook of the worked example: it runs from the first cell to the last."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example" / "python.ipynb"


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    for cell in code:
        lines = [line for line in cell["source"] if not line.startswith("%")]
        compile("".join(lines), str(NOTEBOOK), "exec")


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the sockets to its kernel
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, which this environment lacks")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, which this environment lacks")
    monkeypatch.setenv("SEARCH_GPUS", "none")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[2]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in shown if output.output_type == "error"]
    pictures = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2, "the history and the mask"
    assert (tmp_path / "mask.png").exists()
