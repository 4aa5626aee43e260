"""The notebook in examples/ runs, cell by cell, with less to do."""

import json

import pytest

from tests.docs.examples import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
QUICKER = {"epochs=12": "epochs=1, width=0.5, resolutions=(20,)", "seconds=60": "seconds=5", "evaluations=40": "evaluations=12",
           'networks=["lenet"], epochs=1, width=0.5, resolutions=(20,)': 'networks=["lenet"], epochs=1'}  # fmt: skip


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "what a notebook printed elsewhere is left out"
    names: dict = {}
    for cell in cells:
        code = "".join(cell["source"])
        for written, instead in QUICKER.items():
            code = code.replace(written, instead)
        exec(code, names)
    assert names["report"].page.exists()
    assert "model.onnx in onnxruntime" in capsys.readouterr().out


def test_there_is_one():
    assert NOTEBOOKS
