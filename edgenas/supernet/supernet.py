"""`Supernet`: one set of weights for every architecture of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from edgenas.space import Architecture, BlockSpec, SearchSpace
from edgenas.supernet.blocks import Network, initialise
from edgenas.supernet.elastic import ElasticBlock


class Supernet(nn.Module):
    """A weight-sharing network (Once-for-All, arXiv:1908.09791), elastic in what its space is elastic in.

    A stage of depth d runs the first d of its blocks. Weights are freshly initialised from torch's global generator,
    after `initialise`.
    """

    def __init__(
        self, space: SearchSpace, initialisation: str = "he", *, dropout: float = 0.0, batch_norm_momentum: float = 0.1
    ):
        super().__init__()
        self.space = space
        elastic = [stage for stage in space.stages for _ in range(max(stage.depths))]
        kernels: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((b.kernel,), (0,)) for b in space.stem]
        kernels += [(stage.kernels, stage.starts) for stage in elastic]
        kernels += [((b.kernel,), (0,)) for b in space.head]
        largest: list[BlockSpec] = [spec for _, spec in space.placed_blocks(space.largest)]
        blocks = nn.ModuleList(
            ElasticBlock(spec, *sizes, dropout, batch_norm_momentum, space.batch_norm_epsilon)
            for spec, sizes in zip(largest, kernels, strict=True)
        )
        self.blocks = cast("Sequence[ElasticBlock]", blocks)  # torch's list does not tell of what
        initialise(self, initialisation)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's annotations leave it out

    def forward(self, x: Tensor, architecture: Architecture, generator: torch.Generator | None = None) -> Tensor:
        """`(n, 3, r, r)` normalised images at the architecture's resolution -> `(n, classes)` logits.

        generator: of the dropout before the classifier, in training; None is torch's global one.
        """
        for slot, spec in self.space.placed_blocks(architecture):
            x = self.blocks[slot](x, spec, generator)
        return x

    @torch.no_grad()
    def extract(self, architecture: Architecture) -> Network:
        """A copy of one subnet as a plain module of stock torch layers, in evaluation mode.

        Its outputs are the supernet's. Batch-norm statistics are those that all subnets share in training:
        `recalibrate` the network before its accuracy means anything. Raises ValueError for a foreign architecture.
        """
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            network = Network(self.space.blocks(architecture), self.space.batch_norm_epsilon)
        for block, (slot, spec) in zip(network, self.space.placed_blocks(architecture), strict=True):
            tensors = {name: tensor.detach().clone() for name, tensor in self.blocks[slot].tensors(spec).items()}
            block.load_state_dict(tensors, assign=True)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as above
        return network.eval()

    @torch.no_grad()
    def adopt(self, network: Network) -> None:
        """Take over the weights of a network of the largest architecture: the inverse of `extract(space.largest)`."""
        for block, part in zip(self.blocks, network, strict=True):
            block.full.load_state_dict(part.state_dict())

    def sort_channels(self) -> None:
        """Order the expanded channels of every block by importance, before expand ratios below the largest are trained."""
        for block in self.blocks:
            block.sort_channels()

    def synchronise_batch_norm(self) -> None:
        """Train with batch statistics over the images of all processes (see `edgenas.processes`)."""
        for block in self.blocks:
            block.synchronised = True
