from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.cost import block_macs
from edgenas.device import load_device
from edgenas.device.profile import device_folders
from edgenas.errors import EdgeNASError, UsageError
from edgenas.space import BlockSpec
from tools import fit_estimates

GOOD = 'name = "box"\ndescription = "A box."\narch = "x86_64"\nruntime = "onnxruntime"\nthreads = 1\n'
ESTIMATE = """
[estimate]
dense_ms_per_mmac = 0.1
depthwise_ms_per_mmac = 0.5
block_ms = 0.2
relative_interval = 1
method = "by hand"
source = "nowhere"
date = "2026-11-22"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty ./devices."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    return tmp_path / "devices"


def test_every_shipped_profile_loads(folder: Path) -> None:
    names = sorted(path.stem for path in device_folders()[1].glob("*.toml"))
    assert names == ["android", "cpu", "jetson-orin", "mobile-gpu", "nuc", "pi-zero-2w", "pi4", "pi5"]
    assert [name for name in names if load_device(name).estimate] == ["mobile-gpu", "pi-zero-2w", "pi4", "pi5"]


def test_the_users_own_profile_goes_before_the_shipped_one(folder: Path) -> None:
    (folder / "cpu.toml").write_text(GOOD.replace("box", "cpu"))
    assert load_device("cpu").arch == "x86_64"
    assert load_device("pi4").name == "pi4"


def test_an_unknown_device_names_the_nearest(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Unknown device 'pi6'. Did you mean 'pi\d'\? Known: android, cpu, .*, pi4, pi5\."):
        load_device("pi6")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace('arch = "x86_64"\n', ""), "box.toml: the field arch is missing"),
        (GOOD.replace("threads = 1", 'threads = "1"'), "box.toml: threads must be a whole number"),
        (GOOD.replace("threads = 1", "threads = true"), "box.toml: threads must be a whole number"),
        (GOOD.replace("threads = 1", "threads = 0"), "box.toml: threads must be a whole number from 1"),
        (GOOD.replace("onnxruntime", "onxruntime"), "box.toml: Unknown runtime 'onxruntime'. Did you mean 'onnxruntime'"),
        (GOOD.replace('"box"', '"crate"'), "box.toml: name is 'crate'"),
        (GOOD + 'reach = "remotely"\n', "box.toml: Unknown reach 'remotely'. Did you mean 'remote'"),
        (GOOD + "thread = 2\n", "box.toml: Unknown field 'thread'. Did you mean 'threads'"),
        (GOOD + "estimate = 3\n", "box.toml: estimate must be a table"),
        (GOOD + ESTIMATE.replace("block_ms = 0.2", ""), "box.toml: the field estimate.block_ms is missing"),
        (GOOD + ESTIMATE.replace("0.2", '"x"'), "box.toml: estimate.block_ms must be a number"),
        (GOOD + "= 3", "box.toml is no TOML"),
        (GOOD + "cores = 4\n", "box.toml: cores must be text that lists cores, such as 4-7 or 0,2-3"),
        (GOOD + 'cores = "7-4"\n', "box.toml: cores must be text that lists cores"),
        (GOOD + 'cores = "0-999999999"\n', "box.toml: cores must be text that lists cores"),
    ],
)
def test_a_wrong_profile_names_file_and_field(folder: Path, text: str, words: str) -> None:
    (folder / "box.toml").write_text(text)
    with pytest.raises(EdgeNASError) as caught:
        load_device("box")
    assert words in str(caught.value)


def test_a_profile_names_the_cores_that_are_timed(folder: Path) -> None:
    (folder / "box.toml").write_text(GOOD + 'cores = "4-7"\n')
    execution = load_device("box").execution(threads=4)
    assert execution.cores == "4-7" and str(execution) == "onnxruntime, 4 threads on cores 4-7"
    assert execution == replace(execution, cores=None), "a device's, not what is executed"
    with pytest.raises(UsageError, match="5 threads cannot run at once on cores 4-7"):
        load_device("box").execution(threads=5)


def test_a_device_that_is_elsewhere_says_how_to_measure_it(folder: Path) -> None:
    with pytest.raises(EdgeNASError, match=r"pi4 is not this machine: .*`on` ssh://user@host.*`bundle` FILE\.zip"):
        load_device("pi4").require_reach(remotely=False)
    with pytest.raises(EdgeNASError, match=r"mobile-gpu is not this machine: .*`on` browser"):
        load_device("mobile-gpu").require_reach(remotely=False)
    load_device("mobile-gpu").require_reach(remotely=True)
    load_device("pi4").require_reach(remotely=True)
    load_device("cpu").require_reach(remotely=False)
    load_device("cpu").require_arch("riscv64")
    load_device("pi4").require_arch("armv7l")
    with pytest.raises(EdgeNASError, match="pi4 is aarch64 or armv7l, but what answers is x86_64"):
        load_device("pi4").require_arch("x86_64")


def test_an_estimate_by_hand(folder: Path) -> None:
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    spec = BlockSpec("mbconv", 10, 8, 24, 8, kernel=3, residual=True)
    dense, depthwise = 2 * 100 * 8 * 24 / 1e6, 100 * 24 * 9 / 1e6
    assert load_device("box").estimate.block(spec) == pytest.approx(0.1 * dense + 0.5 * depthwise + 0.2)
    assert load_device("box").estimate.block(BlockSpec("head", 4, 8, 0, 10)) == pytest.approx(0.1 * 80 / 1e6 + 0.2)


@pytest.mark.parametrize("device", fit_estimates.DEVICES, ids=lambda device: device.name)
def test_a_shipped_estimate_is_what_the_tool_finds(folder: Path, shared: Path, device: fit_estimates.Device) -> None:
    found, estimate = fit_estimates.fit(device, shared), load_device(device.name).estimate
    for name in ("dense_ms_per_mmac", "depthwise_ms_per_mmac", "block_ms"):
        assert getattr(estimate, name) == pytest.approx(getattr(found, name), rel=5e-3)
    for error in (*found.table_error, *found.errors.values(), *found.left_out.values()):
        if abs(error) > 1e-9:
            assert f"{100 * abs(error):.1f}" in estimate.method
        assert abs(error) < estimate.relative_interval


def test_what_int8_saves_is_what_was_published(folder: Path, shared: Path) -> None:
    (pi4, _), estimate = fit_estimates.DEVICES, load_device("pi4").estimate.int8
    ratios = fit_estimates.int8_ratios(pi4, shared)
    assert len(ratios) == 4 and estimate.times_fp32 == pytest.approx(fit_estimates.geometric_mean(ratios.values()), rel=5e-3)
    assert all(f"{ratio:.3f}" in estimate.method for ratio in ratios.values())
    assert all(abs(np.log(ratio / estimate.times_fp32)) < np.log(1 + estimate.relative_interval) for ratio in ratios.values())


@pytest.mark.parametrize("name", fit_estimates.SCALED)
def test_a_scaled_estimate_is_what_the_tool_finds(folder: Path, shared: Path, name: str) -> None:
    estimate, ratios = load_device(name).estimate, list(fit_estimates.SCALED[name].values())
    found = estimate.dense_ms_per_mmac, estimate.depthwise_ms_per_mmac, estimate.block_ms
    assert found == pytest.approx(fit_estimates.scaled(name, shared), rel=5e-3)
    factor = found[0] / load_device("pi4").estimate.dense_ms_per_mmac
    assert all(abs(ratio / factor - 1) < 0.15 for ratio in ratios)  # what is published agrees


def test_a_device_without_an_estimate_names_the_command_that_measures_it(folder: Path) -> None:
    for name in ("android", "jetson-orin", "nuc"):
        assert f"`edgenas profile --device {name} --on " in load_device(name).description


@pytest.mark.parametrize(
    ("name", "mmacs"),
    [("MobileNetV1 1.0", 569), ("MobileNetV2 1.0", 300), ("MobileNetV3-Large", 219), ("MobileNetV3-Small", 56),
     ("EfficientNet-Lite0", 407), ("EfficientNet-Lite4", 2554)],
)  # fmt: skip
def test_the_published_networks_have_the_published_size(name: str, mmacs: float) -> None:
    """Per their papers and READMEs; Lite0's counts the resize too."""
    assert sum(map(block_macs, fit_estimates.NETWORKS[name])) / 1e6 == pytest.approx(mmacs, rel=0.06)


def test_the_estimates_agree_with_published_latencies(folder: Path) -> None:
    """XNNPACK's README, 32 and 64 bit; EfficientNet-Lite's README."""
    for device, name, low_ms, high_ms in (("pi4", "MobileNetV3-Large", 38, 40), ("mobile-gpu", "EfficientNet-Lite4", 21, 21)):
        latency_ms = sum(map(load_device(device).estimate.block, fit_estimates.NETWORKS[name]))
        assert 0.9 * low_ms < latency_ms < 1.1 * high_ms
