"""Images per second of our supernet's training against the `ofa` package's dynamic network, paired on one CPU.

    pip download --no-deps ofa && python -m zipfile -e ofa-*.whl ofa_package
    OMP_NUM_THREADS=1 python tools/benchmark_training.py --ofa ofa_package --resolution 32 --batch 64

The package is only put on the path: it is not installed, and the parts of torchvision that it imports for its data loaders are
stood in for. Both networks are OFAMobileNetV3 at width 1.0 with 1,000 classes. Each architecture has the same MACs in both,
which is checked. Theirs is trained as it is shipped, in float32 and torch's default layout; also in channels_last, which a
careful user would try. All take turns within each round, and the time is the process's CPU time, so that other programs
disturb all alike. Ratios are the median over rounds.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from edgenas import cost
from edgenas.space import Architecture, SearchSpace, get_space
from edgenas.supernet import Supernet
from edgenas.training import Recipe
from edgenas.training.losses import distillation
from edgenas.training.optimizer import make_optimizer
from edgenas.training.schemes import Draw, Sandwich

CLASSES = 1000
WARM_UP_ROUNDS = 1


@dataclass
class Contestant:
    """One way to compute and train the subnets. forward: images and an architecture -> logits."""

    name: str
    forward: Callable[[Tensor, Architecture], Tensor]
    optimizer: torch.optim.Optimizer
    channels_last: bool
    bfloat16: bool = False

    def logits(self, images: Tensor, architecture: Architecture) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return self.forward(images.contiguous(memory_format=layout), architecture).float()


def import_ofa(folder: str) -> type[nn.Module]:
    """The package's OFAMobileNetV3, without torchvision."""
    sys.path.insert(0, folder)
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]
    sys.modules["torchvision.transforms"].RandomResizedCrop = object
    from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

    return OFAMobileNetV3


def ofa_network(build: type[nn.Module]) -> nn.Module:
    return build(n_classes=CLASSES, dropout_rate=0.0, ks_list=[3, 5, 7], expand_ratio_list=[3, 4, 6], depth_list=[2, 3, 4])


def activate(network: nn.Module, space: SearchSpace, architecture: Architecture) -> None:
    """Make their network compute this architecture. Blocks that are left out must have some choice."""
    choices = []
    for stage, chosen in zip(space.stages, architecture.stages, strict=True):
        choices += [*chosen, *[chosen[-1]] * (max(stage.depths) - len(chosen))]
    depths = [len(chosen) for chosen in architecture.stages]
    network.set_active_subnet(ks=[c.kernel for c in choices], e=[c.expand for c in choices], d=depths)


def ofa_contestant(build: type[nn.Module], space: SearchSpace, recipe: Recipe, channels_last: bool) -> Contestant:
    network = ofa_network(build).train()
    if channels_last:
        network.to(memory_format=torch.channels_last)

    def forward(images: Tensor, architecture: Architecture) -> Tensor:
        activate(network, space, architecture)
        return network(images)

    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    return Contestant(f"ofa {'channels_last' if channels_last else 'as shipped'}", forward, optimizer, channels_last)


def our_contestant(space: SearchSpace, recipe: Recipe, bfloat16: bool) -> Contestant:
    supernet = Supernet(space).train()
    name = f"ours {'bfloat16' if bfloat16 else 'float32'}"
    return Contestant(name, supernet, make_optimizer(supernet, recipe), channels_last=True, bfloat16=bfloat16)


# ---- what is timed ----


def one_subnet(contestant: Contestant, images: Tensor, labels: Tensor, architecture: Architecture) -> None:
    """Forward and backward of one architecture on the whole batch."""
    contestant.optimizer.zero_grad()
    F.cross_entropy(contestant.logits(images, architecture), labels).backward()


def sandwich_step(contestant: Contestant, images: Tensor, labels: Tensor, draws: list[Draw]) -> None:
    """A step of our default scheme: the largest subnet, then smaller ones on parts of the batch, then the update."""
    contestant.optimizer.zero_grad()
    largest = None
    for draw in draws:
        part = slice(round(draw.share[0] * len(images)), round(draw.share[1] * len(images)))
        logits = contestant.logits(images[part], draw.architecture)
        loss = F.cross_entropy(logits, labels) if largest is None else distillation(logits, largest[part])
        (draw.weight * loss).backward()
        largest = logits.detach() if largest is None else largest
    contestant.optimizer.step()


def shrinking_step(
    contestant: Contestant, images: Tensor, labels: Tensor, drawn: list[Architecture], largest: Architecture
) -> None:
    """A step of Once-for-All's own training in its last phase: a teacher's forward pass, four subnets on the whole batch."""
    contestant.optimizer.zero_grad()
    with torch.no_grad():
        soft = contestant.logits(images, largest)
    for architecture in drawn:
        logits = contestant.logits(images, architecture)
        (F.cross_entropy(logits, labels) + distillation(logits, soft)).backward()
    contestant.optimizer.step()


# ---- figures ----


def cpu_seconds(work: Callable[[Contestant], None], contestant: Contestant) -> float:
    started = time.process_time()
    work(contestant)
    return time.process_time() - started


def where_the_time_goes(work: Callable[[], None]) -> dict[str, float]:
    """Share of the CPU time of each kind of operation."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        work()
    shares: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages(group_by_input_shape=True):
        shares[_kind(event.key, event.input_shapes)] += event.self_cpu_time_total
    return {kind: shares[kind] / sum(shares.values()) for kind in sorted(shares, key=shares.get, reverse=True)}


def _kind(operation: str, shapes: list[list[int]]) -> str:
    if "convolution" in operation.lower() and operation.startswith("aten::"):
        weight = shapes[2 if "backward" in operation else 1]
        kind = "depthwise" if len(weight) == 4 and weight[1] == 1 else "other convolutions"
        return f"{kind}, {'backward' if 'backward' in operation else 'forward'}"
    if "batch_norm" in operation:
        return "batch norm"
    if any(name in operation for name in ("threshold", "clamp", "hardswish", "hardtanh", "hardsigmoid", "relu")):
        return "activations"
    return "the rest"


def checked_macs(space: SearchSpace, network: nn.Module, architecture: Architecture) -> int:
    """Multiply-accumulates of an architecture, the same in both projects."""
    activate(network, space, architecture)
    subnet = network.get_active_subnet().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        subnet(torch.zeros(1, 3, architecture.resolution, architecture.resolution))
    theirs, ours = counter.get_total_flops() // 2, cost.macs(space.blocks(architecture))
    if theirs != ours:
        raise SystemExit(f"{architecture.id} has {ours:,} MACs here and {theirs:,} in ofa: not the same network.")
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ofa", required=True, help="folder with the unpacked ofa wheel")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    space = get_space("mobilenetv3", "imagenet", CLASSES, resolutions=(arguments.resolution,))
    recipe = Recipe()
    build = import_ofa(arguments.ofa)
    contestants = [
        ofa_contestant(build, space, recipe, channels_last=False),
        ofa_contestant(build, space, recipe, channels_last=True),
        our_contestant(space, recipe, bfloat16=False),
        our_contestant(space, recipe, bfloat16=True),
    ]
    images = torch.randn(arguments.batch, 3, arguments.resolution, arguments.resolution)
    labels = torch.randint(CLASSES, (arguments.batch,))
    scheme = Sandwich(space, recipe)
    draws = scheme.draw(scheme.phases[-1], rng)
    drawn = [space.decode(genome) for genome in space.sample(rng, 4)]
    work: dict[str, Callable[[Contestant], None]] = {}
    for name, architecture in {"largest": space.largest, "random": drawn[0], "smallest": space.smallest}.items():
        macs = checked_macs(space, ofa_network(build), architecture)
        work[f"{name} subnet, {macs / 1e6:.1f} MMAC"] = lambda c, a=architecture: one_subnet(c, images, labels, a)
    work["sandwich step"] = lambda c: sandwich_step(c, images, labels, draws)
    work["progressive-shrinking step"] = lambda c: shrinking_step(c, images, labels, drawn, space.largest)

    print(
        f"batch {arguments.batch} at {arguments.resolution} px, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )
    print("images per CPU-second, and how many times as many as ofa as shipped")
    for name, step in work.items():
        rounds = range(WARM_UP_ROUNDS + arguments.rounds)
        seconds = np.array([[cpu_seconds(step, c) for c in contestants] for _ in rounds])[WARM_UP_ROUNDS:]
        print(f"\n{name}", flush=True)
        for contestant, own in zip(contestants, seconds.T, strict=True):
            ratio = np.median(seconds[:, 0] / own)
            print(f"  {contestant.name:20} {arguments.batch / np.median(own):8.1f}   {ratio:5.2f}x")
    print("\nwhere the time of a sandwich step goes")
    for contestant in contestants:
        shares = where_the_time_goes(lambda c=contestant: sandwich_step(c, images, labels, draws))
        print(f"  {contestant.name:20} " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()))


if __name__ == "__main__":
    main()
