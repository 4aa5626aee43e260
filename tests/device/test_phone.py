"""A phone that times and runs models by LiteRT's benchmark_model: here a stand-in for adb and for the program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgenas.device import Execution, OperatorTime, load_device, open_session, phone_target
from edgenas.device.benchmark_model import is_whole, least_ms, read_profile, why_not_whole
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency.microbenchmark import empty_model_bytes, model_bytes
from edgenas.pipeline.profile import profile_device
from edgenas.space import BlockSpec
from tests.conftest import make_micro_space
from tests.phone import PARTLY, binary

__all__ = ["binary"]  # a fixture

LIGHT, HEAVY = BlockSpec("conv", 8, 3, 0, 8, kernel=3), BlockSpec("conv", 8, 16, 0, 64, kernel=5)


def expected_ms(model: bytes) -> float:
    return (100 + len(model) // 10) / 1000


@pytest.mark.parametrize("runtime", ["litert", "litert-gpu", "litert-nnapi"])
def test_models_are_timed_and_nothing_is_left(binary: Path, tmp_path: Path, runtime: str) -> None:
    models = {"light": model_bytes([LIGHT], "litert"), "heavy": model_bytes([HEAVY], "litert"),
              " empty": empty_model_bytes("litert")}  # fmt: skip
    with phone_target("adb:R58", runtime, binary) as target:
        times = target.time(models, Execution(runtime, 2), rounds=3)
        about = target.environment(runtime)
    assert times == {name: [expected_ms(content)] * 3 for name, content in models.items()}
    assert (about.cpu, about.machine, about.system) == ("Acme Phone 4, SM8150", "aarch64", "Android 14")
    assert about.runtime_version is not None and about.runtime_version.startswith("benchmark_model ")
    assert not list((tmp_path / "phone").iterdir())
    log = (tmp_path / "log").read_text()
    assert all(line.startswith("-s R58 ") for line in log.splitlines() if line[:1] == "-")
    assert log.count("--num_threads=2") == 9 and "profiling" not in log
    assert {"litert": "--use_xnnpack=true", "litert-gpu": "--use_gpu=true", "litert-nnapi": "--use_nnapi=true"}[runtime] in log


def test_a_device_is_profiled(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = make_micro_space()
    table = profile_device("android", space, on="adb", binary=binary, runtime="litert-gpu", threads=1, seconds=2.0)
    assert table.covers(space)
    assert table.provenance.execution_providers == ("GPU delegate",)
    assert (tmp_path / "devices" / "android" / "litert-gpu-fp32-1t.json").exists()
    assert not list((tmp_path / "phone").iterdir())


def test_what_a_phone_needs(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = make_micro_space()
    with pytest.raises(EdgeNASError, match="is not this machine: measure it over a USB cable"):
        load_device("android").require_reach(remotely=False)
    with pytest.raises(UsageError, match="name it with `binary` benchmark_model"):
        profile_device("android", space, on="adb")
    with pytest.raises(UsageError, match="There is no program"):
        profile_device("android", space, on="adb", binary=tmp_path / "none")
    with pytest.raises(UsageError, match="`binary` is what a phone runs"):
        profile_device("cpu", space, on="local", binary=binary)
    with pytest.raises(UsageError, match="onnxruntime does not run on a phone by benchmark_model: choose `runtime` litert-gpu"):
        profile_device("android", space, on="adb", binary=binary, runtime="onnxruntime")
    with pytest.raises(UsageError, match="litert-gpu runs on a phone: add `on` adb"):
        profile_device("cpu", space, runtime="litert-gpu")
    with pytest.raises(UsageError, match="serial number"):
        profile_device("android", space, on="adb:-s x", binary=binary)
    with pytest.raises(EdgeNASError, match=r"adb cannot reach the phone .*'R99' not found"):
        profile_device("android", space, on="adb:R99", binary=binary)


def test_a_program_that_does_not_run(binary: Path, tmp_path: Path) -> None:
    binary.write_text("#!/bin/sh\necho 'cannot execute: wrong architecture'; exit 126\n")
    with phone_target("adb", "litert", binary) as target, pytest.raises(EdgeNASError, match="could not do what it was told"):
        target.time({"light": model_bytes([LIGHT], "litert")}, Execution("litert"))
    assert not list((tmp_path / "phone").iterdir())


def test_models_are_run_and_profiled(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image by the program, a few at a time; the profile says where the time goes."""
    monkeypatch.setattr("edgenas.device.phone.AT_ONCE", 2)
    model = model_bytes([LIGHT], "litert")
    images = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(np.float32)
    here = open_session(Execution("litert"), model)
    with phone_target("adb", "litert", binary) as target:
        seen = target.examine(model, images, b"", Execution("litert"))
        with pytest.raises(EdgeNASError, match="leave out `sustained`"):
            target.sustain(model, Execution("litert"), 1.0)
    assert np.array_equal(seen.outputs, np.concatenate([here.run(images[i : i + 1]) for i in range(3)]))
    assert seen.operators == (OperatorTime("Convolution (NHWC, F32) GEMM", 5, 0.75),
                              OperatorTime("Convolution (NHWC, F32) DWConv", 3, 0.25))  # fmt: skip
    assert (seen.environment.cpu, seen.memory_bytes) == ("Acme Phone 4, SM8150", None)
    with phone_target("adb", "litert-gpu", binary) as target:
        (whole,) = target.examine(model, images[:1], b"", Execution("litert-gpu")).operators
    assert whole.operator == "TfLiteGpuDelegateV2"
    assert not list((tmp_path / "phone").iterdir())

    binary.write_text(binary.read_text().replace("--output_filepath", "--unknown"))
    with phone_target("adb", "litert", binary) as target, pytest.raises(EdgeNASError, match="take a newer benchmark_model"):
        target.run(model, images, Execution("litert"))


@pytest.mark.parametrize(("runtime", "left"), [
    ("litert-gpu", r"leaves 1 x CONV_2D, 2 x MEAN \(OP is supported, but tensor type/shape isn't compatible\) to the CPU"),
    ("litert-nnapi", "leaves 1 x CONV_2D, 2 x MEAN to the CPU"),
])  # fmt: skip
def test_what_a_delegate_leaves_to_the_cpu_is_named(binary: Path, runtime: str, left: str) -> None:
    binary.write_text(binary.read_text().replace(*PARTLY))
    model = model_bytes([LIGHT], "litert")
    with phone_target("adb", runtime, binary) as target:
        assert target.time({" empty": model}, Execution(runtime), rounds=1)
        with pytest.raises(EdgeNASError, match=left):
            target.time({"light": model}, Execution(runtime), rounds=1)
        with pytest.raises(EdgeNASError, match=left):
            target.examine(model, np.zeros((1, 8, 8, 3), np.float32), b"", Execution(runtime))


def test_what_the_program_prints() -> None:
    said = """INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 delegate kernels.
INFO: count=50 first=1 curr=1 min=52933 max=2 avg=5.3e+04 std=1
INFO: Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, Inference (avg): 53000
"""  # noqa: E501
    assert least_ms(said) == 52.933
    assert is_whole(said, Execution("litert")) and not is_whole(said, Execution("litert-gpu"))
    assert "leaves operators, which it does not name, to the CPU" in why_not_whole(said, said)
    assert least_ms("count=1 curr=1357602 p5=1357602\nInference timings in us: Init: 1") == 1357.602
    with pytest.raises(EdgeNASError, match=r"did not say how long a model took: Segmentation fault\."):
        least_ms("INFO: STARTING!\nSegmentation fault")


INSIDE = """Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t   TfLiteXNNPackDelegate\t            0.000\t    3.400\t    3.300\t 94.286%\t 94.286%\t     0.000\t        1\t[block1.add]:9
\t                    MEAN\t            3.300\t    0.200\t    0.200\t  5.714%\t100.000%\t     0.000\t        1\t[head.pool]:8

============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]
\t   TfLiteXNNPackDelegate\t        1\t     3.300\t    94.286%\t    94.286%\t     0.000\t        1
\t                    MEAN\t        1\t     0.200\t     5.714%\t   100.000%\t     0.000\t        1

Timings (microseconds): count=50 first=3600 curr=3500 min=3400 max=3600 avg=3500 std=50
Memory (bytes): count=0
2 nodes observed

Delegate internal: 
============================== Run Order ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t        DelegateOpInvoke\t            0.000\t    2.000\t    2.000\t 62.500%\t 62.500%\t     0.000\t        1\t\
Delegate/Convolution (NHWC, F32) GEMM:0
\t        DelegateOpInvoke\t            2.000\t    0.500\t    0.500\t 31.250%\t 93.750%\t     0.000\t        2\t\
Delegate/Convolution (NHWC, F32) GEMM:1
\t        DelegateOpInvoke\t            3.000\t    0.125\t    0.125\t  6.250%\t100.000%\t     0.000\t        1\t\
Delegate/Add (ND, F32):2

============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]
\t        DelegateOpInvoke\t        3\t     3.125\t   100.000%\t   100.000%\t     0.000\t        4

"""
"""As TensorFlow 2.10 to 2.13 printed it, with XNNPACK's operators in a part of their own."""


def test_operators_within_a_delegate() -> None:
    assert read_profile(INSIDE) == (
        OperatorTime("Convolution (NHWC, F32) GEMM", 3, 3.0),
        OperatorTime("MEAN", 1, 0.2),
        OperatorTime("Add (ND, F32)", 1, 0.125),
    )
    before, _, _ = INSIDE.partition("Delegate internal")  # until 2.9
    assert [time.operator for time in read_profile(before)] == ["TfLiteXNNPackDelegate", "MEAN"]
    assert read_profile("INFO: STARTING!") == ()
