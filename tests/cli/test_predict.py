"""`export --bundle` and `predict`."""

import json
from pathlib import Path

import pytest

from edgenas.data.sources import open_source
from edgenas.export import load_exports
from edgenas.run import Run
from tests.cli.conftest import edgenas

RUN = Path("runs/digits")


@pytest.fixture
def picture(at_work, tmp_path):
    """One of the run's images, as a file."""
    source = open_source("digits")
    with source.open(Run.open(RUN).dataset().pictures.files[0]) as stream:
        (tmp_path / "digit.png").write_bytes(stream.read())
    return tmp_path / "digit.png"


def test_a_bundle_is_of_one_network(at_work, tmp_path):
    result = edgenas("export", RUN, "--bundle", tmp_path / "cat.zip")
    ids = [model.architecture.id for model in load_exports(RUN / "export")]
    if len(ids) > 1:
        assert result.exit_code == 2 and all(f"--architecture {id}" in result.output for id in ids)
        assert not (tmp_path / "cat.zip").exists()


def test_run_and_bundle_predict_alike(at_work, picture, tmp_path):
    best = max(load_exports(RUN / "export"), key=lambda model: model.validation.value)
    bundle = tmp_path / "cat.zip"
    result = edgenas("export", RUN, "--architecture", best.architecture.id, "--bundle", bundle)
    assert result.exit_code == 0, result.output
    assert "predict.py --self-test" in result.output
    answers = []
    for network in (RUN, bundle):
        result = edgenas("predict", network, picture, "--json", "--top", 3)
        assert result.exit_code == 0, result.output
        answers.append(json.loads(result.stdout.splitlines()[-1]))
    assert answers[0] == answers[1]
    assert len(answers[0]["predictions"]) == 3


def test_what_cannot_be_read_is_told(at_work, picture, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    result = edgenas("predict", RUN, tmp_path / "text.jpg", tmp_path / "missing.jpg", picture)
    assert result.exit_code == 1
    assert "text.jpg: it is no image that can be read" in result.output
    assert "missing.jpg: there is no such file" in result.output
    assert "digit.png: " in result.output
