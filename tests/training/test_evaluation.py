import pytest
import torch

from edgenas.supernet import Supernet
from edgenas.training import Evaluator
from edgenas.training.evaluation import in_fastest_runtime
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
