"""Where the estimates in devices/*.toml come from: fits them to published latencies and prints their numbers and errors.

python tools/fit_estimates.py DATA      DATA/device_tables/*.csv; their sources are named there

Boards of which too little is published are taken as so many times as fast or slow as the Raspberry Pi 4: see `SCALED`.

A block costs `unit_ms * (dense + ratio * depthwise) + block_ms`, with its dense and depthwise convolutions in millions of
multiply-accumulates. A per-block table tells the ratio: how much dearer depthwise ones are. Networks published whole tell the
other two, since blocks that were timed one by one do not add up to a network.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.cost import block_macs
from edgenas.space import BlockSpec

# FBNet's stages of equal channels and stride 1 (arXiv:1812.03443): first layer -> channels, pixels. Layer 0 is left out: its 16
# channels at 112 pixels are listed, on both devices, at a third of what such work takes in the other layers.
FBNET = {2: (24, 56), 6: (32, 28), 10: (64, 14), 14: (112, 14), 18: (184, 7)}
FBNET_OPS = [(f"k{kernel}_e{expand}", kernel, expand) for kernel in (3, 5) for expand in (1, 3, 6)]


@dataclass(frozen=True)
class Device:
    """table: its rows in fbnet_lut_recovered.csv. published: how its rows in pi_and_phone_latency_published.csv begin."""

    name: str
    table: str
    published: str
    precision: str


DEVICES = (Device("pi4", "raspi4", "RPi 4", "fp32"), Device("mobile-gpu", "pixel3", "Pixel 4 GPU", "fp16"))

SCALED = {
    # aallan/benchmarking-ml-on-the-edge, README: SSD MobileNetV2 and SSD MobileNetV1 0.75 at 300 px in TensorFlow Lite.
    "pi5": {"SSD MobileNetV2": 23.5 / 112.6, "SSD MobileNetV1 0.75": 16.9 / 82.7},
    # XNNPACK's README of 2020 (0085ae3), RPi 3+ by RPi 4: the same four cores (Cortex-A53) at 1.4 GHz, here at 1 GHz.
    "pi-zero-2w": {"MobileNetV1 1.0": 1.4 * 115 / 75, "MobileNetV2 1.0": 1.4 * 79 / 44, "MobileNetV3-Large": 1.4 * 67 / 41,
                   "MobileNetV3-Small": 1.4 * 23 / 14},
}  # fmt: skip
"""How many times as long as a Raspberry Pi 4 each of the published networks takes."""


def scaled(device: str, data: Path) -> tuple[float, float, float]:
    """dense_ms_per_mmac, depthwise_ms_per_mmac and block_ms: those of pi4, times the geometric mean of the ratios."""
    base, factor = fit(DEVICES[0], data), geometric_mean(SCALED[device].values())
    return factor * base.dense_ms_per_mmac, factor * base.depthwise_ms_per_mmac, factor * base.block_ms


@dataclass(frozen=True)
class Fit:
    """ms per million dense and depthwise multiply-accumulates, and per block; relative errors of the published networks.

    errors: of the fit to all. left_out: each network as a fit to the others predicts it; empty where too few are published.
    table_error: mean and worst, of the per-block table by a fit of its own.
    """

    dense_ms_per_mmac: float
    depthwise_ms_per_mmac: float
    block_ms: float
    table_error: tuple[float, float]
    errors: dict[str, float]
    left_out: dict[str, float]


def fit(device: Device, data: Path) -> Fit:
    ratio, table_error = depthwise_ratio(device.table, data)
    names, measured_ms = published(device, data)
    work = np.array([network_work(NETWORKS[name]) for name in names])
    columns = np.stack([work[:, 0] + ratio * work[:, 1], work[:, 2]], axis=1)
    unit_ms, block_ms = relative_least_squares(columns, measured_ms)
    errors = columns @ [unit_ms, block_ms] / measured_ms - 1
    left_out = {}
    for name in dict.fromkeys(names) if len(set(names)) > 2 else ():
        held = np.array(names) == name
        predicted = columns[held] @ relative_least_squares(columns[~held], measured_ms[~held])
        left_out[name] = float((predicted / measured_ms[held] - 1).mean())
    by_name = {name: float(errors[np.array(names) == name].mean()) for name in names}
    return Fit(unit_ms, ratio * unit_ms, block_ms, table_error, by_name, left_out)


def depthwise_ratio(table: str, data: Path) -> tuple[float, tuple[float, float]]:
    """How many dense multiply-accumulates take as long as a depthwise one; mean and worst error of the fit that says so."""
    with (data / "device_tables" / "fbnet_lut_recovered.csv").open() as file:
        rows = {(row["layer"], row["op"]): float(row["latency_ms_relative_to_skip"])
                for row in csv.DictReader(file) if row["device"] == table}  # fmt: skip
    work, measured_ms = [], []
    for layer, (channels, pixels) in FBNET.items():
        for op, kernel, expand in FBNET_OPS:
            area = expand * channels * pixels**2 / 1e6
            work.append((2 * channels * area, kernel**2 * area, 1.0))  # FBNet expands even by 1
            measured_ms.append(rows[str(layer), op])
    coefficients = relative_least_squares(np.array(work), np.array(measured_ms))
    errors = np.abs(work @ coefficients / measured_ms - 1)
    return coefficients[1] / coefficients[0], (float(errors.mean()), float(errors.max()))


def published(device: Device, data: Path) -> tuple[list[str], np.ndarray]:
    """Names and ms of the networks that were published whole."""
    with (data / "device_tables" / "pi_and_phone_latency_published.csv").open() as file:
        rows = [(row["model"].partition(" (")[0], float(row["latency_ms"])) for row in csv.DictReader(file)
                if row["device"].startswith(device.published) and row["precision"] == device.precision]  # fmt: skip
    names, measured_ms = zip(*rows, strict=True)
    return list(names), np.array(measured_ms)


def int8_ratios(device: Device, data: Path) -> dict[str, float]:
    """What each network that was published in both takes in int8, as so many times what it takes in float32."""
    with (data / "device_tables" / "pi_and_phone_latency_published.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["device"].startswith(device.published)]
    ms = {(row["precision"], f"{row['model']} on {row['device']}"): float(row["latency_ms"]) for row in rows}
    return {name: ms["int8", name] / ms["fp32", name] for precision, name in ms if precision == "int8"}


def geometric_mean(values: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(values)))))


def relative_least_squares(columns: np.ndarray, measured_ms: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(columns / measured_ms[:, None], np.ones(len(measured_ms)), rcond=None)[0]


def network_work(blocks: Sequence[BlockSpec]) -> tuple[float, float, float]:
    """Dense and depthwise multiply-accumulates in millions, and the number of blocks."""
    depthwise = sum(s.out_resolution**2 * s.mid_channels * s.kernel**2 for s in blocks if s.op == "mbconv") / 1e6
    return sum(map(block_macs, blocks)) / 1e6 - depthwise, depthwise, len(blocks)


# ---- the published networks ----


def network(
    pixels: int, stem: int, rows: Sequence[tuple[int, int, int, bool, str, int]], last: int, mix: int, activation: str
) -> list[BlockSpec]:
    """rows: kernel, expanded and output channels, SE, activation, stride. last: of the 1x1 convolution, if any."""
    blocks = [BlockSpec("conv", pixels, 3, 0, stem, kernel=3, stride=2, activation=activation)]
    for kernel, mid, out, se, act, stride in rows:
        before = blocks[-1]
        blocks.append(BlockSpec("mbconv", before.out_resolution, before.out_channels, mid, out, kernel, stride, act, se))
    pixels, channels = blocks[-1].out_resolution, blocks[-1].out_channels
    if last:
        blocks.append(BlockSpec("conv", pixels, channels, 0, last, activation=activation))
    return [*blocks, BlockSpec("head", pixels, last or channels, mix, 1000, activation=activation)]


def mobilenet_v1() -> list[BlockSpec]:
    outs = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
    rows = [(3, before, out, False, "relu6", 1 + (out > before > 32)) for before, out in zip((32, *outs), outs, strict=False)]
    return network(224, 32, rows, 0, 0, "relu6")


def mobilenet_v2(stages: Sequence[tuple[int, int, int, int, int]], pixels: int = 224) -> list[BlockSpec]:
    """Also EfficientNet-Lite. stages: kernel, expand ratio, output channels, blocks, stride of the first."""
    rows, channels = [], 32
    for kernel, expand, out, repeats, stride in stages:
        for i in range(repeats):
            rows.append((kernel, expand * channels, out, False, "relu6", stride if i == 0 else 1))
            channels = out
    return network(pixels, 32, rows, 1280, 0, "relu6")


V3_LARGE = (
    (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hswish", 2), (3, 200, 80, False, "hswish", 1), (3, 184, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1), (3, 480, 112, True, "hswish", 1), (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2), (5, 960, 160, True, "hswish", 1), (5, 960, 160, True, "hswish", 1),
)  # fmt: skip
V3_SMALL = (
    (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hswish", 2), (5, 240, 40, True, "hswish", 1), (5, 240, 40, True, "hswish", 1),
    (5, 120, 48, True, "hswish", 1), (5, 144, 48, True, "hswish", 1), (5, 288, 96, True, "hswish", 2),
    (5, 576, 96, True, "hswish", 1), (5, 576, 96, True, "hswish", 1),
)  # fmt: skip
V2 = ((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (3, 6, 32, 3, 2), (3, 6, 64, 4, 2), (3, 6, 96, 3, 1), (3, 6, 160, 3, 2),
      (3, 6, 320, 1, 1))  # fmt: skip
LITE0 = ((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1), (5, 6, 192, 4, 2),
         (3, 6, 320, 1, 1))  # fmt: skip
LITE4 = ((3, 1, 24, 1, 1), (3, 6, 32, 4, 2), (5, 6, 56, 4, 2), (3, 6, 112, 6, 2), (5, 6, 160, 6, 1), (5, 6, 272, 8, 2),
         (3, 6, 448, 1, 1))  # fmt: skip

NETWORKS = {
    "MobileNetV1 1.0": mobilenet_v1(),
    "MobileNetV2 1.0": mobilenet_v2(V2),
    "MobileNetV3-Large": network(224, 16, V3_LARGE, 960, 1280, "hswish"),
    "MobileNetV3-Small": network(224, 16, V3_SMALL, 576, 1024, "hswish"),
    "EfficientNet-Lite0": mobilenet_v2(LITE0),
    "EfficientNet-Lite4": mobilenet_v2(LITE4, 300),
}


def main() -> None:
    for device in DEVICES:
        found = fit(device, Path(sys.argv[1]))
        print(f"{device.name}\ndense_ms_per_mmac = {found.dense_ms_per_mmac:.3g}\n"
              f"depthwise_ms_per_mmac = {found.depthwise_ms_per_mmac:.3g}\nblock_ms = {found.block_ms:.3g}")  # fmt: skip
        print("table: mean error {:.1%}, worst {:.1%}".format(*found.table_error))
        for name, error in found.errors.items():
            left_out = f", left out {found.left_out[name]:+.1%}" if found.left_out else ""
            print(f"{name}: {error:+.1%}{left_out}")
        if ratios := int8_ratios(device, Path(sys.argv[1])):
            print(f"int8: times_fp32 = {geometric_mean(ratios.values()):.3g}")
            print("\n".join(f"int8, {name}: {ratio:.3f}" for name, ratio in ratios.items()))
    for name in SCALED:
        numbers = zip(("dense_ms_per_mmac", "depthwise_ms_per_mmac", "block_ms"), scaled(name, Path(sys.argv[1])), strict=True)
        print(f"{name}\n" + "\n".join(f"{field} = {value:.3g}" for field, value in numbers))


if __name__ == "__main__":
    main()
