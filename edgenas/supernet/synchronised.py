"""Batch norm over the images of all processes that train together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgenas.processes import sum_over_processes


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Normalises by the statistics of the whole batch where every process has a part of it: `(n, c, h, w)` each.

    What several processes compute is then what one would. Plain torch, so that it runs on CPUs too, where
    `torch.nn.SyncBatchNorm` does not.
    """

    # It keeps running statistics, by a momentum: `nn.BatchNorm2d` may be without.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = torch.tensor([x.numel() // x.shape[1]], dtype=torch.float64, device=x.device)
        # In double precision, the variance does not drown in the square of the mean.
        variance, mean = (moment.double() for moment in torch.var_mean(x.to(self.weight.dtype), (0, 2, 3), correction=0))
        total = _Sum.apply(torch.cat([count * mean, count * (variance + mean**2), count]))
        moments, count = total[:-1] / total[-1], total[-1].detach()
        mean, square = moments.chunk(2)
        variance = square - mean**2
        self._track(mean, variance * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps).to(self.weight.dtype)
        shift = self.bias - mean.to(scale.dtype) * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose loss is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return sum_over_processes(tensor.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient.clone())


def synchronise(module: nn.Module) -> nn.Module:
    """The module with every batch norm in it replaced, by one without weights of its own values yet."""
    for name, part in module.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(module, name, SynchronisedBatchNorm2d(part.num_features, part.eps, part.momentum))
        else:
            synchronise(part)
    return module
