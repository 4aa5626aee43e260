"""One contract for every latency target, and the timer as a program."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.device import (
    Execution,
    Stopwatch,
    device_sustain,
    device_timer,
    get_runtime,
    open_session,
    python_target,
    tflite_runtime_python,
)
from edgenas.device.runtimes import OPENERS, PYTHON
from edgenas.device.targets import JobTarget, LatencyTarget, timing_job
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency.microbenchmark import REFERENCE, empty_model_bytes, model_bytes
from edgenas.space import BlockSpec
from tests.conftest import ORT

LIGHT = (BlockSpec("conv", 8, 3, 0, 8, kernel=3),)
HEAVY = (BlockSpec("conv", 32, 16, 0, 64, kernel=5),)
WIDE = (BlockSpec("conv", 4, 512, 0, 512, kernel=3),)

PROVIDERS = {
    "onnxruntime": "CPUExecutionProvider", "litert": "XNNPACK", "onnxruntime-web-wasm": "wasm",
    "openvino": "OpenVINO CPU", "opencv": "OpenCV DNN", "ncnn": "ncnn CPU",
}  # fmt: skip

TARGETS = {"python": python_target, "browser": None}
MEMBERS = [
    *(("python", runtime) for runtime in ("onnxruntime", "litert", "openvino", "opencv", "ncnn")),
    ("browser", "onnxruntime-web-wasm"),
]


@pytest.fixture
def target(request: pytest.FixtureRequest) -> LatencyTarget:
    return request.getfixturevalue("page").target if request.param == "browser" else TARGETS[request.param]()


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> str:
    """Its name; the test is skipped where it is not installed."""
    found = get_runtime(request.param)
    if found.where == PYTHON and found.python is None:
        pytest.skip(f"{found.name} is not installed: pip install {found.package}")
    return found.name


def images_for(runtime: str, channels: int, size: int) -> np.ndarray:
    """Three, in the layout of its files."""
    images = np.random.default_rng(0).standard_normal((3, channels, size, size)).astype(np.float32)
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if get_runtime(runtime).model_format.layout == "NHWC" else images


@pytest.mark.parametrize(("target", "runtime"), MEMBERS, indirect=True)
class TestContract:
    def test_environment_is_json_and_names_what_matters(self, target: LatencyTarget, runtime: str) -> None:
        environment = json.loads(json.dumps(target.environment(runtime).to_json()))
        assert environment["runtime"] == runtime
        assert environment["runtime_version"][0].isdigit()
        assert environment["execution_providers"] == [PROVIDERS[runtime]]
        assert environment["cores"] == os.cpu_count()
        assert len(environment["fingerprint"]) == 8
        assert {"cpu", "machine", "clock", "date", "emulated"} <= set(environment)

    def test_more_work_takes_longer(self, target: LatencyTarget, runtime: str) -> None:
        models = {
            "nothing": empty_model_bytes(runtime),
            "light": model_bytes(LIGHT, runtime),
            "heavy": model_bytes(HEAVY, runtime),
        }
        times = target.time(models, Execution(runtime), rounds=3)
        assert {name: len(values) for name, values in times.items()} == {"nothing": 3, "light": 3, "heavy": 3}
        nothing, light, heavy = (min(times[name]) for name in models)
        assert 0 < nothing < light < heavy / 5

    @pytest.mark.skipif(device_timer.most_threads(device_timer.cpu_quota()) < 2, reason="one thread can run at once here")
    def test_several_threads_are_timed_too(self, target: LatencyTarget, runtime: str) -> None:
        times = target.time({"heavy": model_bytes(HEAVY, runtime)}, Execution(runtime, 2), rounds=2)
        assert len(times["heavy"]) == 2 and min(times["heavy"]) > 0

    def test_progress_is_tracked(self, target: LatencyTarget, runtime: str) -> None:
        seen = []

        def track(items, description, total=None):
            for item in items:
                seen.append(item)
                yield item

        target.time({"light": model_bytes(LIGHT, runtime)}, Execution(runtime), rounds=2, track=track)
        assert seen

    def test_a_larger_model_takes_more_memory(self, target: LatencyTarget, runtime: str) -> None:
        if not isinstance(target, JobTarget):
            pytest.skip("a browser tells no page how much memory it takes")
        small, large = (
            target.examine(
                model_bytes([block], runtime),
                images_for(runtime, block.in_channels, block.resolution),
                empty_model_bytes(runtime),
                Execution(runtime),
            )
            for (block,) in (LIGHT, WIDE)
        )
        if small.memory_bytes is None or large.memory_bytes is None:
            pytest.skip("this device does not tell")
        assert large.memory_bytes - small.memory_bytes > 4 * 9 * 512**2  # its weights, at least
        assert small.memory_bytes < 20e6
        assert small.environment.runtime == runtime and len(small.outputs) == 3

    def test_runs_images_one_by_one(self, target: LatencyTarget, runtime: str) -> None:
        images = images_for(runtime, 3, 32)
        model = model_bytes(REFERENCE, runtime)
        outputs = target.run(model, images, Execution(runtime))
        assert outputs.shape == (3, 10)
        np.testing.assert_allclose(outputs[2:], target.run(model, images[2:], Execution(runtime)), atol=1e-6)
        assert np.abs(outputs[0] - outputs[1]).max() > 1e-3

    def test_a_model_that_is_none_is_one_sentence(self, target: LatencyTarget, runtime: str) -> None:
        with pytest.raises(EdgeNASError):
            target.time({"broken": b"not a model"}, Execution(runtime), rounds=1)


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_an_unknown_runtime_names_the_nearest(target: LatencyTarget) -> None:
    with pytest.raises(UsageError, match="Did you mean 'onnxruntime"):
        target.environment("onnx-runtime")


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_a_runtime_that_is_not_there(target: LatencyTarget) -> None:
    with pytest.raises(EdgeNASError, match="tflite"):
        target.environment("tflite-runtime")


@pytest.mark.parametrize("runtime", ["litert", "openvino", "opencv", "ncnn"], indirect=True)
@pytest.mark.parametrize("threads", [1, 2])
def test_all_runtimes_compute_the_same(runtime: str, threads: int) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    expected = python_target().run(model_bytes(REFERENCE, "onnxruntime"), images, ORT)
    if get_runtime(runtime).model_format.layout == "NHWC":
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    found = python_target().run(model_bytes(REFERENCE, runtime), images, Execution(runtime, threads))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("runtime", ["openvino", "opencv", "ncnn"], indirect=True)
def test_one_thread_does_all_the_work(runtime: str) -> None:
    """So that its CPU time is what the model takes."""
    session = open_session(Execution(runtime), model_bytes(HEAVY, runtime))
    session.invoke()
    own, all_threads = time.thread_time(), time.process_time()
    for _ in range(30):
        session.invoke()
    own, all_threads = time.thread_time() - own, time.process_time() - all_threads
    assert 0 < all_threads < 1.2 * own


def test_tflite_runtime_in_its_own_python() -> None:
    python = tflite_runtime_python()
    if python is None:
        pytest.skip("no Python with tflite-runtime: set EDGENAS_TFLITE_RUNTIME_PYTHON")
    target, model = python_target(python), model_bytes(REFERENCE, "tflite-runtime")
    assert target.environment("tflite-runtime").runtime_version.startswith("2.")
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    ours = python_target().run(model, images, Execution("litert"))
    np.testing.assert_allclose(target.run(model, images, Execution("tflite-runtime")), ours, atol=1e-5)
    assert len(target.time({"net": model}, Execution("tflite-runtime"), rounds=2)["net"]) == 2


def test_where_tflite_runtime_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGENAS_TFLITE_RUNTIME_PYTHON", raising=False)
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path))
    assert tflite_runtime_python() is None
    cached = tmp_path / "tflite-runtime" / "bin" / "python"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert tflite_runtime_python() == cached
    monkeypatch.setenv("EDGENAS_TFLITE_RUNTIME_PYTHON", sys.executable)
    assert tflite_runtime_python() == Path(sys.executable)


def test_a_stopwatch_keeps_what_was_timed_and_how_long_it_took() -> None:
    target, start = Stopwatch(python_target()), time.monotonic()
    models = {"light": model_bytes(LIGHT, "onnxruntime"), "nothing": empty_model_bytes("onnxruntime")}
    assert target.time(models, ORT, rounds=1).keys() == models.keys()
    assert target.timed == set(models)
    assert 0.01 < target.seconds <= time.monotonic() - start


def test_models_are_opened_anew_in_the_course_of_the_rounds() -> None:
    opened, session = [], SimpleNamespace(invoke=lambda: None)
    times = device_timer.time_models(lambda: opened.append(1) or {"net": session}, 7, time.perf_counter_ns)
    assert len(opened) == device_timer.OPENINGS == 3 and len(times["net"]) == 7


def test_a_device_that_dies_is_one_sentence() -> None:
    with pytest.raises(EdgeNASError, match="ended without a result"):
        JobTarget(lambda folder: None).environment("onnxruntime")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("kill -9 $$", "SIGKILL.*memory runs out"),
        ("echo 'Fatal: broken' >&2; exit 3", "ended without a result: Fatal: broken.$"),
    ],
)
def test_a_timer_here_that_dies_says_of_what(tmp_path: Path, ends: str, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{ends}\n")
    python.chmod(0o755)
    with pytest.raises(EdgeNASError, match=said):
        python_target(python).environment("onnxruntime")


def test_the_timer_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    job, files = timing_job({"net": model_bytes(LIGHT, "onnxruntime")}, ORT, rounds=10_000)
    (tmp_path / "job.json").write_text(json.dumps(job))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, device_timer.__file__, str(tmp_path), device_timer.WITH_HOST]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as timer:
        time.sleep(0.5)
        assert timer.poll() is None
        timer.stdin.close()
        assert timer.wait(30) == 1


def test_the_timer_ends_as_soon_as_it_is_done(tmp_path: Path) -> None:
    """What waits for its host's end meanwhile must not be waited for: it once took a second, and an abort."""
    job, _ = timing_job({}, ORT, rounds=1)
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, device_timer.__file__, str(tmp_path), device_timer.WITH_HOST]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as timer:
        assert timer.stderr is not None
        assert (timer.stderr.read(), timer.wait(30)) == (b"", 0)


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(EdgeNASError, match="/no/python cannot be run"):
        python_target("/no/python").environment("onnxruntime")


ON_DEVICES = [Path(device_timer.__file__), Path(device_sustain.__file__), *sorted(OPENERS.glob("open_*.py"))]


@pytest.mark.parametrize("file", ON_DEVICES, ids=lambda file: file.stem)
def test_what_runs_on_devices_reads_as_python_3_8_and_needs_nothing_of_ours(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 8))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    module = {"open_opencv": "cv2"}.get(file.stem, file.stem.removeprefix("open_"))
    assert imported - set(sys.stdlib_module_names) - {module} == {"numpy"}


OPEN = """
import os, sys
sys.path.insert(0, {folder!r})
import device_timer
{before}
session = device_timer.open_session({runtime!r}, {model!r})
session.invoke()
print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


@pytest.mark.parametrize("silenced", [True, False])
def test_onnxruntime_sends_and_keeps_nothing(silenced: bool, tmp_path: Path) -> None:
    """Without the variable ONNX Runtime leaves an identifier in the home folder: the control that shows the test can see it."""
    home, model = tmp_path / "home", tmp_path / "light.onnx"
    home.mkdir()
    model.write_bytes(model_bytes(LIGHT, "onnxruntime"))
    before = "" if silenced else "del os.environ['ORT_DISABLE_TELEMETRY']"
    code = OPEN.format(folder=str(Path(device_timer.__file__).parent), before=before, model=str(model),
                       runtime=get_runtime("onnxruntime").for_timer())  # fmt: skip
    # Continuous integration would silence it too.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_")) and k != "CI"}
    # The control's uploads go nowhere.
    clean |= {"HOME": str(home), "https_proxy": "http://127.0.0.1:9", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    if silenced:
        assert done.stdout.strip() == "1"
        assert left == []
    else:
        assert done.stdout.strip() == "None"
        if not left:
            pytest.skip("this wheel of ONNX Runtime has no telemetry: there is nothing to silence")
        assert any("Microsoft" in path for path in left)


@pytest.mark.parametrize("runtime", ["openvino"], indirect=True)
def test_openvino_sends_nothing(runtime: str) -> None:
    """Importing it sends an event by what it calls `tm`: its package for that, or a stand-in where that is missing."""
    assert find_spec("openvino_telemetry") is None, "the timer has not hidden it"
    code = (f"import sys; sys.path.insert(0, {str(Path(device_timer.__file__).parent)!r})\n"
            f"import device_timer; device_timer.environment({get_runtime(runtime).for_timer()!r})\n"
            "from openvino.tools.ovc.telemetry_utils import tm; print(tm.__name__)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


class SharedCore:
    """A core in simulated time whose other hyperthread is busy at some of the looks at it: what runs between two such takes
    1.5 times as long."""

    def __init__(self, busy):
        self.busy, self.looks, self.runs, self.now_ns = busy, 0, 0, 0.0

    def clock(self):
        return self.now_ns

    def spend(self, ns):
        self.runs += 1
        self.now_ns += ns * (1.5 if self.busy(self.looks) and self.busy(self.looks + 1) else 1.0)


class SimulatedWatch(device_timer.Watch):
    def __init__(self, core):
        super().__init__(core.clock)
        self._core = core

    def look(self, reference):
        self._core.looks += 1
        self._seen.append(1500 if self._core.busy(self._core.looks) else 1000)
        return self._seen[-1]


@pytest.mark.parametrize(("spell", "mended"), [(range(10, 40), True), (range(10, 10_000), False)])
def test_disturbed_visits_are_repeated_within_bounds(monkeypatch: pytest.MonkeyPatch, spell: range, mended: bool) -> None:
    core = SharedCore(lambda look: look in spell)
    monkeypatch.setattr(device_timer, "FILL_MS", 0.0)
    monkeypatch.setattr(device_timer, "Watch", lambda clock: SimulatedWatch(core))
    sessions = {f"net {i}": SimpleNamespace(invoke=lambda ns=1e6 * (i + 1): core.spend(ns)) for i in range(4)}
    times = device_timer.time_models(lambda: sessions, 12, core.clock)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(sessions, 12)
    slow = sum(ms > 1.01 * (i + 1) for i, values in enumerate(times.values()) for ms in values)
    assert (slow == 0) == mended
    assert core.runs <= 12 * 4 * device_timer.MOST_VISITS * (device_timer.WARM_UP_RUNS + device_timer.LEAST_RUNS)
