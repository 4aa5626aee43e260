from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.errors import UsageError
from edgenas.pretrained import PretrainedWeights, embed
from edgenas.pretrained.alignment import align
from edgenas.space import Architecture, BlockChoice, FixedBlock, SearchSpace, Stage
from edgenas.supernet import Supernet
from tests.conftest import make_micro_space, make_universal_space

CLASSES = ("ant", "bee", "cat")


def learned(space: SearchSpace, seed: int = 0) -> PretrainedWeights:
    """Weights as a training leaves them: no scale is 0, no transform the identity, no statistics are fresh."""
    torch.manual_seed(seed)
    supernet = Supernet(space)
    for name, tensor in supernet.state_dict().items():
        if name.endswith("running_var") or "norm.weight" in name:
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        else:
            tensor.add_(0.1 * torch.randn_like(tensor))
    return PretrainedWeights(
        "learned", space, supernet.state_dict(), CLASSES, (0.5,) * 3, (0.5,) * 3, {"family": "micro"}, synonyms={"kitten": 2}
    )


def supernet_of(space: SearchSpace, weights: PretrainedWeights | None = None, classes=CLASSES) -> Supernet:
    torch.manual_seed(9)
    supernet = Supernet(space)
    if weights is not None:
        generator = torch.Generator().manual_seed(3)
        embed(weights, supernet, classes, lambda: [torch.randn(8, 3, 16, 16, generator=generator) for _ in range(3)])
    return supernet.eval()


def source_of(weights: PretrainedWeights) -> Supernet:
    supernet = Supernet(weights.space)
    supernet.load_state_dict(weights.tensors)
    return supernet.eval()


@torch.no_grad()
def same_function(a: Supernet, b: Supernet, of_a: Architecture, of_b: Architecture) -> bool:
    a, b = a.double(), b.double()
    images = torch.randn(4, 3, of_a.resolution, of_a.resolution, dtype=torch.float64)
    expected = a(images, of_a)
    return float((b(images, of_b) - expected).abs().max() / expected.abs().max()) < 1e-6


@pytest.mark.parametrize("space", [make_micro_space(), make_universal_space()], ids=lambda space: space.name)
def test_into_its_own_space_every_subnet_stays_what_it_is(space):
    weights = learned(space)
    source, target = source_of(weights), supernet_of(space, weights)
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, weights.tensors[name]), name
    for genome in space.sample(np.random.default_rng(0), 5):
        assert same_function(source, target, space.decode(genome), space.decode(genome))


def test_a_wider_space_computes_the_same_as_its_largest_and_as_its_members():
    """Larger kernels, more inner channels, and deeper stages."""
    space = make_micro_space()
    stages = (
        replace(space.stages[0], depths=(1, 2, 3, 4), kernels=(3, 5, 7), expands=(2, 3)),
        replace(space.stages[1], depths=(1, 2), kernels=(3, 5, 7, 9), expands=(1.5, 2, 3, 4, 6)),
    )
    wider = replace(space, stages=stages, stem=(replace(space.stem[0], kernel=5), space.stem[1]))
    weights = learned(space)
    source, target = source_of(weights), supernet_of(wider, weights)
    assert same_function(source, target, space.largest, wider.largest)
    for genome in space.sample(np.random.default_rng(0), 8):
        member = space.decode(genome)
        wider.validate(member)
        assert same_function(source, target, member, member)


def test_what_was_filled_with_nothing_learns():
    space = make_micro_space()
    stages = (replace(space.stages[0], depths=(3,), kernels=(7,), expands=(4,)), space.stages[1])
    wider = replace(space, stages=stages, resolutions=(16,))
    target = supernet_of(wider, learned(space)).train()
    target(torch.randn(4, 3, 16, 16), wider.largest).square().sum().backward()
    added = target.blocks[4].full  # the third block of the first stage
    assert added.project_norm.weight.grad.abs().min() > 0
    widened = target.blocks[2].full
    assert widened.depthwise.weight.grad[:, :, 0, 0].abs().max() > 0
    assert widened.project.weight.grad[:, -1].abs().max() > 0


def test_a_residual_convolution_that_adds_nothing_yet_learns():
    """Behind a ReLU, a scale of exactly nothing would have no gradient for ever."""
    space = make_universal_space()
    deeper = replace(space, widths=(1.0,), stages=(replace(space.stages[0], depths=(3,)), *space.stages[1:]))
    shallow = replace(space, widths=(1.0,), stages=(replace(space.stages[0], depths=(1,)), *space.stages[1:]))
    weights = learned(shallow)
    target = supernet_of(deeper, weights)
    assert same_function(source_of(weights), target, shallow.largest, deeper.largest)
    target.float().train()(torch.randn(4, 3, 16, 16), deeper.largest).square().sum().backward()
    assert target.blocks[1].full.conv_norm.weight.grad.abs().max() > 0


def depthwise_space(kernels: tuple[int, ...], starts: tuple[int, ...], activation: str = "relu") -> SearchSpace:
    return SearchSpace(
        "depthwise", (16,), stem=(FixedBlock("conv", 8, kernel=3, stride=2),),
        stages=(Stage(16, 2, activation, False, (1,), (3,), (2,), starts=starts),
                Stage(16, 1, activation, False, (2,), kernels, (2,), starts=starts)),
        head=(FixedBlock("head", 3),),
    )  # fmt: skip


def test_convolution_layers_that_the_weights_lack_pass_on_what_they_get():
    narrow, wide = depthwise_space((0,), (0,)), depthwise_space((0, 3, 5), (0, 3))
    weights = learned(narrow)
    source, target = source_of(weights), supernet_of(wide, weights)
    assert same_function(source, target, narrow.largest, wide.largest)
    member = Architecture(16, tuple((BlockChoice(*c),) * n for c, n in (((3, 2, 0), 1), ((0, 2, 0), 2))))
    assert same_function(source, target, narrow.largest, member)
    # In training they still do, as far as the images are like those that were measured.
    made_up = target.blocks[2].full.start_norm
    assert made_up.running_var.std() > 0
    torch.testing.assert_close(made_up.weight.detach(), (made_up.running_var + 1e-5).sqrt())
    with pytest.raises(UsageError, match="no depthwise after the expansion"):
        align(depthwise_space((0,), (0,), "hswish"), depthwise_space((0, 3), (0,), "hswish"))


def test_classes_of_the_same_name_keep_their_rows():
    space = make_micro_space()
    weights = learned(space)
    fresh = supernet_of(space).state_dict()
    target = supernet_of(space, weights, ("cat", "dog", "kitten")).state_dict()
    for name in (name for name in target if ".classify." in name):
        assert torch.equal(target[name][0], weights.tensors[name][2])
        assert torch.equal(target[name][1], fresh[name][1])
        assert torch.equal(target[name][2], weights.tensors[name][2])


def changed(**stage) -> SearchSpace:
    space = make_micro_space()
    return replace(space, stages=(replace(space.stages[0], **stage), space.stages[1]))


@pytest.mark.parametrize(("space", "reason"), [
    (changed(depths=(1,)), "part 3, mbconv blocks with 8 channels at stride 2, has 2 blocks in the weights, at most 1"),
    (changed(kernels=(3,)), "block 3 of the weights is no part of block 3 of the space: kernel: 5 in the weights, at most 3"),
    (changed(expands=(1,)), "inner channels: 16 in the weights, at most 8"),
    (changed(se=False), "squeeze-and-excitation: yes in the weights, no in the space"),
    (changed(activation="relu6"), "activation: relu in the weights, relu6 in the space"),
    (changed(padding="same"), "padding: symmetric in the weights, same in the space"),
    (changed(out_channels=24), "part 3 is mbconv blocks with 8 channels at stride 2 in the weights, and mbconv blocks with 24"),
    (changed(stride=1), "part 2, mbconv blocks with 8 channels|part 3 is mbconv blocks with 8 channels at stride 2"),
    (replace(make_micro_space(), batch_norm_epsilon=1e-3), "epsilon is 1e-05 in the weights, and 0.001"),
    (replace(make_micro_space(), head=make_micro_space().head[1:]), "part 5 is conv blocks with 24 channels"),
    (replace(make_micro_space(), head=(make_micro_space().head[0], FixedBlock("head", 3))),
     "features before the classifier: 32 in the weights, 0 in the space"),
    (replace(make_micro_space(), head=(make_micro_space().head[0], replace(make_micro_space().head[1], mix="biased"))),
     "layers before the classifier: linear in the weights, biased in the space"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_naming_the_first_difference_and_nothing_is_changed(space, reason):
    weights = learned(make_micro_space())
    target = supernet_of(space)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(UsageError, match=reason):
        embed(weights, target, CLASSES)
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())
