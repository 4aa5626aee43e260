"""Several processes that train as one: which of them this is, and what they tell each other.

`torchrun --nproc-per-node 2 -m edgenas train-supernet …` starts them, on one machine or on several, and says in the
environment who is who. Without it there is one process, and everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import edgenas.torch_setup  # noqa: F401 (before torch)

# isort: split
import torch
import torch.distributed as dist
from torch import Tensor

from edgenas.errors import EdgeNASError

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: the first one evaluates and decodes while the others wait."""


def is_main_process() -> bool:
    """Whether this is the first process, which alone writes files and shows progress."""
    return int(os.environ.get("RANK", 0)) == 0


def rank() -> int:
    """The number of this process among those that have joined, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes have joined, on all machines."""
    return dist.get_world_size() if dist.is_initialized() else 1


def own_device() -> str:
    """The device that this process trains on: a GPU of its own where there are any."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """Of `own_device`, for people: a GPU's own name, or `the CPU`."""
    device = own_device()
    return "the CPU" if device == "cpu" else torch.cuda.get_device_name(device)


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, until the block ends. NCCL connects GPUs, Gloo CPUs."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    device = torch.device(own_device())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def first_of_machine_first() -> Iterator[None]:
    """The first process of every machine runs the block, then the others do, who find in the cache what it left there."""
    is_first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not is_first:
        wait_for_all()
    yield
    if is_first:
        wait_for_all()


def wait_for_all() -> None:
    if world_size() > 1:
        sum_over_processes(torch.zeros(1, device=own_device()))


def own_share(batch: Tensor) -> Tensor:
    """What this process computes of a batch: one image in `world_size()`, so that any part of a batch is shared evenly."""
    return batch[rank() :: world_size()]


def own_part(begin: int, end: int) -> slice:
    """Where in `own_share` the images `begin:end` of the batch are."""
    return slice(-((rank() - begin) // world_size()), -((rank() - end) // world_size()))


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of every process's tensor, in place. Raises EdgeNASError when another process has ended."""
    if world_size() > 1:
        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            raise EdgeNASError(
                "Another process of this training has ended: see its message. What was finished is kept; go on with `resume`."
            ) from error
    return tensor


@torch.no_grad()
def sum_gradients(parameters: Iterator[torch.nn.Parameter]) -> None:
    """Replace every gradient by its sum over the processes, all in one message.

    All processes train the same subnets, so that the same parameters have gradients everywhere.
    """
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    message = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, summed in zip(gradients, message.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view(gradient.shape))
