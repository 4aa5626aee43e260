from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.device import Execution, open_session
from edgenas.export import export
from edgenas.quantisation.computation import simulate
from edgenas.supernet import Supernet, fold
from edgenas.training import Evaluator, evaluation
from edgenas.training.evaluation import has_exact_kernels, in_fastest_runtime, in_int8
from tests.training.conftest import make_dataset


@pytest.fixture
def evaluator(space):
    torch.manual_seed(0)
    return Evaluator(Supernet(space), make_dataset(300))


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_accuracy_is_that_of_the_torch_network(evaluator, which):
    """Whatever runtime is the fastest, and whatever the number of images."""
    architecture = getattr(evaluator.supernet.space, which)
    split = evaluator.dataset.train
    network = evaluator.network(architecture)
    batches = list(evaluator.images(split, architecture.resolution))
    compute = in_fastest_runtime(network)
    correct = 0
    with torch.no_grad():
        for images, labels in batches:
            expected = network(images)
            assert torch.allclose(compute(images), expected, atol=1e-4 * float(expected.abs().max()))
            correct += int((expected.argmax(1) == labels).sum())
    assert 0 < correct < len(split)
    assert evaluator.accuracy(architecture, split) == pytest.approx(correct / len(split), abs=1.5 / len(split))


def test_in_int8_it_answers_as_the_exported_file(evaluator, tmp_path):
    """Also of a share of the images, and in float32 as ever."""
    evaluator.dataset = replace(evaluator.dataset, validation=evaluator.dataset.train)
    architecture = evaluator.supernet.space.largest
    found = evaluator.evaluate_in(architecture, ("fp32", "int8"))
    assert np.array_equal(found["fp32"].predicted, evaluator.evaluate(architecture).predicted)
    file = export(evaluator, architecture, tmp_path, ("onnx",), precisions=("int8",)).file("onnx", "int8")
    session = open_session(Execution("onnxruntime"), file)
    batches = evaluator.images(evaluator.dataset.validation, architecture.resolution)
    said = [session.run(image[None].numpy()).argmax() for images, _ in batches for image in images]
    assert (found["int8"].predicted == np.array(said)).mean() >= 0.995
    few = evaluator.evaluate_in(architecture, ("int8",), share=0.25)["int8"]
    assert len(few) == round(0.25 * len(said))


def test_without_exact_kernels_int8_is_simulated(evaluator, monkeypatch):
    """As on processors that cut sums of products off."""
    if not has_exact_kernels():
        pytest.skip("this processor's kernels cut sums off")
    network = evaluator.network(evaluator.supernet.space.largest)
    calibration = evaluator.calibration(network)
    images = next(evaluator.images(evaluator.dataset.train, network.resolution))[0]
    exact = in_int8(network, calibration)(images)
    monkeypatch.setattr(evaluation, "has_exact_kernels", lambda: False)
    expected = simulate(calibration.quantisation(network.specs), fold(network))(images)
    assert torch.equal(in_int8(network, calibration)(images), expected)
    assert (exact.argmax(1) == expected.argmax(1)).float().mean() >= 0.995
