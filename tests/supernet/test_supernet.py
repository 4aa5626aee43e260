from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from edgenas.graph import weight_shapes
from edgenas.space import FAMILIES, Architecture, BlockChoice, get_space
from edgenas.supernet import Network, Supernet, fold, recalibrate
from edgenas.supernet.blocks import ACTIVATIONS, dropout
from edgenas.supernet.convolution import DepthwiseConv2d, PointwiseConv2d
from edgenas.supernet.elastic import _template, importance
from tests.conftest import make_micro_space, make_universal_space


def shaken(supernet: Supernet, seed: int = 0) -> Supernet:
    """With nothing left at a neutral start value, so that every weight and statistic matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif "norm" in name and tensor.dtype.is_floating_point:
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))
            elif "kernel_transforms" in name:
                tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    return supernet.eval()


TINY = get_space("mobilenetv3", "tiny", 10)
TINY_SUPERNET = shaken(Supernet(TINY))
SUPERNETS = [TINY_SUPERNET, *(shaken(Supernet(get_space(name, "tiny", 10))) for name in FAMILIES if name != "mobilenetv3")]
MICRO_SUPERNET = shaken(Supernet(make_micro_space()))


def images(resolution: int, n: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SUPERNETS), st.integers(0, 2**32 - 1))
def test_an_extracted_subnet_computes_what_the_supernet_does(supernet, seed):
    space = supernet.space
    architecture = space.decode(space.sample(np.random.default_rng(seed), 1)[0])
    x = images(architecture.resolution, seed=seed)
    with torch.no_grad():
        torch.testing.assert_close(supernet.extract(architecture)(x), supernet(x, architecture), atol=1e-5, rtol=0)


def test_an_extracted_subnet_is_made_of_stock_layers_and_owns_its_weights():
    network = MICRO_SUPERNET.extract(MICRO_SUPERNET.space.smallest)
    for module in network.modules():
        if not list(module.children()):
            assert type(module).__module__.startswith("torch.nn.modules") or isinstance(
                module, DepthwiseConv2d | PointwiseConv2d
            )
    shared = {tensor.data_ptr() for tensor in MICRO_SUPERNET.state_dict().values()}
    assert not shared & {tensor.data_ptr() for tensor in network.state_dict().values()}


def independent_depthwise(block, channels, kernel):
    """The paper's kernel: the centre of the next larger one times a matrix, 7 -> 5 -> 3, in numpy."""
    weight = block.full.depthwise.weight[:channels].detach().numpy()
    while weight.shape[-1] > kernel:
        weight = weight[:, :, 1:-1, 1:-1]
        size = weight.shape[-1]
        matrix = block.kernel_transforms[f"to{size}"].detach().numpy()
        weight = np.stack([(matrix @ w.reshape(-1)).reshape(1, size, size) for w in weight])
    return weight


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_smaller_kernels_are_transformed_centres(kernel):
    slot = 6  # the second block of the second stage
    block = TINY_SUPERNET.blocks[slot]
    architecture = TINY.architecture(28, max, lambda c: kernel if kernel in c else max(c))
    weight = TINY_SUPERNET.extract(architecture)[slot].depthwise.weight.detach().numpy()
    np.testing.assert_allclose(weight, independent_depthwise(block, weight.shape[0], kernel), atol=1e-6)


def test_a_start_depthwise_has_transforms_of_its_own():
    supernet = shaken(Supernet(get_space("mobilenetv4", "tiny", 10)), seed=2)
    slot = next(s for s, spec in supernet.space.placed_blocks(supernet.space.largest) if spec.start)
    full, transforms = supernet.blocks[slot].full, supernet.blocks[slot].kernel_transforms
    choice = BlockChoice(3, 6, 3)
    largest = supernet.space.largest
    stages = tuple(tuple(choice for _ in stage) if stage[0].start else stage for stage in largest.stages)
    small = supernet.extract(Architecture(28, stages))[slot]
    for layer, name in (("depthwise", "to3"), ("start", "start_to3")):
        centre = getattr(full, layer).weight[:, 0, 1:-1, 1:-1].flatten(1).detach().numpy()
        expected = centre @ transforms[name].detach().numpy().T
        np.testing.assert_allclose(getattr(small, layer).weight.detach().flatten(1).numpy(), expected, atol=1e-6)
    assert not torch.allclose(transforms["to3"], transforms["start_to3"])


def test_the_kernels_of_ordinary_convolutions_are_elastic_too():
    space = make_universal_space()
    conv, pool, fused, universal, bottleneck = space.stages
    elastic = [
        replace(conv, kernels=(1, 3)),
        pool,
        replace(fused, kernels=(3, 5)),
        universal,
        replace(bottleneck, kernels=(3, 5)),
    ]
    supernet = shaken(Supernet(replace(space, stages=tuple(elastic))))
    full, small = supernet.blocks[3], supernet.extract(supernet.space.architecture(16, max, min))[3]
    shape = small.expand.weight.shape
    centre = full.full.expand.weight[: shape[0], : shape[1], 1:-1, 1:-1].detach().numpy()
    expected = np.einsum("oik,jk->oij", centre.reshape(*shape[:2], 9), full.kernel_transforms["to3"].detach().numpy())
    np.testing.assert_allclose(small.expand.weight.detach().numpy(), expected.reshape(shape), atol=1e-6)
    for genome in supernet.space.sample(np.random.default_rng(0), 12):
        architecture = supernet.space.decode(genome)
        x = images(architecture.resolution)
        with torch.no_grad():
            torch.testing.assert_close(supernet.extract(architecture)(x), supernet(x, architecture), atol=1e-5, rtol=0)


def test_a_block_without_a_kernel_shares_the_rest():
    """The feed-forward and the ExtraDW form of a universal block use the same expansion and projection."""
    supernet = Supernet(get_space("mobilenetv4", "tiny", 10))
    space = supernet.space
    forms = [space.architecture(28, max, lambda c, kernel=kernel: kernel if kernel in c else max(c)) for kernel in (0, 5)]
    feed_forward, extra = (supernet.extract(form)[3] for form in forms)
    assert feed_forward.start is None and feed_forward.depthwise is None
    assert extra.start is not None and extra.depthwise is not None
    assert torch.equal(feed_forward.expand.weight, extra.expand.weight)
    assert torch.equal(feed_forward.project.weight, extra.project.weight)


def test_a_narrower_network_is_made_of_the_first_channels():
    supernet = shaken(Supernet(make_universal_space()))
    space = supernet.space
    slot, spec = next(placed for placed in space.placed_blocks(space.largest) if placed[1].op == "bottleneck")
    narrow = supernet.extract(replace(space.largest, width=0.5))[slot]
    full = supernet.blocks[slot].full
    into, mid, out = narrow.reduce.in_channels, narrow.conv.in_channels, narrow.project.out_channels
    assert (into, mid, out) == (8, 8, 16) != (spec.in_channels, spec.mid_channels, spec.out_channels)
    assert torch.equal(narrow.reduce.weight, full.reduce.weight[:mid, :into])
    assert torch.equal(narrow.conv.weight, full.conv.weight[:mid, :mid])
    assert torch.equal(narrow.shortcut.weight, full.shortcut.weight[:out, :into])
    assert torch.equal(narrow.shortcut_norm.running_var, full.shortcut_norm.running_var[:out])


def test_smaller_widths_are_the_first_channels():
    slot = 6
    small = TINY_SUPERNET.extract(TINY.architecture(28, max, lambda c: next(n for n in (7, 3, c[0]) if n in c)))[slot]
    full = TINY_SUPERNET.blocks[slot].full
    mid = small.project.in_channels
    assert mid < full.project.in_channels
    assert torch.equal(small.expand.weight, full.expand.weight[:mid])
    assert torch.equal(small.project.weight, full.project.weight[:, :mid])
    assert torch.equal(small.se.reduce.weight, full.se.reduce.weight[: small.se.reduce.out_channels, :mid])


def test_gradients_reach_only_what_a_subnet_uses():
    supernet = Supernet(make_micro_space()).train()
    # A zero scale at the end of a residual branch would hide the branch from gradients.
    for block in supernet.blocks:
        if hasattr(block.full, "project_norm"):
            torch.nn.init.ones_(block.full.project_norm.weight)
    architecture = supernet.space.smallest
    F.cross_entropy(supernet(images(architecture.resolution, 8), architecture), torch.arange(8) % 3).backward()
    used = {slot for slot, _ in supernet.space.placed_blocks(architecture)}
    for slot, block in enumerate(supernet.blocks):
        for name, parameter in block.named_parameters():
            if slot not in used:
                assert parameter.grad is None
            elif name == "full.project.weight":
                mid = dict(supernet.space.placed_blocks(architecture))[slot].mid_channels
                assert parameter.grad[:, :mid].abs().sum() > 0
                assert not parameter.grad[:, mid:].any()


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "plain"])  # which has no inner channels
def test_sorting_channels_keeps_the_largest_subnet_and_orders_by_importance(family):
    space = get_space(family, "tiny", 10)
    supernet = shaken(Supernet(space), seed=1)
    x = images(28)
    with torch.no_grad():
        before = supernet(x, space.largest)
        small_before = supernet(images(20), space.smallest)
        supernet.sort_channels()
        torch.testing.assert_close(supernet(x, space.largest), before, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(supernet(images(20), space.smallest), small_before, atol=1e-3)
    ordered = 0
    for slot, spec in space.placed_blocks(space.largest):
        full = supernet.blocks[slot].full
        readers = {"bottleneck": ("conv", "project")}.get(spec.op, ("project",) if spec.expands or spec.op == "fused" else ())
        for reader in readers:
            layer_before = {"conv": "reduce", "project": "conv" if spec.op == "bottleneck" else "depthwise"}[reader]
            norm = getattr(full, f"{layer_before}_norm", None) or full.expand_norm
            importances = importance(getattr(full, reader).weight, norm, full.activation)
            ordered += 1
            # A bottleneck's k x k convolution is sorted first, and its outputs then: its rows move, its columns stay.
            assert (importances.diff() <= 1e-4).all()
    assert ordered >= len(space.stages) - 3


@pytest.mark.parametrize("activation", ["relu", "relu6", "hswish"])
def test_the_importance_of_a_channel_is_the_deviation_that_it_causes(activation):
    """Of a channel behind batch norm and activation, as measured on many values."""
    torch.manual_seed(0)
    norm, act = torch.nn.BatchNorm2d(8), ACTIVATIONS[activation]()
    with torch.no_grad():
        norm.weight.uniform_(-3, 3)
        norm.bias.uniform_(-3, 5)
        reader = torch.randn(5, 8, 1, 1)
        x = act(norm(torch.randn(50, 8, 32, 32) * 4 + 1))
        measured = torch.stack([F.conv2d(x[:, [i]], reader[:, [i]]).var((0, 2, 3)).sum().sqrt() for i in range(8)])
        torch.testing.assert_close(importance(reader, norm, act), measured, rtol=0.03, atol=0.05)


def test_recalibration_gives_every_subnet_its_own_statistics():
    network = MICRO_SUPERNET.extract(MICRO_SUPERNET.space.largest)
    batches = [images(16, 16, seed) for seed in range(4)]
    momenta = [m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    recalibrate(network, batches)
    outputs = torch.cat([network[0].conv(x) for x in batches])
    torch.testing.assert_close(network[0].conv_norm.running_mean, outputs.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    variances = torch.stack([network[0].conv(x).var((0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(network[0].conv_norm.running_var, variances, atol=1e-5, rtol=1e-3)
    assert momenta == [m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(module.training for module in network.modules())


def test_folding_keeps_the_function_and_the_names():
    space = make_micro_space()
    network = MICRO_SUPERNET.extract(space.largest)
    folded = fold(network)
    for spec, weights in zip(network.specs, folded, strict=True):
        assert {name: array.shape for name, array in weights.items()} == weight_shapes(spec)
    x = images(16)
    with torch.no_grad():
        expected = network[0](x)
        conv = F.conv2d(x, torch.from_numpy(folded[0]["conv.weight"]), torch.from_numpy(folded[0]["conv.bias"]), 2, 1)
        torch.testing.assert_close(F.hardswish(conv), expected, atol=1e-5, rtol=1e-5)


def test_the_same_seed_gives_the_same_supernet():
    space = make_micro_space()
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(Supernet(space).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_a_network_can_be_built_and_trained_alone(micro_space):
    network = Network(micro_space.blocks(micro_space.largest))
    assert network(images(16, 4)).shape == (4, 3)


def test_dropout_is_torchs_from_a_generator_of_its_own():
    x = torch.randn(64, 32)
    torch.manual_seed(5)
    expected = F.dropout(x, 0.3)
    assert torch.equal(dropout(x, 0.3, torch.Generator().manual_seed(5)), expected)


def test_one_supernet_trains_while_another_is_evaluated():
    """They share templates of the same specs, which are in one mode each and stay in it."""
    space = make_micro_space()
    training, evaluated = Supernet(space).train(), shaken(Supernet(space))
    x = images(space.smallest.resolution)
    with torch.no_grad():
        expected = evaluated(x, space.smallest)
        training(x, space.smallest)
        torch.testing.assert_close(evaluated(x, space.smallest), expected, atol=0, rtol=0)
    modes = {mode: _template(space.blocks(space.smallest)[0], mode) for mode in (True, False)}
    assert modes[True] is not modes[False]
    for mode, template in modes.items():
        assert all(part.training == mode for part in template.modules())
