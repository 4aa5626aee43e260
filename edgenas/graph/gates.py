"""Gates of squeeze-and-excitation as clips of the layer before them.

The hard sigmoid is clip(x / 6 + 1/2, 0, 1). Its line goes into the weights and the bias of the layer that gives x; what is left
is a clip, which engines compute within that layer. A node of its own is slower, and some engines have it wrong: OpenCV 5.0
computes Mul(x, HardSigmoid(y)) as something else, without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgenas.graph.weights import BlockWeights
from edgenas.space.program import Act, Step, Weighted, activations_of

CLIP = "clip"
"""The kind of an activation that limits values to 0..1."""

SLOPE, OFFSET = 1 / 6, 0.5


def clipped_gates(steps: Sequence[Step]) -> tuple[Step, ...]:
    """A block's steps with a clip for every gate whose line a layer can take: one whose value nothing else reads."""
    clips = _gates(steps)
    return tuple(replace(step, kind=CLIP) if isinstance(step, Act) and step in clips.values() else step for step in steps)


def clipped_weights(steps: Sequence[Step], weights: BlockWeights) -> BlockWeights:
    """The weights of `clipped_gates`. steps: with the gates as they were."""
    changed = dict(weights)
    for name in _gates(steps):
        weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias", np.float32(0))
        changed[f"{name}.weight"] = (weight * SLOPE).astype(np.float32)
        changed[f"{name}.bias"] = np.broadcast_to(bias * SLOPE + OFFSET, len(weight)).astype(np.float32)
    return changed


def _gates(steps: Sequence[Step]) -> dict[str, Act]:
    """By the name of the layer before them."""
    layers = {step.name for step in steps if isinstance(step, Weighted)}
    return {name: act for name, act in activations_of(steps).items() if act.kind == "gate" and name in layers}
