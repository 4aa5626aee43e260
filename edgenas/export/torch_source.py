"""A network as Python that needs nothing but torch: `network.py` beside `weights.safetensors`, for whoever goes on in torch.

It is written from the blocks' programs, as the other formats are; its modules are torch's own, and have the names of the
tensors of `weights.safetensors`, batch norms included, so that it can be trained on.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgenas.data.prepare import described
from edgenas.errors import ParityError
from edgenas.export.parity import compare
from edgenas.space import BlockSpec, program_of
from edgenas.space.program import (
    INPUT,
    Act,
    Add,
    Conv,
    Flatten,
    GlobalMean,
    Linear,
    MaxPool,
    MeanPool,
    Scale,
    Step,
    Weighted,
)
from edgenas.supernet import Network

if TYPE_CHECKING:
    from edgenas.export.model import ExportedModel

SOURCE = "network.py"

_HEAD = '''"""Network {id} in plain torch. Needs torch and safetensors.

    import network
    model = network.load()              # weights.safetensors, which is beside this file
    logits = model(images)              # float32 (n, 3, {resolution}, {resolution}) -> (n, {classes})

Images: {how}.
Outputs: one logit for each of {labels}.
"""

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

CLASSES = {names!r}


def load(path=Path(__file__).parent / "weights.safetensors"):
    """The network with its weights, in evaluation mode."""
    network = Network()
    network.load_state_dict(load_file(path))
    return network.eval()


class Network(nn.Sequential):
    def __init__(self):
        super().__init__({blocks})
'''

_ACTIVATIONS = {"relu": "relu", "relu6": "relu6", "hswish": "hardswish", "gate": "hardsigmoid"}


def torch_source(model: ExportedModel, network: Network, epsilon: float) -> str:
    """The text of the file. epsilon: of batch norms."""
    labels = "`CLASSES`, in this order"
    how = {**model.preprocessing.to_json(), "input": "float32"}
    head = _HEAD.format(
        id=model.architecture.id, resolution=network.resolution, classes=len(model.classes), how=described(how), labels=labels,
        names=list(model.classes), blocks=", ".join(f"Block{index}()" for index in range(len(network.specs))),
    )  # fmt: skip
    return "\n\n".join([head, *(_block(index, spec, epsilon) for index, spec in enumerate(network.specs))])


def check_torch_source(source: str, network: Network, images: Tensor) -> None:
    """Run the text with the network's tensors. Raises ParityError where it computes something else on `(n, 3, r, r)` images."""
    module = ModuleType("network")
    module.__file__ = SOURCE
    exec(compile(source, SOURCE, "exec"), module.__dict__)  # written just now, by `torch_source`
    plain = module.Network()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        found, expected = plain.eval()(images).numpy(), network.eval()(images).numpy()
    parity = compare(expected, found)
    if not parity.holds:
        raise ParityError(f"{SOURCE} was not written: its outputs differ from the network's by {parity.max_difference:.2g}. "
                          "Please report this architecture.")  # fmt: skip


def _block(index: int, spec: BlockSpec, epsilon: float) -> str:
    steps = program_of(spec)
    layers: dict[str, str] = {}
    nested: dict[str, dict[str, str]] = {}
    for step in steps:
        for name, layer in _layers(step, epsilon):
            group, _, own = name.rpartition(".")
            (nested.setdefault(group, {}) if group else layers)[own] = layer
    lines = [f"        self.{name} = {layer}" for name, layer in layers.items()]
    for group, inside in nested.items():
        entries = ", ".join(f'"{name}": {layer}' for name, layer in inside.items())
        lines.append(f"        self.{group} = nn.ModuleDict({{{entries}}})")
    computed = [f"        {_variable(step.name)} = {_expression(step)}" for step in steps]
    what = f"{spec.op}: {spec.in_channels} channels of {spec.resolution} px -> {spec.out_channels} of {spec.out_resolution}"
    return "\n".join([
        f"class Block{index}(nn.Module):", f'    """{what}."""', "",
        *(["    def __init__(self):", "        super().__init__()", *lines, ""] if lines else []),
        f"    def forward(self, {_variable(INPUT)}):", *computed, f"        return {_variable(steps[-1].name)}", "",
    ])  # fmt: skip


def _layers(step: Step, epsilon: float) -> list[tuple[str, str]]:
    """The modules of a step by their names."""
    match step:
        case Conv():
            padding = f", padding={step.pads[0]}" if step.pads[0] == step.pads[1] != 0 else ""
            groups = f", groups={step.channels}" if step.depthwise else ""
            stride = f", stride={step.stride}" if step.stride > 1 else ""
            sizes = f"{step.in_channels}, {step.channels}, {step.kernel}"
            layer = f"nn.Conv2d({sizes}{stride}{padding}{groups}, bias={step.bias})"
            norm = f"nn.BatchNorm2d({step.channels}, eps={epsilon})"
        case Linear():
            layer = f"nn.Linear({step.in_channels}, {step.channels}, bias={step.bias})"
            norm = f"nn.BatchNorm1d({step.channels}, eps={epsilon})"
        case _:
            return []
    return [(step.name, layer), *([(f"{step.name}_norm", norm)] if step.norm else [])]


def _expression(step: Step) -> str:
    reads = [_variable(name) for name in step.reads]
    x = reads[0]
    match step:
        case Weighted():
            if isinstance(step, Conv) and step.pads[0] != step.pads[1]:
                x = f"F.pad({x}, {step.pads * 2})"
            found = f"{_module(step.name)}({x})"
            return f"{_module(f'{step.name}_norm')}({found})" if step.norm else found
        case Act():
            return f"F.{_ACTIVATIONS[step.kind]}({x})"
        case MaxPool():
            padded = f"F.pad({x}, {step.pads * 2})" if any(step.pads) else x
            return f"F.max_pool2d({padded}, {step.kernel}, {step.stride})"
        case MeanPool():
            return f"F.avg_pool2d({x}, {step.stride}, ceil_mode=True)"
        case GlobalMean():
            return f"{x}.mean((2, 3), keepdim=True)"
        case Flatten():
            return f"{x}.flatten(1)"
        case Add():
            return f"{x} + {reads[1]}"
        case Scale():
            return f"{x} * {reads[1]}"
    raise TypeError(f"torch has no form for {step}")


def _module(name: str) -> str:
    group, _, own = name.rpartition(".")
    return f'self.{group}["{own}"]' if group else f"self.{own}"


def _variable(name: str) -> str:
    return "x" if name == INPUT else name.replace(".", "_")
