import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

from edgenas import cost
from edgenas.space import BlockSpec, get_space
from edgenas.space.once_for_all import from_ofa
from edgenas.supernet import Network
from tests.conftest import every_genome, make_micro_space, make_universal_space


def test_macs_and_parameters_equal_the_published_ones(shared):
    """Of all 2,223 subnets of `ofa_mbv3_d234_e346_k357_w1.0`, to the last unit."""
    space = get_space("mobilenetv3", "imagenet", 1000)
    with (shared / "ofa_mbv3_imagenet/ofa_mbv3w10_top1_macs_params_i7latency.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2223
    for row in rows:
        lists = [json.loads(row[name]) for name in ("d", "ks", "e")]
        blocks = space.blocks(from_ofa(int(row["r"]), *lists))
        assert (cost.macs(blocks), cost.parameters(blocks)) == (int(row["macs"]), int(row["params"]))


@pytest.mark.parametrize(
    ("network", "million_parameters"),
    [
        ("mobilenetv2", 3.505),
        ("mobilenetv2-0.5", 1.969),
        ("mobilenetv2-0.35", 1.677),
        ("mobilenetv3-small", 2.543),
        ("mobilenetv3-large", 5.483),
        ("mobilenetv4-conv-small", 3.774),
        ("mobilenetv4-conv-medium", 9.716),
        ("efficientnet-lite0", 4.652),
        ("efficientnet-lite1", 5.417),
        ("efficientnet-lite2", 6.092),
        ("resnet50d", 25.576),
    ],
)
def test_networks_have_the_published_size(network, million_parameters):
    """As timm and torchvision count them, for ImageNet's 1,000 classes."""
    space = get_space(network, None, 1000)
    assert space.count() == 1
    assert round(cost.parameters(space.blocks(space.largest)) / 1e6, 3) == million_parameters


@pytest.mark.parametrize("make", [make_micro_space, make_universal_space, lambda: get_space("lenet", None, 3),
                                  lambda: get_space("mobilenetv3-small", None, 3, resolutions=(32,)),
                                  lambda: get_space("mobilenetv4-conv-small", None, 3, resolutions=(32,))])  # fmt: skip
def test_costs_are_those_of_the_torch_network(make):
    space = make()
    for genome in every_genome(space)[::9]:
        blocks = space.blocks(space.decode(genome))
        network = Network(blocks).eval()
        macs = 0

        def count(layer, inputs, output):
            nonlocal macs
            macs += layer.weight.numel() * (output.shape[2] * output.shape[3] if output.ndim == 4 else 1)

        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.zeros(1, 3, network.resolution, network.resolution))
        assert cost.macs(blocks) == macs
        assert cost.parameters(blocks) == sum(p.numel() for p in network.parameters())


def test_peak_memory_of_a_block_by_hand():
    block = BlockSpec("mbconv", 4, 8, 16, 8, 3, se=True, residual=True)
    # At the SE scaling: the kept input, the depthwise output, the scaled output and the gates.
    assert cost.block_peak_memory_bytes(block) == 4 * (8 * 16 + 2 * 16 * 16 + 16)
    plain = BlockSpec("conv", 4, 3, 0, 8, 3, 2)
    assert cost.block_peak_memory_bytes(plain) == 4 * (3 * 16 + 8 * 4)
    extra = BlockSpec("mbconv", 4, 8, 16, 8, 3, residual=True, start=5)
    # Not at the start depthwise, 2 * 8 * 16, but at the second: the kept input, what it reads and what it writes.
    assert cost.block_peak_memory_bytes(extra) == 4 * (8 * 16 + 2 * 16 * 16)
    down = BlockSpec("bottleneck", 4, 8, 8, 64, 3, 2)
    # At the addition: both its inputs and its output.
    assert cost.block_peak_memory_bytes(down) == 4 * 3 * 64 * 4
    kept = BlockSpec("bottleneck", 4, 32, 8, 32, 3, residual=True)
    assert cost.block_peak_memory_bytes(kept) == 4 * 3 * 32 * 16
    assert cost.block_peak_memory_bytes(BlockSpec("maxpool", 4, 8, 0, 8, 3, 2)) == 4 * (8 * 16 + 8 * 4)
    depthwise_separable = BlockSpec("mbconv", 4, 8, 8, 8, 3, residual=True)
    # The kept input is the depthwise convolution's own input: it counts once.
    assert cost.block_peak_memory_bytes(depthwise_separable) == 4 * 3 * 8 * 16


def test_peak_memory_of_a_network_is_its_worst_block(micro_space):
    blocks = micro_space.blocks(micro_space.largest)
    assert cost.peak_memory_bytes(blocks) == max(np.array([cost.block_peak_memory_bytes(b) for b in blocks]))
