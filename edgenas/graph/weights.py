"""The weights of one block as numpy arrays, batch norm folded into the convolution before it."""

from __future__ import annotations

import math

import numpy as np

from edgenas.space import BlockSpec, weighted

BlockWeights = dict[str, np.ndarray]


def weight_shapes(spec: BlockSpec) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a block's weights, in the order of computation.

    Convolutions are `(out, in / groups, k, k)`, linear layers `(out, in)`, as in torch.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for step in weighted(spec):
        shapes[f"{step.name}.weight"] = step.shape
        if step.norm or step.bias:
            shapes[f"{step.name}.bias"] = (step.channels,)
    return shapes


def random_weights(spec: BlockSpec, rng: np.random.Generator) -> BlockWeights:
    """Weights for a block whose speed, not its output, is of interest.

    He-scaled, so that activations stay in the normal range: denormal numbers would slow a CPU down.
    """
    weights = {}
    for name, shape in weight_shapes(spec).items():
        scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights
