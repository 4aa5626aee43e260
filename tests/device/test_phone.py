"""A phone that times models by LiteRT's benchmark_model: here a stand-in for adb, and a program that prints what it prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgenas.device import Execution, load_device, phone_target
from edgenas.device.phone import least_ms
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency.microbenchmark import empty_model_bytes, model_bytes
from edgenas.pipeline.profile import profile_device
from edgenas.space import BlockSpec
from tests.conftest import make_micro_space

ADB = """#!/bin/sh
echo "$*" >>{root}/log
test "$1" != -s || {{ test "$2" = R58 || {{ echo "adb: device '$2' not found" >&2; exit 1; }}; shift 2; }}
here() {{ echo "$1" | sed 's,/data/local/tmp,{root}/phone,g'; }}
verb=$1; shift
case $verb in
  push) while test $# -gt 1; do cp "$1" "$(here "$(eval echo \\${{$#}})")" || exit 1; shift; done ;;
  shell) PATH={root}/bin:$PATH sh -c "$(here "$*")" >{root}/said; status=$?
         sed 's,{root}/phone,/data/local/tmp,g' {root}/said; exit $status ;;
esac
"""

PROGRAM = """#!/bin/sh
for word in "$@"; do case $word in
  --graph=*) graph=${word#--graph=} ;;
  --use_gpu=true) delegate=GPU ;;
  --use_nnapi=true) delegate=NNAPI ;;
esac; done
test -f "$graph" || { echo "ERROR: Could not open '$graph'."; echo "ERROR: Benchmarking failed."; exit 1; }
us=$(( 100 + $(wc -c <"$graph") / 10 ))
echo "INFO: STARTING!"
echo "INFO: Graph: [$graph]"
whole="and the model graph will be completely executed by the delegate."
test -z "$delegate" || echo "INFO: Explicitly applied $delegate delegate, $whole"
echo "INFO: Initialized session in 1.5ms."
echo "INFO: count=3 first=99999 curr=99999 min=99999 max=99999 avg=99999 std=0"
echo
echo "INFO: count=10 first=$((us + 9)) curr=$((us + 2)) min=$us max=$((us + 9)) avg=$us.5 std=3 p5=$us median=$us p95=$us"
echo
echo "INFO: Inference timings in us: Init: 1500, First inference: 99999, Warmup (avg): 99999, Inference (avg): $us.5"
"""

GETPROP = """case $1 in
  ro.product.manufacturer) echo Acme ;; ro.product.model) echo "Phone 4" ;; ro.soc.model) echo SM8150 ;;
  ro.build.version.release) echo 14 ;; esac
"""

LIGHT, HEAVY = BlockSpec("conv", 8, 3, 0, 8, kernel=3), BlockSpec("conv", 8, 16, 0, 64, kernel=5)


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program on this machine; there is a phone."""
    (tmp_path / "phone").mkdir()
    (tmp_path / "bin").mkdir()
    for name, text in (("bin/getprop", f"#!/bin/sh\n{GETPROP}"), ("bin/uname", "#!/bin/sh\necho aarch64\n"),
                       ("adb", ADB.format(root=tmp_path)), ("benchmark_model", PROGRAM)):  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "benchmark_model").chmod(0o644)  # as it was downloaded
    return tmp_path / "benchmark_model"


def expected_ms(model: bytes) -> float:
    return (100 + len(model) // 10) / 1000


@pytest.mark.parametrize("runtime", ["litert", "litert-gpu", "litert-nnapi"])
def test_models_are_timed_and_nothing_is_left(binary: Path, tmp_path: Path, runtime: str) -> None:
    models = {"light": model_bytes([LIGHT], "litert"), "heavy": model_bytes([HEAVY], "litert"),
              " empty": empty_model_bytes("litert")}  # fmt: skip
    with phone_target("adb:R58", runtime, binary) as target:
        times = target.time(models, Execution(runtime, 2), rounds=3)
        about = target.environment(runtime)
        with pytest.raises(EdgeNASError, match="times models, and does not run them"):
            target.run(models["light"], np.zeros(1), Execution(runtime))
    assert times == {name: [expected_ms(content)] * 3 for name, content in models.items()}
    assert (about.cpu, about.machine, about.system) == ("Acme Phone 4, SM8150", "aarch64", "Android 14")
    assert about.runtime_version is not None and about.runtime_version.startswith("benchmark_model ")
    assert not list((tmp_path / "phone").iterdir())
    log = (tmp_path / "log").read_text()
    assert all(line.startswith("-s R58 ") for line in log.splitlines() if line[:1] == "-")
    assert log.count("--num_threads=2") == 9
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


PARTLY = """INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate \
w/ 2 delegate kernels.
INFO: count=50 first=1 curr=1 min=52933 max=2 avg=5.3e+04 std=1
INFO: Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, Inference (avg): 53000
"""


def test_what_the_program_prints() -> None:
    assert least_ms(PARTLY, must_be_whole=False) == 52.933
    with pytest.raises(EdgeNASError, match="does not compute all of the model"):
        least_ms(PARTLY, must_be_whole=True)
    slow = "count=1 curr=1357602 p5=1357602\nInference timings in us: Init: 1"
    assert least_ms(slow, must_be_whole=False) == 1357.602
    with pytest.raises(EdgeNASError, match=r"did not say how long a model took: Segmentation fault\."):
        least_ms("INFO: STARTING!\nSegmentation fault", must_be_whole=False)
