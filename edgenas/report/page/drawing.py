"""A network block by block, as a person sees it, each block as wide as its share of the milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas import cost
from edgenas.latency import LatencyTable
from edgenas.space import Architecture, BlockSpec, SearchSpace


@dataclass(frozen=True)
class DrawnBlock:
    """One block. ms: as the table has it within a network. share: of all blocks' milliseconds, in 0..1.

    kernel: side of its largest kernel. expansion: hidden by input channels; 0 where nothing is expanded.
    marks: what else it has.
    """

    kind: str
    kernel: int
    expansion: float
    resolution: int
    in_channels: int
    out_channels: int
    marks: tuple[str, ...]
    ms: float
    share: float
    macs: int

    @property
    def label(self) -> str:
        """What fits into the drawing, such as `5x5 x4`."""
        if self.kind == "head":
            return "head"
        return f"{self.kernel}×{self.kernel}" + (f" ·{self.expansion:g}" if self.expansion else "")

    @property
    def title(self) -> str:
        """All of it, in words."""
        expanded = f", expanded {self.expansion:g} times" if self.expansion else ""
        marks = "".join(f", {mark}" for mark in self.marks)
        return (
            f"{self.kind}, kernel {self.kernel}×{self.kernel}{expanded}{marks}: {self.in_channels} to {self.out_channels} "
            f"channels at {self.resolution} px, {self.ms:.4f} ms ({self.share:.1%}), {self.macs / 1e6:.2f} million "
            "multiply-accumulates"
        )


@dataclass(frozen=True)
class DrawnNetwork:
    """blocks: in order of computation. overhead_ms: of one inference, whatever the network. total_ms: predicted."""

    architecture: Architecture
    blocks: tuple[DrawnBlock, ...]
    overhead_ms: float
    total_ms: float

    @property
    def kernels(self) -> set[int]:
        return {block.kernel for block in self.blocks}


def draw_network(space: SearchSpace, architecture: Architecture, table: LatencyTable) -> DrawnNetwork:
    """table: of the space, see `LatencyTable.covers`."""
    block_ms = dict(zip((spec.key for spec in space.distinct_blocks), map(float, table.costs(space)), strict=True))
    specs = space.blocks(architecture)
    whole = sum(block_ms[spec.key] for spec in specs)
    return DrawnNetwork(
        architecture,
        tuple(_drawn(spec, block_ms[spec.key], block_ms[spec.key] / whole) for spec in specs),
        table.calibration(space).overhead_ms,
        table.predict_one(space, architecture),
    )


def _drawn(spec: BlockSpec, ms: float, share: float) -> DrawnBlock:
    expansion = round(spec.mid_channels / spec.in_channels, 2) if spec.op in ("mbconv", "fused") else 0.0
    before = f"depthwise {spec.start}×{spec.start} before" if spec.start and spec.kernel else ""
    marks = [before, "stride 2" * (spec.stride > 1), "squeeze and excitation" * spec.se, "residual" * spec.residual,
             spec.activation]  # fmt: skip
    return DrawnBlock(
        kind=spec.op,
        kernel=max(spec.kernel, spec.start),
        expansion=expansion,
        resolution=spec.resolution,
        in_channels=spec.in_channels,
        out_channels=spec.out_channels,
        marks=tuple(filter(None, marks)),
        ms=ms,
        share=share,
        macs=cost.macs([spec]),
    )
