"""The weights of one block as numpy arrays, batch norm folded into the convolution before it."""

from __future__ import annotations

import math

import numpy as np

from edgenas.space import BlockSpec

BlockWeights = dict[str, np.ndarray]


def weight_shapes(spec: BlockSpec) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a block's weights, in the order of computation.

    Convolutions are `(out, in / groups, k, k)`, linear layers `(out, in)`, as in torch.
    """
    if spec.op == "conv":
        return {
            "conv.weight": (spec.out_channels, spec.in_channels, spec.kernel, spec.kernel),
            "conv.bias": (spec.out_channels,),
        }
    if spec.op == "head":
        features = spec.mid_channels or spec.in_channels
        mix = {"mix.weight": (spec.mid_channels, spec.in_channels)} if spec.mid_channels else {}
        return mix | {"classify.weight": (spec.out_channels, features), "classify.bias": (spec.out_channels,)}
    shapes: dict[str, tuple[int, ...]] = {}
    if spec.expands:
        shapes |= {"expand.weight": (spec.mid_channels, spec.in_channels, 1, 1), "expand.bias": (spec.mid_channels,)}
    shapes |= {
        "depthwise.weight": (spec.mid_channels, 1, spec.kernel, spec.kernel),
        "depthwise.bias": (spec.mid_channels,),
    }
    if spec.se:
        shapes |= {
            "se.reduce.weight": (spec.se_channels, spec.mid_channels, 1, 1),
            "se.reduce.bias": (spec.se_channels,),
            "se.expand.weight": (spec.mid_channels, spec.se_channels, 1, 1),
            "se.expand.bias": (spec.mid_channels,),
        }
    return shapes | {
        "project.weight": (spec.out_channels, spec.mid_channels, 1, 1),
        "project.bias": (spec.out_channels,),
    }


def random_weights(spec: BlockSpec, rng: np.random.Generator) -> BlockWeights:
    """Weights for a block whose speed, not its output, is of interest.

    He-scaled, so that activations stay in the normal range: denormal numbers would slow a CPU down.
    """
    weights = {}
    for name, shape in weight_shapes(spec).items():
        scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights
