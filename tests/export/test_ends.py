"""Files that take pixels and give probabilities: exported, verified, recorded, and refused where they are something else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import prepare
from edgenas.deployment.predict import Classifier
from edgenas.errors import UsageError
from edgenas.export import ExportedModel, export, verify
from edgenas.export.export import model_file
from edgenas.export.reference import References, as_pixels
from edgenas.graph import Ends, get_format
from edgenas.pipeline.export import export_run
from edgenas.supernet import Supernet
from edgenas.training import Evaluator
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

SPACE = make_micro_space()
PRECISIONS = ("fp32", "fp16", "int8")
ENDS = {"image_type": "uint8", "answer": "probabilities"}


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(Supernet(SPACE), make_dataset())


@pytest.fixture(scope="module")
def model(evaluator: Evaluator, tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    return export(evaluator, SPACE.smallest, tmp_path_factory.mktemp("export") / "it", precisions=PRECISIONS, **ENDS)


def test_every_precision_passes_in_every_runtime(evaluator: Evaluator, model: ExportedModel) -> None:
    """On images that were resized to the network's resolution, whose values are no whole pixels before."""
    results = verify(model, SPACE, evaluator.dataset, images=24)
    assert len({v.file for v in results}) == 6
    for v in results:
        assert v.passed and v.parity is not None
        if v.execution.precision == "fp32":
            assert (v.parity.agreement, v.accuracy) == (1, v.torch_accuracy)
    with_logits = export(evaluator, SPACE.smallest, model.folder.parent / "logits", ("onnx",))
    (plain,) = (v for v in verify(with_logits, SPACE, evaluator.dataset, images=24) if v.execution.runtime == "onnxruntime")
    assert abs(plain.accuracy - results[0].accuracy) < 0.05


def test_it_is_recorded(model: ExportedModel) -> None:
    about = json.loads((model.folder / "model.json").read_text())
    assert (about["preprocessing"]["input"], about["output"]) == ("uint8", "probabilities")
    assert "the network itself normalises them" in model.preprocessing.in_words
    how = model.preprocessing
    assert ExportedModel.load(model.folder).ends == model.ends == Ends((how.mean, how.std), probabilities=True)
    for kind in ("onnx", "tflite"):
        said = get_format(kind).metadata(model.file(kind, "int8").read_bytes())
        assert (json.loads(said["preprocessing"])["input"], said["output"]) == ("uint8", "probabilities")
        assert not {"input", "output"} & set(json.loads(said["quantisation"]))  # pixels and floats need no scale
    assert "input" in json.loads(get_format("onnx").metadata(model.file("onnx").read_bytes())["preprocessing"])


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_predict_obeys(evaluator: Evaluator, model: ExportedModel, runtime: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (model.preprocessing.resolution,) * 2 + (3,), np.uint8)
    classifier = Classifier(model.folder, runtime)
    outputs = classifier.outputs(pixels)
    assert outputs.sum() == pytest.approx(1, abs=1e-5)
    image = torch.from_numpy(
        prepare.tensor(Image.fromarray(pixels), {**model.preprocessing.to_json(), "input": "float32"}, "NCHW")
    )
    with torch.no_grad():
        expected = model.network(SPACE)(image).softmax(1)[0].numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    found = dict(classifier.predict(Image.fromarray(pixels)))
    np.testing.assert_allclose([found[name] for name in model.classes], expected, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"output": "logits"}, {"mean": (0.5, 0.4, 0.3)}, {"std": (0.25, 0.2, 0.2)}], ids=["softmax", "mean", "std"]
)
def test_a_file_with_other_ends_than_are_recorded_is_refused(
    evaluator: Evaluator, model: ExportedModel, tmp_path: Path, wrong: dict
) -> None:
    network = model.network(SPACE)
    mine = export(evaluator, SPACE.smallest, tmp_path / "it", ("onnx",), **ENDS)
    how = mine.preprocessing
    other = replace(mine, **wrong) if "output" in wrong else replace(mine, preprocessing=replace(how, **wrong))
    mine.file("onnx").write_bytes(model_file(other, network, "onnx"))
    (first,) = verify(mine, SPACE, evaluator.dataset, runtimes=["onnxruntime"], images=8)
    assert not first.passed
    assert mine.file("onnx").with_name("model.onnx.rejected").exists()


def test_files_of_other_ends_do_not_stay_beside_them(evaluator: Evaluator, tmp_path: Path) -> None:
    folder = tmp_path / "it"
    export(evaluator, SPACE.smallest, folder)
    assert {path.name for path in export(evaluator, SPACE.smallest, folder, ("onnx",)).files} == {"model.onnx", "model.tflite"}
    mine = export(evaluator, SPACE.smallest, folder, ("onnx",), image_type="uint8")
    assert [path.name for path in mine.files] == ["model.onnx"]


def test_what_leaves_no_room_for_a_softmax(evaluator: Evaluator) -> None:
    with pytest.raises(UsageError, match="Integers stand for logits"):
        export_run(None, precisions=("int8",), integer_ends=True, answer="probabilities")  # type: ignore[arg-type]


def test_integer_ends_and_pixels(evaluator: Evaluator, tmp_path: Path) -> None:
    mine = export(evaluator, SPACE.smallest, tmp_path / "it", precisions=("int8",), integer_ends=True, image_type="uint8")
    assert all(v.passed for v in verify(mine, SPACE, evaluator.dataset, images=8))


def test_pixels_come_back_to_the_last_one() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    values = torch.from_numpy(prepare.normalised(pixels.permute(0, 2, 3, 1).numpy(), mean, std)).permute(0, 3, 1, 2)
    assert torch.equal(as_pixels(values, mean, std), pixels)


def test_probabilities_are_compared_by_their_logarithms(model: ExportedModel) -> None:
    """A class of little probability counts as much as one of much."""
    images = torch.randn(4, 3, SPACE.smallest.resolution, SPACE.smallest.resolution)
    expected = References(model.network(SPACE), images, ends=model.ends).of("fp32")
    np.testing.assert_allclose(np.exp(expected.scores).sum(1), 1, rtol=1e-5)
    assert expected.compare(expected.scores).holds
    off = expected.scores.copy()
    off[0, off[0].argmin()] += 0.01 * max(1, np.abs(off).max())
    assert not expected.compare(off).holds
