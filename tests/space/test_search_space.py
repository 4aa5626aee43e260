"""The contract of every search space."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edgenas import cost
from edgenas.errors import UsageError
from edgenas.space import Architecture, BlockChoice, FixedBlock, Stage, get_space
from tests.conftest import every_genome, make_micro_space, make_universal_space

SPACES = {
    "micro": make_micro_space,
    "universal": make_universal_space,
    "mobilenetv3 tiny": lambda: get_space("mobilenetv3", "tiny", 10),
    "mobilenetv3 small": lambda: get_space("mobilenetv3", "small", 7),
    "mobilenetv3 imagenet": lambda: get_space("mobilenetv3", "imagenet", 1000),
    "proxyless tiny": lambda: get_space("proxyless", "tiny", 10),
    "proxyless small": lambda: get_space("proxyless", "small", 10),
    "proxyless imagenet": lambda: get_space("proxyless", "imagenet", 1000),
    **{
        f"{family} {preset}": lambda family=family, preset=preset: get_space(family, preset, 10)
        for family in ("mobilenetv4", "resnet")
        for preset in ("tiny", "small", "imagenet")
    },
    "plain tiny": lambda: get_space("plain", "tiny", 10),
    "mobilenetv3 w1.2": lambda: get_space("mobilenetv3", "imagenet", 1000, width=1.2, resolutions=(224,)),
}


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]()


@pytest.fixture
def genomes(space):
    return space.sample(np.random.default_rng(0), 60)


def test_genome_and_architecture_are_two_forms_of_one_thing(space, genomes):
    for genome in genomes:
        architecture = space.decode(genome)
        assert (space.encode(architecture) == genome).all()
        assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


def test_genes_of_dropped_blocks_do_not_count(space):
    rng = np.random.default_rng(1)
    raw = rng.integers(0, space.gene_sizes, (200, len(space.gene_sizes)))
    canonical = space.canonical(raw)
    assert [space.decode(g) for g in raw] == [space.decode(g) for g in canonical]
    assert (canonical != raw).any()
    assert (space.canonical(canonical) == canonical).all()


def test_blocks_fit_together(space, genomes):
    for genome in genomes:
        architecture = space.decode(genome)
        blocks = space.blocks(architecture)
        assert blocks[0].resolution == architecture.resolution
        assert (blocks[0].in_channels, blocks[-1].op, blocks[-1].out_channels) == (3, "head", space.classes)
        for before, after in pairwise(blocks):
            assert (before.out_channels, before.out_resolution) == (after.in_channels, after.resolution)


def test_gathered_costs_are_those_of_the_blocks(space, genomes):
    costs = np.array([cost.block_macs(spec) for spec in space.distinct_blocks])
    expected = [cost.macs(space.blocks(space.decode(genome))) for genome in genomes]
    assert space.gather(costs, genomes).tolist() == expected


@pytest.mark.parametrize("make", [make_micro_space, make_universal_space])
def test_enumerated(make):
    """The distinct blocks are exactly those that some architecture has; the count, ids and costs are those of all of them."""
    space = make()
    genomes = every_genome(space)
    architectures = [space.decode(genome) for genome in genomes]
    assert space.count() == len(genomes) == len(set(architectures)) == len({a.id for a in architectures})
    assert set(space.distinct_blocks) == {spec for architecture in architectures for spec in space.blocks(architecture)}
    costs = np.array([cost.block_parameters(spec) for spec in space.distinct_blocks])
    assert space.gather(costs, genomes).tolist() == [cost.parameters(space.blocks(a)) for a in architectures]


def test_count_of_the_published_space():
    space = get_space("mobilenetv3", "imagenet", 1000)
    assert space.count() == 25 * (9**2 + 9**3 + 9**4) ** 5


def test_ends_of_the_space(space, genomes):
    sizes = [cost.macs(space.blocks(space.decode(genome))) for genome in genomes]
    assert cost.macs(space.blocks(space.smallest)) <= min(sizes)
    assert cost.macs(space.blocks(space.largest)) >= max(sizes)


def test_strangers_are_refused(space):
    largest = space.largest
    strangers = [
        Architecture(largest.resolution + 1, largest.stages),
        Architecture(largest.resolution, largest.stages[:-1]),
        replace(largest, width=1.5),
        Architecture(largest.resolution, (largest.stages[0] * 3, *largest.stages[1:])),
        Architecture(largest.resolution, ((BlockChoice(9, 3),) * len(largest.stages[0]), *largest.stages[1:])),
        Architecture(largest.resolution, (*largest.stages[:-1], tuple(c._replace(start=7) for c in largest.stages[-1]))),
    ]
    for stranger in strangers:
        with pytest.raises(ValueError, match=space.name):
            space.encode(stranger)
    with pytest.raises(ValueError, match="not a genome"):
        space.decode(space.gene_sizes)


def test_ids_are_the_same_in_every_version():
    space = get_space("mobilenetv3", "tiny", 10)
    assert str(space.smallest) == "r20-33.33-33.33-33.33-33.33-33.33"
    assert space.smallest.id == "4fc5abdf"
    assert space.largest.id == "7bee14d3"
    space = get_space("mobilenetv4", "tiny", 10)
    assert str(space.largest) == "r28-36-5+56-5+56-5+56-5+56.5+56.5+56-5+56-5+56.5+56.5+56"
    assert space.smallest.id == "6c2d36c2"
    space = get_space("resnet", "tiny", 10)
    assert str(space.smallest) == "r20w0.65-31-31-30.2-30.2-30.2-30.2"
    assert space.smallest.id == "f93ea02d"


@pytest.mark.parametrize(
    ("space", "fingerprint"),
    [
        ("mobilenetv3 tiny", "3d1512775e93"),
        ("mobilenetv3 imagenet", "66f67aa0695a"),
        ("proxyless tiny", "083fc93c019f"),
        ("proxyless imagenet", "b9c667aad8db"),
        ("mobilenetv4 tiny", "747bc85e6b5e"),
        ("resnet tiny", "503e309e6d6f"),
    ],
)
def test_tables_and_weights_that_are_stored_go_on_to_fit(space, fingerprint):
    """They are known by the fingerprint of their space."""
    family, preset = space.split()
    assert get_space(family, preset, 10).fingerprint == fingerprint


def test_proxyless_has_the_published_size():
    """ProxylessNAS's own parameter counts: MobileNetV2 1.0 is the member with kernel 3 and expand ratio 6 throughout."""
    space = get_space("proxyless", "imagenet", 1000)
    assert space.count() == 25 * (9**2 + 9**3 + 9**4) ** 5 * 9
    depths = iter((2, 3, 4, 3, 3, 1))
    stages = tuple((BlockChoice(3, 6),) * next(depths) for _ in space.stages)
    # MobileNetV2 differs from this space in the width of its stages 3 to 5 alone: (32, 64, 96, 160) and not (40, 80, 96, 192).
    widths = (24, 32, 64, 96, 160, 320)
    stages_v2 = tuple(replace(stage, out_channels=w) for stage, w in zip(space.stages, widths, strict=True))
    blocks = replace(space, stages=stages_v2).blocks(Architecture(224, stages))
    assert cost.parameters(blocks) == 3_504_872
    assert cost.macs(blocks) == 300_774_272


def universal(*blocks: tuple[int, int, float]) -> tuple[BlockChoice, ...]:
    """MobileNetV4's table of blocks: start depthwise, middle depthwise, expand ratio."""
    return tuple(BlockChoice(kernel, expand, start) for start, kernel, expand in blocks)


BATCH_NORM_OF_THE_MIX = 2 * 1280  # which MobileNetV4 has and our head has not


def test_mobilenetv4_conv_medium_is_a_member():
    """Blocks of the paper's table 12; parameters and MACs of `timm.create_model("mobilenetv4_conv_medium")` 1.0.31, exactly."""
    space = get_space("mobilenetv4", "imagenet", 1000)
    medium = Architecture(224, (
        universal((0, 3, 4)),
        universal((3, 5, 4)), universal((3, 3, 2)),
        universal((3, 5, 6)),
        universal((3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4), (3, 0, 4), (0, 0, 2), (3, 0, 4)),
        universal((5, 5, 6)),
        universal((5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4), (3, 0, 4), (3, 5, 2), (5, 5, 4), (0, 0, 4), (0, 0, 4), (5, 0, 2)),
    ))  # fmt: skip
    blocks = space.blocks(medium)
    assert cost.parameters(blocks) + BATCH_NORM_OF_THE_MIX == 9_715_512
    assert cost.macs(blocks) == 827_649_984


def test_mobilenetv4_conv_small_is_made_of_the_same_blocks():
    """3.8 M parameters and 0.2 GMACs in the paper; exactly those of timm's `mobilenetv4_conv_small`."""
    blocks = (3, 5), (2, 3, 4, 6)
    down = {"se": False, "activation": "relu", "depths": (1,), "kernels": blocks[0], "expands": blocks[1], "starts": (0, 3, 5)}
    body = down | {"depths": (1, 5), "kernels": (0, *blocks[0]), "stride": 1}
    space = replace(
        get_space("mobilenetv4", "imagenet", 1000),
        stem=(
            FixedBlock("conv", 32, kernel=3, stride=2),
            FixedBlock("conv", 32, kernel=3, stride=2), FixedBlock("conv", 32),
            FixedBlock("conv", 96, kernel=3, stride=2), FixedBlock("conv", 64),
        ),
        stages=(Stage(96, stride=2, **down), Stage(96, **body), Stage(128, stride=2, **down), Stage(128, **body)),
    )  # fmt: skip
    small = space.blocks(Architecture(224, (
        universal((5, 5, 3)), universal(*[(0, 3, 2)] * 4, (3, 0, 4)),
        universal((3, 3, 6)), universal((5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4)),
    )))  # fmt: skip
    assert cost.parameters(small) + BATCH_NORM_OF_THE_MIX == 3_774_024
    assert cost.macs(small) == 186_005_568


def test_resnet_50d_is_a_member():
    """Parameters and MACs of `timm.create_model("resnet50d")`, exactly; timm's table has 25.6 M and 4.4 G, with pooling."""
    space = get_space("resnet", "imagenet", 1000)
    stem = (BlockChoice(3, 1),)
    stages = (stem * 2, stem, stem, *((BlockChoice(3, 0.25),) * depth for depth in (3, 4, 6, 3)))
    blocks = space.blocks(Architecture(224, stages))
    assert cost.parameters(blocks) == 25_576_264
    assert cost.macs(blocks) == 4_328_824_832


def test_an_elastic_width_has_once_for_alls_channels():
    """Those that its code builds at width 0.65 and 0.8: of the stem, the stages, and inside the bottlenecks at ratio 0.35."""
    space = get_space("resnet", "imagenet", 1000)
    for width, stem, outs, mids in (
        (0.65, [24, 40, 40], [168, 336, 664, 1328], [56, 120, 232, 464]),
        (0.8, [24, 48, 48], [208, 408, 816, 1640], [72, 144, 288, 576]),
    ):
        blocks = space.blocks(replace(space.architecture(224, min, max), width=width))
        assert [b.out_channels for b in blocks[:3]] == stem
        bottlenecks = [b for b in blocks if b.op == "bottleneck" and not b.residual]
        assert [b.out_channels for b in bottlenecks] == outs
        assert [b.mid_channels for b in bottlenecks] == mids


def test_the_fingerprint_tells_spaces_apart():
    assert len({make().fingerprint for make in SPACES.values()}) == len(SPACES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobilnetv3", "tiny", 10), "mobilenetv3"),
        (("mobilenetv3", "tinny", 10), "tiny"),
        (("mobilenetv3", "tiny", 1), "from 2 to 100000"),
    ],
)
def test_unknown_names_name_the_nearest(arguments, message):
    with pytest.raises(UsageError, match=message):
        get_space(*arguments)
