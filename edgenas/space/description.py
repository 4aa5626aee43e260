"""A search space as plain data, the content of a TOML file, and the `SearchSpace` that it describes.

    resolutions = [20, 24, 28]      # input sizes in pixels
    widths = [0.5, 1.0]             # optional: an elastic width of the whole network
    stem = [...]                    # blocks that every architecture begins with
    stages = [...]                  # runs of elastic blocks
    head = [...]                    # blocks that every architecture ends with, before the classifier
    classifier = { features = 128, activation = "relu" }    # optional
    padding = "same"                # optional: of all blocks that say nothing else
    batch_norm_epsilon = 1e-3       # optional

The families that come with EdgeNAS are such files, in `families`, and the example for one's own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Annotated, Any

from edgenas.space.block import ACTIVATIONS, MIXES, PADDINGS, make_divisible
from edgenas.space.operator import OPERATORS, weighted
from edgenas.space.search_space import SearchSpace
from edgenas.space.stage import FixedBlock, Stage, scaled
from edgenas.values import AsWritten, Distinct, Length, OneOf, Unfit, Within, read, shown, unknown
from edgenas.values.kinds import Resolution

KeyPath = tuple[str | int, ...]
"""Where in a description: `("stages", 1, "kernels")`."""


class DescriptionError(ValueError):
    """What is wrong with a description, and where: the message is one sentence."""

    def __init__(self, path: KeyPath, reason: str):
        self.path = path
        super().__init__(reason)


def build_space(
    data: dict[str, Any], name: str, classes: int, width: float = 1.0, resolutions: tuple[int, ...] | None = None
) -> SearchSpace:
    """The space of a description. width: multiplies all channel counts. resolutions: in place of the description's.

    Raises DescriptionError.
    """
    top = _Keys((), data, TOP)
    trunk = _Trunk(width, top.get("padding", PADDINGS[0]))
    stem = tuple(trunk.fixed("stem", i, table) for i, table in enumerate(top.get("stem", [])))
    if not top.get("stages", []):
        raise DescriptionError(("stages",), "A space needs at least one stage: write [[stages]] and its keys.")
    stages = tuple(trunk.stage(i, table) for i, table in enumerate(top["stages"]))
    head = tuple(trunk.fixed("head", i, table) for i, table in enumerate(top.get("head", [])))
    space = SearchSpace(
        name=name,
        resolutions=tuple(sorted(resolutions or top["resolutions"])),
        stem=stem,
        stages=stages,
        head=(*head, trunk.classifier(classes, top.get("classifier", {}))),
        widths=tuple(sorted(top.get("widths", (1.0,)))),
        batch_norm_epsilon=top.get("batch_norm_epsilon", 1e-5),
    )
    _check_sizes(space)
    return space


MOST_BLOCKS = 1_000_000
"""Places times choices times resolutions times widths: what tables of a space have an entry for."""
MOST_PARAMETERS, MOST_VALUES = 400_000_000, 2**27
"""Of the largest network, and of what a layer of it writes: with gradients and momentum still within a workstation's memory."""


def _check_sizes(space: SearchSpace) -> None:
    """Raises DescriptionError where what is not padded leaves nothing of the smallest images, and where the space is larger
    than what can be computed."""
    choices = max(math.prod(map(len, stage.genes)) for stage in space.stages)
    if (blocks := len(space.resolutions) * len(space.widths) * space.slots * choices) > MOST_BLOCKS:
        raise DescriptionError(("stages",), f"The space has {blocks} blocks to tell apart, and {MOST_BLOCKS} are the most: "
                               "leave some choices out.")  # fmt: skip
    smallest = min(space.resolutions)
    try:
        space.blocks(space.architecture(smallest, max, max))
    except ValueError:
        reason = f"An image of {smallest} pixels is too small for the kernels without padding: leave that resolution out."
        raise DescriptionError(("resolutions",), reason) from None
    largest = space.blocks(space.largest)
    parameters = sum(math.prod(step.shape) for spec in largest for step in weighted(spec))
    if parameters > MOST_PARAMETERS:
        raise DescriptionError(("stages",), f"The largest network has {parameters} weights, and {MOST_PARAMETERS} are the "
                               "most: take fewer channels.")  # fmt: skip
    values = max(max(spec.in_channels, spec.mid_channels, spec.out_channels) * spec.resolution**2 for spec in largest)
    if values > MOST_VALUES:
        raise DescriptionError(("resolutions",), f"A layer of the largest network writes {values} numbers for one image, and "
                               f"{MOST_VALUES} are the most: take smaller images or fewer channels.")  # fmt: skip


class _Trunk:
    """The blocks from the image on, told in order: what some may be depends on the one before."""

    def __init__(self, width: float, padding: str):
        self.width = width
        self.padding = padding
        self.channels = 3
        self.is_rectified = False  # nothing below zero comes out of the last block

    def fixed(self, part: str, index: int, data: dict[str, Any]) -> FixedBlock:
        table = _Keys((part, index), data, FIXED)
        op, before = table["op"], self.channels
        channels, activation = self._enter(table, op)
        self._check_se(table, op)
        if expands := OPERATORS[op].expands:
            expanded = before if expands == "input" else channels
            mid = expanded if table["expand"] == 1 else make_divisible(round(expanded * table["expand"]))
        elif "expand" in data:
            raise table.error("expand", f"A {op} has no expand ratio: leave it out.")
        else:
            mid = 0
        kernel, padding = table.get("kernel", 1), self._padding(table, op)
        if padding != "valid" and kernel % 2 == 0:
            raise table.error("kernel", f"kernel {_even(kernel)}")
        return FixedBlock(op, channels, mid, kernel, table.get("stride", 1), activation, table.get("se", False), padding)

    def stage(self, index: int, data: dict[str, Any]) -> Stage:
        table = _Keys(("stages", index), data, STAGE)
        op, before, was_rectified = table.get("op", "mbconv"), self.channels, self.is_rectified
        operator = OPERATORS[op]
        channels, activation = self._enter(table, op)
        self._check_se(table, op)
        depths, kernels, stride = table["depths"], table["kernels"], table.get("stride", 1)
        if 0 in depths:
            if depths == (0,):
                raise table.error("depths", "A stage that never exists is none: leave it out, or add another depth.")
            if stride > 1 or channels != before or table.get("padding", "") == "valid" or not operator.residual:
                raise table.error("depths", "A stage may be left out, by a depth of 0, only where its blocks change neither "
                                  f"the size nor the {before} channels of what comes in.")  # fmt: skip
            self.is_rectified = self.is_rectified and was_rectified
        if "starts" in data and not operator.start:
            raise table.error("starts", f"Only an {_those_that('start')} has start depthwises, not a {op}: leave them out.")
        if 0 in kernels and not operator.optional_kernel:
            only = _those_that("optional_kernel")
            raise table.error("kernels", f"Only an {only} can do without its kernel, not a {op}: leave 0 out.")
        if not operator.expands and "expands" in data:
            raise table.error("expands", f"A {op} has no expand ratios: leave them out.")
        padding = self._padding(table, op)
        if padding == "valid" and len(kernels) > 1:
            raise table.error("padding", "Without padding, the kernel decides the size of what follows: give one.")
        is_padded = padding != "valid" or max(depths) > 1
        if is_padded and (even := next((k for k in kernels if k % 2 == 0 and k), 0)):
            raise table.error("kernels", f"kernels {_even(even)}")
        starts = table.get("starts", (0,))
        if even := next((k for k in starts if k % 2 == 0 and k), 0):
            raise table.error("starts", f"starts {_even(even)}")
        if stride > 1 and 0 in kernels and 0 in starts:
            raise table.error("kernels", "A stride needs a depthwise convolution, and kernel 0 with start 0 has none: take the "
                              "0 out of one, or give the stride to a stage of depth 1 before this one.")  # fmt: skip
        expands = table["expands"] if operator.expands else (1,)
        return Stage(channels, stride, activation, table.get("se", False), depths, kernels, expands, op, starts, padding)

    def classifier(self, classes: int, data: dict[str, Any]) -> FixedBlock:
        table = _Keys(("classifier",), data, CLASSIFIER)
        features = scaled(table["features"], self.width) if "features" in data else 0
        if "mix" in data and not features:
            raise table.error("mix", "Without features there is nothing to mix: write features, or leave mix out.")
        return FixedBlock("head", classes, features, activation=table.get("activation", "relu"), mix=table.get("mix", MIXES[0]))

    def _padding(self, table: _Keys, op: str) -> str:
        padding = table.get("padding", self.padding)
        if padding == "valid" and not OPERATORS[op].unpadded:
            raise table.error("padding", f"Only a {_those_that('unpadded')} can do without padding, not a {op}.")
        return padding

    def _enter(self, table: _Keys, op: str) -> tuple[int, str]:
        """The channels and the activation of the next block or stage, which from now on is the last."""
        activation = table.get("activation", "relu")
        if OPERATORS[op].keeps_channels:
            if op == "maxpool" and not self.is_rectified:
                raise table.error("op", "A maxpool needs what is never negative: put it behind a conv with a ReLU.")
            if "channels" in table.data and scaled(table["channels"], self.width) != self.channels:
                raise table.error("channels", f"A {op} keeps the channels: make them {self.channels}, or leave them out.")
        else:
            self.channels = scaled(table["channels"], self.width)
            self.is_rectified = OPERATORS[op].rectifies and activation in ("relu", "relu6")
        return self.channels, activation

    def _check_se(self, table: _Keys, op: str) -> None:
        if table.get("se", False) and not OPERATORS[op].se:
            raise table.error("se", f"Only an {_those_that('se')} has squeeze-and-excitation, not a {op}: leave se out.")


def _even(kernel: int) -> str:
    return f"must be odd, so that it has a centre, not {kernel}: take {kernel - 1} or {kernel + 1}."


def _block_ops() -> tuple[str, ...]:
    """What a block may be, other than the classifier."""
    return tuple(name for name, operator in OPERATORS.items() if not operator.classifies)


def _those_that(has: str) -> str:
    """The operators of which something is true, for a message: `conv or maxpool`."""
    return " or a ".join(name for name in _block_ops() if getattr(OPERATORS[name], has))


# ---- values ----


class _Ops(Collection[str]):
    """What a block may be, those of one's own as well."""

    def __iter__(self) -> Iterator[str]:
        return iter(_block_ops())

    def __len__(self) -> int:
        return len(_block_ops())

    def __contains__(self, name: object) -> bool:
        return name in _block_ops()


# Wider than any published network, and narrow enough that what is asked for can be computed.
Op = Annotated[str, OneOf("op", _Ops())]
Channels = Annotated[int, Within(1, 8192)]
Kernel = Annotated[int, Within(1, 63)]
"""Even ones are found where it is known whether they are padded."""
KernelOrNone = Annotated[int, Within(0, 63)]
Stride = Annotated[int, Within(1, 2)]
Ratio = Annotated[float, Within(0, 64, above=True), AsWritten()]
Epsilon = Annotated[float, Within(0, 1, above=True), AsWritten()]
Activation = Annotated[str, OneOf("activation", ACTIVATIONS)]
Padding = Annotated[str, OneOf("padding", PADDINGS)]
Kernels = Annotated[list[KernelOrNone], Length(1, 32), Distinct()]
Ratios = Annotated[list[Ratio], Length(1, 32), Distinct()]
Depths = Annotated[list[Annotated[int, Within(0, 64)]], Length(1, 32), Distinct()]
Tables = Annotated[list[object], Length(0, 64)]

TOP = {"resolutions": Annotated[list[Resolution], Length(1, 64), Distinct()], "widths": Ratios, "stem": Tables,
       "stages": Tables, "head": Tables, "classifier": object, "padding": Annotated[str, OneOf("padding", PADDINGS[:2])],
       "batch_norm_epsilon": Epsilon}  # fmt: skip
FIXED = {"op": Op, "channels": Channels, "kernel": Kernel, "stride": Stride, "expand": Ratio, "activation": Activation,
         "se": bool, "padding": Padding}  # fmt: skip
STAGE = {"op": Op, "channels": Channels, "stride": Stride, "activation": Activation, "se": bool, "depths": Depths,
         "kernels": Kernels, "expands": Ratios, "starts": Kernels, "padding": Padding}  # fmt: skip
CLASSIFIER = {"features": Channels, "activation": Activation, "mix": Annotated[str, OneOf("mix", MIXES)]}


class _Keys:
    """A table of a description whose keys and values have been checked, one by one, as their kinds demand."""

    def __init__(self, path: KeyPath, data: Any, kinds: dict[str, Any]):
        if not isinstance(data, dict):
            raise DescriptionError(path, f"This must be a table of keys and values, not {shown(data)}.")
        self.path = path
        self.data: dict[str, Any] = {}
        for key, value in data.items():
            if key not in kinds:
                raise self.error(key, unknown("key", key, kinds))
            try:
                self.data[key] = read(kinds[key], value, key)
            except Unfit as refusal:
                raise self.error(key, str(refusal)) from None

    def __getitem__(self, key: str) -> Any:
        if key not in self.data:
            raise DescriptionError(self.path, f"{key} is missing{' here' if self.path else ''}: write it.")
        value = self.data[key]
        is_choice = isinstance(value, list) and not any(isinstance(v, dict) for v in value)
        return tuple(sorted(value)) if is_choice else value

    def get(self, key: str, default: Any) -> Any:
        return self[key] if key in self.data else default

    def error(self, key: str, reason: str) -> DescriptionError:
        return DescriptionError((*self.path, key), reason)
