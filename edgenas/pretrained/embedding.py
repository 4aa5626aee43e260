"""`embed`: a supernet that begins as the function that other weights compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from edgenas.pretrained.alignment import align
from edgenas.pretrained.weights import PretrainedWeights
from edgenas.supernet import Supernet
from edgenas.supernet.elastic import ElasticBlock

ALMOST_NOTHING = 1e-7
"""Scale of a branch that must learn and adds nothing yet: behind a ReLU nothing at all would have no gradient for ever."""


@torch.no_grad()
def embed(
    weights: PretrainedWeights,
    supernet: Supernet,
    classes: Sequence[str],
    images: Callable[[], Iterable[Tensor]] = tuple,
) -> None:
    """Let the supernet's largest subnet compute, at any resolution, what the largest subnet of the weights does.

    Kernels become the centre of larger ones in a ring of zeros, further inner channels are read by zeros, further blocks add
    nothing, and depthwise layers that the weights lack pass on what they get. Whatever does not matter to this function keeps
    its fresh values and learns from them. Kernel transforms are taken over where both sides have them and begin as plain
    crops elsewhere, so that a subnet of the weights' own sizes computes the same, too. The classifier keeps the rows of
    classes that the weights know by name; the other classes have fresh ones.

    images: gives batches `(b, 3, r, r)`, normalised, whose statistics the batch norms of layers that are only passed through
    begin with; asked for where there are such layers.

    Raises UsageError where the weights do not fit the space, before anything is changed.
    """
    learned, passing = weights.tensors, []
    for old, (slot, spec) in align(weights.space, supernet.space):
        block = supernet.blocks[slot]
        if old is None:
            _begin_as_identity(block)
        elif spec.op == "head":
            _place_head(weights, f"blocks.{old[0]}.", block, classes)
        else:
            passing += _place(learned, f"blocks.{old[0]}.", block, supernet.space.batch_norm_epsilon)
    if passing:
        _settle(supernet, passing, images())


def _place(learned: dict[str, Tensor], prefix: str, block: ElasticBlock, epsilon: float) -> list[nn.BatchNorm2d]:
    """Put the tensors of one block into those of another. Returns the batch norms of layers that had to be made up."""
    passing = []
    for name, part in block.full.named_modules():
        if isinstance(part, nn.Conv2d) and f"{prefix}full.{name}.weight" not in learned:
            _pass_through(part)
            passing += [_reset(norm, epsilon) for norm in _norms(block.full.get_submodule(f"{name}_norm"))]
    for name, tensor in block.state_dict().items():  # views of the block's own
        if prefix + name in learned:
            _put(learned[prefix + name], tensor)
    return passing


def _put(source: Tensor, target: Tensor) -> None:
    """A tensor into the beginning of one that is as large or larger: centred in its kernel, and zeros where more is read."""
    if target.dim() < 2:
        if target.dim() == 0:
            target.copy_(source)
        else:
            target[: len(source)] = source
        return
    rows = target[: len(source)]
    rows.zero_()
    margin = (target.shape[-1] - source.shape[-1]) // 2 if target.dim() == 4 else 0
    centre = slice(margin, margin + source.shape[-1])
    place = (slice(None), slice(source.shape[1]), centre, centre)
    rows[place[: target.dim()]] = source.to(target.device, target.dtype)


def _place_head(weights: PretrainedWeights, prefix: str, block: ElasticBlock, classes: Sequence[str]) -> None:
    known = [(new, old) for new, name in enumerate(classes) if (old := weights.class_index(name)) is not None]
    for name, tensor in block.state_dict().items():
        learned = weights.tensors[prefix + name].to(tensor.device, tensor.dtype)
        if not name.startswith("full.classify."):
            tensor.copy_(learned)
        elif known:
            rows, sources = map(list, zip(*known, strict=True))
            tensor[rows] = learned[sources]


def _begin_as_identity(block: ElasticBlock) -> None:
    """Let a block with a residual add nothing."""
    norm, scale = ("conv_norm", ALMOST_NOTHING) if block.largest.op == "conv" else ("project_norm", 0.0)
    nn.init.constant_(block.full.get_parameter(f"{norm}.weight"), scale)
    nn.init.zeros_(block.full.get_parameter(f"{norm}.bias"))


def _pass_through(depthwise: nn.Conv2d) -> None:
    nn.init.zeros_(depthwise.weight)
    depthwise.weight[:, :, depthwise.kernel_size[0] // 2, depthwise.kernel_size[1] // 2] = 1


def _reset(norm: nn.BatchNorm2d, epsilon: float) -> nn.BatchNorm2d:
    """Let a batch norm change nothing by the statistics of a fresh one."""
    norm.reset_running_stats()
    nn.init.constant_(norm.weight, (1 + epsilon) ** 0.5)
    nn.init.zeros_(norm.bias)
    return norm


def _settle(supernet: Supernet, norms: list[nn.BatchNorm2d], batches: Iterable[Tensor]) -> None:
    """Let batch norms change nothing by the statistics of what they will meet: training and recalibration bring those."""
    moments: dict[nn.BatchNorm2d, list[Tensor]] = {norm: [] for norm in norms}
    network = supernet.extract(supernet.space.largest)
    for twin, norm in zip(_norms(network), (n for block in supernet.blocks for n in _norms(block.full)), strict=True):
        if norm in moments:
            twin.register_forward_pre_hook(partial(_measure, moments[norm]))
    for images in batches:
        network(images)
    for norm, seen in moments.items():
        if not seen:
            continue  # no images: the statistics of a fresh one
        variance, mean = torch.stack(seen).mean(0)
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        norm.weight.copy_((variance + supernet.space.batch_norm_epsilon).sqrt())
        norm.bias.copy_(mean)


def _measure(moments: list[Tensor], module: nn.Module, inputs: tuple[Tensor]) -> None:
    moments.append(torch.stack(torch.var_mean(inputs[0], (0, 2, 3))))


def _norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
