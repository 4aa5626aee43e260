"""Learning from a classifier in an ONNX file."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from edgenas.data import normalise
from edgenas.errors import UsageError
from edgenas.graph import build_onnx
from edgenas.supernet import Supernet, fold
from edgenas.training import Recipe, Trainer
from edgenas.training.teacher import OnnxTeacher
from tests.conftest import make_micro_space


@pytest.fixture
def network(space):
    torch.manual_seed(5)
    return Supernet(space).extract(space.largest)


def write(path, network, batch="batch", metadata=None):
    path.write_bytes(build_onnx(network.specs, fold(network), batch=batch, metadata=metadata).SerializeToString())
    return path


@pytest.mark.parametrize("batch", ["batch", 1])
def test_it_computes_what_the_network_does(dataset, network, tmp_path, batch):
    images = normalise(dataset.train.batch(np.arange(5))[0], dataset.mean, dataset.std)
    teacher = OnnxTeacher(write(tmp_path / "teacher.onnx", network, batch), dataset)
    with torch.no_grad():
        torch.testing.assert_close(teacher(images), network(images), atol=1e-4, rtol=1e-4)


def test_it_normalises_and_resizes_as_its_metadata_says(dataset, space, tmp_path):
    network = Supernet(space).extract(space.smallest)  # 12 pixels instead of 16
    metadata = {"preprocessing": '{"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3]}', "classes": '["left", "middle", "right"]'}
    teacher = OnnxTeacher(write(tmp_path / "teacher.onnx", network, metadata=metadata), dataset)
    grey = torch.full((2, 3, 16, 16), 128, dtype=torch.uint8)
    own = normalise(torch.full((2, 3, 12, 12), 128, dtype=torch.uint8), (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    with torch.no_grad():
        torch.testing.assert_close(teacher(normalise(grey, dataset.mean, dataset.std)), network(own), atol=1e-4, rtol=1e-4)


def test_teachers_that_cannot_teach_are_refused(dataset, network, tmp_path):
    with pytest.raises(UsageError, match="There is no teacher"):
        OnnxTeacher(tmp_path / "none.onnx", dataset)
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(UsageError, match="cannot be opened as an ONNX model"):
        OnnxTeacher(tmp_path / "text.onnx", dataset)
    other = make_micro_space(classes=4)
    four = write(tmp_path / "four.onnx", Supernet(other).extract(other.smallest))
    with pytest.raises(UsageError, match="one logit for each class"):
        OnnxTeacher(four, dataset)
    renamed = write(tmp_path / "renamed.onnx", network, metadata={"classes": '["right", "middle", "left"]'})
    with pytest.raises(UsageError, match="another order"):
        OnnxTeacher(renamed, dataset)
    model = onnx.load(write(tmp_path / "grey.onnx", network))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, tmp_path / "grey.onnx")
    with pytest.raises(UsageError):
        OnnxTeacher(tmp_path / "grey.onnx", dataset)


@pytest.mark.parametrize("scheme", ["sandwich", "progressive-shrinking", "single-path"])
def test_a_student_becomes_like_its_teacher(space, dataset, network, tmp_path, scheme):
    """With a teacher that always says `middle`, students that see true labels still lean towards it."""
    with torch.no_grad():
        network[-1].classify.weight.zero_()
        network[-1].classify.bias.copy_(torch.tensor([0.0, 20.0, 0.0]))
    path = write(tmp_path / "teacher.onnx", network)
    recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.05, scheme=scheme)
    means = []
    for taught in (recipe, replace(recipe, teacher=str(path))):
        trainer = Trainer(space, dataset, taught)
        trainer.run()
        images = normalise(dataset.validation.batch(np.arange(len(dataset.validation)))[0], dataset.mean, dataset.std)
        with torch.no_grad():
            means.append(float(trainer.supernet.train()(images, space.largest).softmax(1)[:, 1].mean()))
    assert means[1] > means[0] + 0.1
