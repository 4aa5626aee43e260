import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.space import BlockSpec
from edgenas.space.block import make_divisible

specs = st.builds(
    BlockSpec,
    op=st.sampled_from(["conv", "mbconv", "fused", "bottleneck", "head"]),
    resolution=st.integers(1, 512),
    in_channels=st.integers(1, 999),
    mid_channels=st.integers(0, 999),
    out_channels=st.integers(1, 999),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    activation=st.sampled_from(["relu", "relu6", "hswish"]),
    se=st.booleans(),
)


@given(specs)
def test_key_reads_back(spec):
    assert BlockSpec.from_key(spec.key) == spec


def test_residual_key_reads_back():
    spec = BlockSpec("mbconv", 8, 16, 48, 16, 5, residual=True, se=True)
    assert spec.key == "mbconv-r8-i16-m48-o16-k5-s1-relu-se-res"
    assert BlockSpec.from_key(spec.key) == spec


def test_universal_key_reads_back():
    spec = BlockSpec("mbconv", 8, 16, 48, 16, 0, residual=True, start=5)
    assert spec.key == "mbconv-r8-i16-m48-o16-k0-s1-relu-res-d5"
    assert BlockSpec.from_key(spec.key) == spec


@pytest.mark.parametrize("text", ["", "mbconv", "mbconv-r8-i16-m48-o16-k5-s1-relu-x", "mbconv-r8-i8-m8-o8-k5-s1-relu-d0"])
def test_other_texts_are_no_keys(text):
    with pytest.raises(ValueError, match="not a block key"):
        BlockSpec.from_key(text)


@pytest.mark.parametrize(("resolution", "stride", "expected"), [(28, 1, 28), (28, 2, 14), (27, 2, 14), (1, 2, 1)])
def test_out_resolution_is_that_of_a_padded_convolution(resolution, stride, expected):
    for kernel in (1, 3, 5, 7):
        spec = BlockSpec("conv", resolution, 3, 0, 8, kernel, stride)
        assert spec.out_resolution == (resolution + sum(spec.pads) - kernel) // stride + 1 == expected


@pytest.mark.parametrize(("kernel", "pads"), [(1, (0, 0)), (3, (0, 1)), (5, (1, 2)), (7, (2, 3))])
def test_the_odd_pixel_of_same_comes_after_an_even_image(kernel, pads):
    spec = BlockSpec("conv", 8, 3, 0, 8, kernel, 2, padding="same")
    assert (spec.pads, spec.out_resolution) == (pads, 4)
    assert BlockSpec.from_key(spec.key) == spec


@pytest.mark.parametrize("change", [{"stride": 1}, {"resolution": 9}, {"kernel": 1}])
def test_what_is_padded_alike_is_one_block(change):
    arguments = {"op": "conv", "resolution": 8, "in_channels": 3, "mid_channels": 0, "out_channels": 8, "kernel": 3}
    arguments["stride"] = 2
    same = BlockSpec(**arguments | change, padding="same")
    assert same == BlockSpec(**arguments | change)
    assert "same" not in same.key


def test_without_padding_the_output_is_smaller():
    assert BlockSpec("conv", 14, 6, 0, 16, 5, padding="valid").out_resolution == 10
    assert BlockSpec("maxpool", 28, 6, 0, 6, 2, 2, padding="valid").out_resolution == 14
    assert BlockSpec("conv", 5, 16, 0, 120, 5, padding="valid").out_resolution == 1


@pytest.mark.parametrize("mix", ["biased", "normalised"])
def test_the_key_tells_how_a_head_mixes(mix):
    spec = BlockSpec("head", 7, 960, 1280, 10, mix=mix)
    assert spec.key.endswith(f"-{mix}")
    assert BlockSpec.from_key(spec.key) == spec


@pytest.mark.parametrize(("value", "expected"), [(1, 8), (12, 16), (11, 16), (18, 24), (17, 16), (20, 24), (100, 104)])
def test_make_divisible_never_loses_more_than_a_tenth(value, expected):
    assert make_divisible(value) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"op": "dense"},
        {"activation": "gelu"},
        {"resolution": 0},
        {"stride": 2, "residual": True},
        {"kernel": 0},
        {"start": 3},
        {"op": "mbconv", "kernel": 0, "stride": 2},
        {"op": "maxpool", "in_channels": 16},
        {"kernel": 4},
        {"kernel": 9, "padding": "valid"},
        {"op": "fused", "mid_channels": 8, "padding": "valid"},
        {"padding": "full"},
        {"mix": "biased"},
    ],
)
def test_impossible_blocks_are_refused(change):
    arguments = {"op": "conv", "resolution": 8, "in_channels": 8, "mid_channels": 0, "out_channels": 8} | change
    with pytest.raises(ValueError, match=r"unknown|positive|residual|depthwise|pooling|odd|padding|features"):
        BlockSpec(**arguments)
