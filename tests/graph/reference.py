"""What a chain of blocks computes, written with torch alone: the independent answer that both writers are held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from edgenas.graph import BlockWeights, random_weights
from edgenas.space import FAMILIES, BlockSpec, SearchSpace, get_space
from edgenas.space import NETWORKS as NETWORK_NAMES
from edgenas.space.block import MIXES, PADDINGS

ACTIVATIONS: dict[str, Callable] = {"relu": F.relu, "relu6": F.relu6, "hswish": F.hardswish}

TINY: SearchSpace = get_space("mobilenetv3", "tiny", classes=10)
NETWORKS = {
    "largest": TINY.largest,
    "smallest": TINY.smallest,
    **{f"random{i}": TINY.decode(genome) for i, genome in enumerate(TINY.sample(np.random.default_rng(7), 3))},
}
CHAINS = {
    **{name: TINY.blocks(architecture) for name, architecture in NETWORKS.items()},
    **{
        f"{family} {end}": space.blocks(getattr(space, end))
        for family in FAMILIES
        if family != "mobilenetv3"
        for space in [get_space(family, "tiny", classes=10)]
        for end in ("largest", "smallest")
    },
    **{
        network: space.blocks(space.largest)
        for network in NETWORK_NAMES
        for space in [get_space(network, None, 10, resolutions=(28,))]
        if not network.startswith("resnet")
    },
    "resnet with pooling": (pooled := get_space("resnet", "small", 10, resolutions=(50,))).blocks(pooled.smallest),
}

FAMILIES_CHAINS = {name: blocks for name, blocks in CHAINS.items() if name.split()[-1] in ("largest", "smallest", "pooling")}
"""The ends of every family."""


def reference(blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], image: np.ndarray) -> np.ndarray:
    """NCHW float32 in; `(batch, classes)` or NCHW out, in double precision so that only the runtime's rounding is left."""
    x = torch.from_numpy(image).double()
    for spec, arrays in zip(blocks, weights, strict=True):
        x = _block(spec, {name: torch.from_numpy(array).double() for name, array in arrays.items()}, x)
    return x.numpy()


def padded(spec: BlockSpec, x: torch.Tensor) -> torch.Tensor:
    """For the kernel that has the stride, by the words of TensorFlow's documentation where its SAME is asked for."""
    kernel, stride, size = spec.kernel or spec.start, spec.stride, x.shape[-1]
    if spec.padding == "same":
        total = max(kernel - stride if size % stride == 0 else kernel - size % stride, 0)
        return F.pad(x, (total // 2, total - total // 2) * 2)
    return x if spec.padding == "valid" else F.pad(x, (kernel // 2,) * 4)


def _block(spec: BlockSpec, w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    act = ACTIVATIONS[spec.activation]
    if spec.op == "conv":
        y = act(F.conv2d(padded(spec, x), w["conv.weight"], w["conv.bias"], spec.stride))
        return x + y if spec.residual else y
    if spec.op == "maxpool":
        return F.max_pool2d(padded(spec, x), spec.kernel, spec.stride)
    if spec.op == "fused":
        y = act(F.conv2d(padded(spec, x), w["expand.weight"], w["expand.bias"], spec.stride))
        y = F.conv2d(y, w["project.weight"], w["project.bias"])
        return x + y if spec.residual else y
    if spec.op == "bottleneck":
        y = act(F.conv2d(x, w["reduce.weight"], w["reduce.bias"]))
        y = act(F.conv2d(padded(spec, y), w["conv.weight"], w["conv.bias"], spec.stride))
        y = F.conv2d(y, w["project.weight"], w["project.bias"])
        if not spec.residual:
            if spec.stride == 2 and x.shape[-1] % 2:  # the mean of the one or two values that an odd size has at its end
                x = F.pad(x, (0, 1, 0, 1), mode="replicate")
            x = F.conv2d(F.avg_pool2d(x, spec.stride), w["shortcut.weight"], w["shortcut.bias"])
        return act(x + y)
    if spec.op == "head":
        x = x.mean((2, 3))
        if spec.mid_channels:
            x = act(F.linear(x, w["mix.weight"], w.get("mix.bias")))
        return F.linear(x, w["classify.weight"], w["classify.bias"])
    y, strides = x, [spec.stride]  # the last depthwise has the stride
    if spec.start:
        stride, y = (1, F.pad(y, (spec.start // 2,) * 4)) if spec.kernel else (strides.pop(), padded(spec, y))
        y = F.conv2d(y, w["start.weight"], w["start.bias"], stride, groups=y.shape[1])
    if spec.mid_channels != spec.in_channels or not spec.kernel:
        y = act(F.conv2d(y, w["expand.weight"], w["expand.bias"]))
    if spec.kernel:
        y = F.conv2d(padded(spec, y), w["depthwise.weight"], w["depthwise.bias"], strides.pop(), groups=y.shape[1])
        y = act(y)
    if spec.se:
        gate = F.relu(F.conv2d(y.mean((2, 3), keepdim=True), w["se.reduce.weight"], w["se.reduce.bias"]))
        y = y * F.hardsigmoid(F.conv2d(gate, w["se.expand.weight"], w["se.expand.bias"]))
    y = F.conv2d(y, w["project.weight"], w["project.bias"])
    return x + y if spec.residual else y


@st.composite
def block_specs(draw: st.DrawFn) -> BlockSpec:
    """Any block: every op, activation, kernel and stride, odd and even resolutions, with and without its options."""
    op = draw(st.sampled_from(["conv", "maxpool", "mbconv", "fused", "bottleneck", "head"]))
    resolution, channels = draw(st.integers(1, 15)), draw(st.integers(1, 12))
    activation = draw(st.sampled_from(sorted(ACTIVATIONS)))
    out = draw(st.integers(1, 12))
    if op == "head":
        mid = draw(st.sampled_from([0, 5, 16]))
        mix = draw(st.sampled_from(MIXES)) if mid else "linear"
        return BlockSpec("head", resolution, channels, mid, out, activation=activation, mix=mix)
    stride, padding = draw(st.sampled_from([1, 2])), draw(st.sampled_from(PADDINGS[:2]))
    if op in ("conv", "maxpool") and draw(st.booleans()):
        kernel, out = draw(st.integers(1, min(resolution, 6))), channels if op == "maxpool" else out
        return BlockSpec(op, resolution, channels, 0, out, kernel, stride, activation, padding="valid")
    residual = stride == 1 and draw(st.booleans())
    out = channels if residual else out
    if op == "maxpool":
        return BlockSpec(op, resolution, channels, 0, channels, draw(st.sampled_from([1, 3, 5])), stride, padding=padding)
    if op == "conv":
        kernel = draw(st.sampled_from([1, 3, 5, 7]))
        return BlockSpec(op, resolution, channels, 0, out, kernel, stride, activation, residual=residual, padding=padding)
    mid = channels * draw(st.sampled_from([1, 2, 3]))
    kernels = [3, 5, 7] if op != "mbconv" else [0, 3, 5, 7]
    kernel = draw(st.sampled_from(kernels))
    if op != "mbconv":
        return BlockSpec(op, resolution, channels, mid, out, kernel, stride, activation, residual=residual, padding=padding)
    start = draw(st.sampled_from([0, 3, 5] if kernel or stride == 1 else [3, 5]))
    se = draw(st.booleans())
    return BlockSpec(op, resolution, channels, mid, out, kernel, stride, activation, se, residual, start, padding)


def weights_and_image(blocks: Sequence[BlockSpec], batch: int, seed: int = 0) -> tuple[list[BlockWeights], np.ndarray]:
    """Weights of all blocks and an NCHW image, spread wide enough that activations and gates meet both their ends."""
    rng = np.random.default_rng(seed)
    weights = [random_weights(spec, rng) for spec in blocks]
    for arrays in weights:
        for name in arrays:
            if name.endswith("se.expand.bias"):
                arrays[name] = rng.uniform(-4, 4, arrays[name].shape).astype(np.float32)
    image = 3 * rng.standard_normal((batch, blocks[0].in_channels, blocks[0].resolution, blocks[0].resolution))
    if blocks[0].op == "maxpool":
        image = np.abs(image)
    return weights, image.astype(np.float32)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the output's scale (a ReLU may leave nothing but zeros: 0.001 at least)."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-3))
