"""An operator of one's own, in one place: this file. Nothing else of EdgeNAS knows it, and it goes the whole way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgenas import cost
from edgenas.device import open_session
from edgenas.export import export, verify
from edgenas.graph import get_format, random_weights
from edgenas.space import OPERATORS, BlockSpec, Operator, Program, register_operator
from edgenas.space.description import build_space
from edgenas.supernet import Network
from edgenas.supernet.blocks import ACTIVATIONS, depthwise
from edgenas.training import Evaluator, Recipe, Trainer
from tests.conftest import ORT
from tests.training.conftest import make_dataset

# ---- the operator: an inverted bottleneck that looks at two scales ----


def twin(p: Program, spec: BlockSpec) -> None:
    p.conv("expand", spec.mid_channels)
    wide = p.act(spec.activation)
    p.add("sum", p.depthwise("near", 3, spec.stride), p.depthwise("far", spec.kernel, spec.stride, reads=wide))
    p.act(spec.activation)
    out = p.conv("project", spec.out_channels)
    if spec.residual:
        p.add("residual", out, "input")


class Twin(nn.Module):
    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.expand, self.expand_norm = nn.Conv2d(spec.in_channels, mid, 1, bias=False), nn.BatchNorm2d(mid)
        self.near, self.near_norm = depthwise(mid, 3, spec.stride, 1), nn.BatchNorm2d(mid)
        self.far, self.far_norm = depthwise(mid, spec.kernel, spec.stride, spec.kernel // 2), nn.BatchNorm2d(mid)
        self.project, self.project_norm = nn.Conv2d(mid, spec.out_channels, 1, bias=False), nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.expand_norm(self.expand(x)))
        y = self.activation(self.near_norm(self.near(y)) + self.far_norm(self.far(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


TWIN = Operator("twin", twin, Twin, expands="input", residual=True)

# ---- what it is put to ----

SPACE = {
    "resolutions": [12, 16],
    "stem": [{"op": "conv", "channels": 8, "kernel": 3, "stride": 2}],
    "stages": [{"op": "twin", "channels": 8, "depths": [1, 2], "kernels": [3, 5], "expands": [2, 3], "activation": "hswish"},
               {"op": "twin", "channels": 16, "depths": [1], "kernels": [3, 5], "expands": [2], "stride": 2}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    register_operator(TWIN)
    yield
    del OPERATORS["twin"]


def test_it_goes_from_training_to_verified_files(tmp_path: Path) -> None:
    space, dataset = build_space(SPACE, "twins", 3), make_dataset()
    trainer = Trainer(space, dataset, Recipe(epochs=1, batch_size=32, learning_rate=0.02, largest_alone=0.0))
    before = {name: value.clone() for name, value in trainer.supernet.named_parameters()}
    results = []
    trainer.run(after_epoch=results.append)
    assert np.isfinite(results[0].loss)
    moved = {name for name, value in trainer.supernet.named_parameters() if not torch.equal(value, before[name])}
    assert {"blocks.1.full.near.weight", "blocks.1.full.far.weight", "blocks.1.kernel_transforms.to3"} <= moved

    drawn = space.decode(space.sample(np.random.default_rng(1), 1)[0])
    evaluator = Evaluator(trainer.trained(), dataset)
    model = export(evaluator, drawn, tmp_path / drawn.id)  # raises where a file computes something else than torch
    assert all(v.passed and v.parity.max_difference < 1e-4 for v in verify(model, space, dataset))


def test_its_costs_are_those_of_its_module() -> None:
    space = build_space(SPACE, "twins", 3)
    blocks = space.blocks(space.largest)
    assert cost.parameters(blocks) == sum(p.numel() for p in Network(blocks).parameters())
    spec = BlockSpec("twin", 4, 8, 16, 8, 5, residual=True)
    assert BlockSpec.from_key(spec.key) == spec
    assert cost.block_macs(spec) == 16 * (8 * 16 + 16 * 9 + 16 * 25 + 16 * 8)
    assert cost.block_depthwise_macs(spec) == 16 * (16 * 9 + 16 * 25)
    # At the sum, whose parts are both alive, and the kept input.
    assert cost.block_peak_memory_bytes(spec) == 4 * 16 * (8 + 3 * 16)


def test_sorting_moves_no_channels_that_two_layers_read() -> None:
    space = build_space(SPACE, "twins", 3)
    trainer = Trainer(space, make_dataset(), Recipe(epochs=1))
    supernet, images = trainer.supernet.eval(), torch.randn(2, 3, 16, 16)
    before = supernet(images, space.largest)
    supernet.sort_channels()
    assert torch.allclose(before, supernet(images, space.largest), atol=1e-5)


def test_its_int8_file_is_close_to_its_float_file() -> None:
    spec, onnx = BlockSpec("twin", 8, 3, 16, 3, 5, activation="relu"), get_format("onnx")
    weights = [random_weights(spec, np.random.default_rng(0))]
    image = np.random.default_rng(1).uniform(-1.5, 1.5, (1, 3, 8, 8)).astype(np.float32)
    expected, steps = (open_session(ORT, onnx.build([spec], weights, precision)).run(image) for precision in ("fp32", "int8"))
    found = (steps.astype(np.float32) - 128) * np.float32(12 / 255)
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="already"):
        register_operator(TWIN)
    with pytest.raises(ValueError, match="small letters"):
        register_operator(Operator("twin-2", twin, Twin))
