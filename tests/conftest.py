"""What tests of several folders use."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import Execution, ssh
from edgenas.device.browser.onnxruntime_web import onnxruntime_web
from edgenas.device.runtimes import TFLITE_RUNTIME_PYTHON, tflite_runtime_python
from edgenas.errors import EdgeNASError
from edgenas.extras import EXTRAS, note_once
from edgenas.files import cache_dir
from edgenas.latency import Calibration, Entry, LatencyTable
from edgenas.space import FixedBlock, SearchSpace, Stage
from tests.chromium import CHROMIUM

USER_CACHE = cache_dir()
"""Where tests find what is downloaded once; they have caches of their own otherwise."""
SHARED = Path(os.environ.get("EDGENAS_SHARED", Path(__file__).parents[2] / "shared"))

ORT = Execution("onnxruntime")

# The background jobs of a shell ignore Ctrl-C, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Lines of what commands print are as long as they need to be; pytest's workers are told of a terminal's width.
os.environ.pop("COLUMNS", None)

# Found before tests get a cache of their own.
if python := tflite_runtime_python():
    os.environ[TFLITE_RUNTIME_PYTHON] = str(python)


def make_micro_space(classes: int = 3) -> SearchSpace:
    """Small enough to enumerate (2 * 6 * 12 architectures), with every kind of choice."""
    return SearchSpace(
        name="micro",
        resolutions=(12, 16),
        stem=(
            FixedBlock("conv", 8, kernel=3, stride=2, activation="hswish"),
            FixedBlock("mbconv", 8, mid_channels=8, kernel=3),
        ),
        stages=(
            Stage(8, 2, "relu", True, (1, 2), (3, 5), (2,)),
            Stage(16, 1, "hswish", False, (1,), (3, 5, 7), (1.5, 2, 3, 4)),
        ),
        head=(FixedBlock("conv", 24, activation="hswish"), FixedBlock("head", classes, mid_channels=32, activation="hswish")),
    )


def make_universal_space(classes: int = 3) -> SearchSpace:
    """As small (320 architectures), with what `make_micro_space` lacks: every other op, start depthwises, an elastic width."""
    return SearchSpace(
        name="universal",
        resolutions=(12, 16),
        widths=(0.5, 1.0),
        stem=(),
        stages=(
            Stage(8, 2, "relu", False, (1, 2), (3,), (1,), "conv"),
            Stage(8, 2, "relu", False, (1,), (3,), (1,), "maxpool"),
            Stage(16, 1, "relu", False, (1,), (3,), (2,), "fused"),
            Stage(16, 1, "relu", False, (1, 2), (0, 3), (2,), starts=(0, 3)),
            Stage(32, 2, "relu", False, (1,), (3,), (0.25, 0.5), "bottleneck"),
        ),
        head=(FixedBlock("conv", 24), FixedBlock("head", classes)),
    )


@pytest.fixture
def micro_space() -> SearchSpace:
    return make_micro_space()


@pytest.fixture
def all_micro_genomes(micro_space: SearchSpace) -> np.ndarray:
    return every_genome(micro_space)


def every_genome(space) -> np.ndarray:
    """All canonical genomes of a small space."""
    sizes = space.gene_sizes
    return np.unique(space.canonical(np.stack(np.unravel_index(np.arange(sizes.prod()), sizes), axis=1)), axis=0)


@pytest.fixture
def shared() -> Path:
    """The folder of data for tests and benchmarks that is not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no data folder at {SHARED}: set EDGENAS_SHARED")
    return SHARED / "data"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor leave anything in the user's cache; they share one of their own."""
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def table(micro_space: SearchSpace) -> LatencyTable:
    """Random latencies for `micro_space`."""
    blocks = micro_space.distinct_blocks
    latencies = np.random.default_rng(0).uniform(0.01, 0.1, len(blocks))
    return LatencyTable(
        "box",
        ORT,
        reference_ms=0.1,
        entries={spec.key: Entry(float(ms), 0.01, 3) for spec, ms in zip(blocks, latencies, strict=True)},
        calibrations={micro_space.fingerprint: Calibration(0.3, 1.2, 0.5, fitted_on=5, stated_interval=0.1)},
    )


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hides the modules of extras, as if they were not installed."""

    def hide(*extras: str) -> None:
        note_once.cache_clear()
        for module in (module for extra in extras for module in EXTRAS[extra]):
            monkeypatch.setitem(sys.modules, module, None)

    return hide


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home folder of an emulated Raspberry Pi 4 at ssh://pi: empty at first."""
    folder = os.environ.get("EDGENAS_EMULATED_PI")
    if folder is None or shutil.which("ssh") is None:
        pytest.skip("no emulated Raspberry Pi: run tools/emulated_pi.sh FOLDER and set EDGENAS_EMULATED_PI to it")
    home, port = Path(folder) / "home", free_port()
    script, log = Path(__file__).parents[1] / "tools" / "emulated_pi.sh", tmp_path_factory.mktemp("pi") / "sshd.log"
    with (Path(folder) / "lock").open("w") as lock, log.open("w") as file, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)  # there is one, and other processes may be at their tests with it
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        server = subprocess.Popen(["bash", str(script), folder, str(port)], stdout=file, stderr=file)
        patch.setenv(ssh.SSH, f"ssh -F {folder}/ssh_config")
        try:
            wait_until(lambda: "Server listening" in log.read_text())
            yield home
        finally:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def ort_web(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where there is no Chromium, or no ONNX Runtime Web. It is downloaded into the user's cache, once, and tests see it
    in theirs."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: install Debian's")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(USER_CACHE))
        try:
            folder = onnxruntime_web()
        except EdgeNASError as error:
            pytest.skip(str(error))
    cache = tmp_path_factory.getbasetemp() / "cache"
    cache.mkdir(exist_ok=True)
    (cache / folder.name).symlink_to(folder)
