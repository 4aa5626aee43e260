"""`network.py`: the exported network in plain torch, without EdgeNAS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgenas.errors import ParityError
from edgenas.export import ExportedModel, Preprocessing, export
from edgenas.export.torch_source import check_torch_source, torch_source
from edgenas.metric import Score
from edgenas.space import FAMILIES, get_space
from edgenas.supernet import Network, Supernet
from edgenas.training import Evaluator
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

ALONE = """
import sys
sys.modules["edgenas"] = None
sys.path.insert(0, sys.argv[1])
import network, numpy, torch
with torch.no_grad():
    numpy.save(sys.argv[3], network.load()(torch.from_numpy(numpy.load(sys.argv[2]))).numpy())
assert not network.Network().load_state_dict(network.load().state_dict()).missing_keys
"""


def test_it_runs_without_edgenas_from_what_the_folder_holds(tmp_path: Path) -> None:
    space, dataset = make_micro_space(), make_dataset()
    torch.manual_seed(0)
    model = export(Evaluator(Supernet(space), dataset), space.largest, tmp_path / "it", ("onnx",))
    images = np.random.default_rng(0).standard_normal((3, 3, *[space.largest.resolution] * 2)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-I", "-c", ALONE, model.folder, tmp_path / "images.npy", tmp_path / "outputs.npy"]
    subprocess.run([str(word) for word in command], check=True)
    with torch.no_grad():
        expected = model.network(space)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, atol=1e-5)
    text = (model.folder / "network.py").read_text()
    assert "edgenas" not in text and f"CLASSES = {list(model.classes)}" in text and "subtract" in text


def random_network(family: str, end: str) -> tuple[ExportedModel, Network, float]:
    space = get_space(family, "tiny", classes=5)
    architecture = getattr(space, end)
    torch.manual_seed(0)
    network = Network(space.blocks(architecture), space.batch_norm_epsilon)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # at first they all leave values as they are
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.uniform_(part.running_mean, -0.5, 0.5)
    how = Preprocessing(architecture.resolution, (0.5,) * 3, (0.5,) * 3)
    score = Score.of_accuracy(0.5, None)
    return ExportedModel(architecture, tuple("abcde"), how, False, (), score, {}), network, space.batch_norm_epsilon


@pytest.mark.parametrize("end", ["smallest", "largest"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, end: str) -> None:
    model, network, epsilon = random_network(family, end)
    source = torch_source(model, network, epsilon)
    check_torch_source(source, network, torch.randn(2, 3, network.resolution, network.resolution))
    assert all(len(line) < 400 for line in source.splitlines())


def test_another_network_is_refused() -> None:
    model, network, epsilon = random_network("resnet", "largest")
    source = torch_source(model, network, epsilon).replace("F.relu(", "F.relu6(")
    images = 20 * torch.randn(2, 3, network.resolution, network.resolution)
    with pytest.raises(ParityError, match=r"network\.py was not written"):
        check_torch_source(source, network, images)
