"""Every family goes the whole way: trained, extracted, recalibrated, exported, and the same in every runtime."""

import numpy as np
import pytest
import torch

from edgenas.export import export, verify
from edgenas.space import FAMILIES, get_space
from edgenas.training import Evaluator, Recipe, Trainer
from edgenas.training.schemes import ProgressiveShrinking
from tests.conftest import make_universal_space
from tests.training.conftest import make_dataset

SPACES = {
    "universal": make_universal_space,
    **{family: lambda family=family: get_space(family, "tiny", 3, resolutions=(12,)) for family in FAMILIES},
}


@pytest.mark.parametrize("name", SPACES)
def test_from_training_to_files(name, tmp_path):
    space, dataset = SPACES[name](), make_dataset()
    supernet = trained(space, dataset, "sandwich")
    evaluator = Evaluator(supernet, dataset)
    drawn = space.decode(space.sample(np.random.default_rng(1), 1)[0])
    model = export(evaluator, drawn, tmp_path / drawn.id)  # raises where a file computes something else
    if name == "universal":  # it has every op: tflite-runtime must know them too
        verified = verify(model, space, dataset)
        assert all(v.passed and v.parity.max_difference < 1e-4 for v in verified)


def test_the_width_is_shrunk_with_the_expand_ratio():
    space = make_universal_space()
    scheme = ProgressiveShrinking(space, Recipe())
    rng = np.random.default_rng(0)
    widths = {
        phase.name: {draw.architecture.width for _ in range(8) for draw in scheme.draw(phase, rng)} for phase in scheme.phases
    }
    assert widths == {"largest": {1.0}, "kernel": {1.0}, "depth": {1.0}, "expand": {0.5, 1.0}}
    trained(space, make_dataset(), "progressive-shrinking")


def trained(space, dataset, scheme):
    """A supernet after one epoch, every weight of which has moved that some subnet uses."""
    trainer = Trainer(space, dataset, Recipe(scheme=scheme, epochs=1, batch_size=32, learning_rate=0.02, largest_alone=0.0))
    before = {name: value.clone() for name, value in trainer.supernet.named_parameters()}
    results = []
    trainer.run(after_epoch=results.append)
    assert np.isfinite([result.loss for result in results]).all()
    supernet = trainer.trained()
    still = [name for name, value in supernet.named_parameters() if torch.equal(value.cpu(), before[name].cpu())]
    assert not [name for name in still if name.endswith(("project.weight", "classify.weight", "start.weight"))]
    return supernet
