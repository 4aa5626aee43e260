"""The contract of every search space."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edgenas import cost
from edgenas.errors import UsageError
from edgenas.space import Architecture, BlockChoice, get_space
from tests.conftest import make_micro_space

SPACES = {
    "micro": make_micro_space,
    "mobilenetv3 tiny": lambda: get_space("mobilenetv3", "tiny", 10),
    "mobilenetv3 small": lambda: get_space("mobilenetv3", "small", 7),
    "mobilenetv3 imagenet": lambda: get_space("mobilenetv3", "imagenet", 1000),
    "proxyless tiny": lambda: get_space("proxyless", "tiny", 10),
    "proxyless small": lambda: get_space("proxyless", "small", 10),
    "proxyless imagenet": lambda: get_space("proxyless", "imagenet", 1000),
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


def test_distinct_blocks_are_exactly_the_reachable_ones(micro_space, all_micro_genomes):
    reached = {spec for genome in all_micro_genomes for spec in micro_space.blocks(micro_space.decode(genome))}
    assert set(micro_space.distinct_blocks) == reached


def test_count_is_the_number_of_architectures(micro_space, all_micro_genomes):
    assert micro_space.count() == len(all_micro_genomes) == len({micro_space.decode(g) for g in all_micro_genomes})


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
        Architecture(largest.resolution, (largest.stages[0] * 3, *largest.stages[1:])),
        Architecture(largest.resolution, ((BlockChoice(9, 3),) * len(largest.stages[0]), *largest.stages[1:])),
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


def test_the_fingerprint_tells_spaces_apart():
    assert len({make().fingerprint for make in SPACES.values()}) == len(SPACES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobilnetv3", "tiny", 10), "mobilenetv3"),
        (("mobilenetv3", "tinny", 10), "tiny"),
        (("mobilenetv3", "tiny", 1), "at least 2 classes"),
    ],
)
def test_unknown_names_name_the_nearest(arguments, message):
    with pytest.raises(UsageError, match=message):
        get_space(*arguments)
