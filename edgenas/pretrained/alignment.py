"""Which block of one space becomes which block of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest

from edgenas.errors import UsageError
from edgenas.space import BlockSpec, SearchSpace

RESOLUTION = 1024
"""At which blocks are compared: even down to the last stride, so that paddings that differ at some size differ here."""

Placed = tuple[int, BlockSpec]


def align(source: SearchSpace, target: SearchSpace) -> list[tuple[Placed | None, Placed]]:
    """For every block of the target's largest architecture the block of the source's that it takes over, each with its slot.

    Both are cut into runs: blocks of one kind and one number of channels, of which only the first may have a stride. Runs
    are paired in order, and blocks within them. Blocks that only the target has come last in their run and have None.

    Raises UsageError, naming the first that differs, where the largest target cannot compute what the largest source does.
    """
    try:
        return list(_pairs(source, target))
    except _Difference as difference:
        raise UsageError(
            f"The weights of {source.name} do not fit the space {target.name}: {difference}. Choose a space that contains "
            "theirs, or name none, and it follows from the weights."
        ) from None


class _Difference(Exception):
    """Where and why two spaces do not fit."""


def _pairs(source: SearchSpace, target: SearchSpace) -> Iterator[tuple[Placed | None, Placed]]:
    if source.batch_norm_epsilon != target.batch_norm_epsilon:
        raise _Difference(f"the batch norm's epsilon is {source.batch_norm_epsilon:g} in the weights, and "
                          f"{target.batch_norm_epsilon:g} in the space")  # fmt: skip
    for number, (old, new) in enumerate(zip_longest(_runs(source), _runs(target), fillvalue=()), start=1):
        theirs, ours = _described(old), _described(new)
        if not old or not new or _kind(old[0][1]) != _kind(new[0][1]):
            raise _Difference(f"part {number} is {theirs} in the weights, and {ours} in the space")
        if len(old) > len(new):
            raise _Difference(f"part {number}, {theirs}, has {len(old)} blocks in the weights, at most {len(new)} in the space")
        for a, b in zip_longest(old, new):
            if a is None and not can_be_identity(b[1]):
                raise _Difference(f"the weights lack block {b[0] + 1} of the space, which always changes something")
            if a is not None and (reason := obstacle(a[1], b[1])):
                raise _Difference(f"block {a[0] + 1} of the weights is no part of block {b[0] + 1} of the space: {reason}")
            yield a, b


def obstacle(source: BlockSpec, target: BlockSpec) -> str | None:
    """Why a block cannot compute what another one of the same run does; None where it can."""
    if source.op == "head" and source.mid_channels != target.mid_channels:
        return f"features before the classifier: {source.mid_channels} in the weights, {target.mid_channels} in the space"
    facts = {
        "input channels": "in_channels", "activation": "activation", "squeeze-and-excitation": "se", "residual": "residual",
        "padding": "padding", "layers before the classifier": "mix",
    }  # fmt: skip
    for words, name in facts.items():
        if getattr(source, name) != getattr(target, name) and not _is_unused(name, source, target):
            return f"{words}: {_shown(getattr(source, name))} in the weights, {_shown(getattr(target, name))} in the space"
    for words, name in {"kernel": "kernel", "start depthwise": "start", "inner channels": "mid_channels"}.items():
        here, there = getattr(source, name), getattr(target, name)
        if here > there:
            return f"{words}: {here} in the weights, at most {there} in the space"
        if here != there and (source.op == "maxpool" or source.padding == "valid"):
            return f"{words}: {here} in the weights, {there} in the space"
    if source.expands != target.expands:
        return "only one of them has an expansion"
    if target.kernel and not source.kernel and (source.stride > 1 or not is_idempotent(source.activation)):
        return "the weights have no depthwise after the expansion, and none of the space's can be made to change nothing"
    return None


def is_idempotent(activation: str) -> bool:
    """Whether applying it twice changes nothing more."""
    return activation in ("relu", "relu6")


def can_be_identity(spec: BlockSpec) -> bool:
    """Whether a block can pass on its input, which comes from a block of its run."""
    return spec.residual and (spec.op != "bottleneck" or is_idempotent(spec.activation))


def _runs(space: SearchSpace) -> list[list[Placed]]:
    architecture = replace(space.largest, resolution=RESOLUTION)
    number, before = 0, None

    def run(placed: Placed) -> int:
        nonlocal number, before
        spec = placed[1]
        if spec.stride > 1 or before is None or (spec.op, spec.out_channels) != (before.op, before.out_channels):
            number += 1
        before = spec
        return number

    return [list(blocks) for _, blocks in groupby(space.placed_blocks(architecture), key=run)]


def _kind(spec: BlockSpec) -> tuple:
    """What the first blocks of paired runs have in common. The classes of a head are no part of it."""
    return (spec.op, spec.stride) + (() if spec.op == "head" else (spec.out_channels,))


def _described(run: Sequence[Placed]) -> str:
    if not run:
        return "missing"
    spec = run[0][1]
    if spec.op == "head":
        return "the classifier"
    return f"{spec.op} blocks with {spec.out_channels} channels" + (f" at stride {spec.stride}" if spec.stride > 1 else "")


def _is_unused(name: str, source: BlockSpec, target: BlockSpec) -> bool:
    """Whether a field says nothing: what a block without the layer in question has there is a default."""
    if name == "activation":
        return source.op == "maxpool" or (source.op == "head" and not source.mid_channels)
    if name == "mix":
        return not source.mid_channels
    return False


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
