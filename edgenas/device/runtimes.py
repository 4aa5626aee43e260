"""`Runtime`: a program that computes model files. `RUNTIMES` has all of them, by name; a new one is registered here."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgenas.device import device_timer
from edgenas.device.execution import Execution
from edgenas.errors import UsageError
from edgenas.files import cache_dir
from edgenas.graph import ModelFormat, get_format
from edgenas.values import unknown

PYTHON, BROWSER, PHONE = "python", "browser", "phone"
CPU_TIME, WALL_TIME = device_timer.CPU_TIME, device_timer.WALL_TIME

OPENERS = Path(__file__).parent / "openers"
TFLITE_RUNTIME_PYTHON = "EDGENAS_TFLITE_RUNTIME_PYTHON"


@dataclass(frozen=True)
class Runtime:
    """What EdgeNAS knows of a runtime.

    name: by which profiles, tables and commands call it. format: of the files that it opens, see `graph.FORMATS`.
    precisions: in which it can be timed. provider: what computes in it; estimates hold for all runtimes with the same.
    where: `PYTHON`, that of a device, `BROWSER`, or `PHONE`, where LiteRT's own program computes.
    clock: `CPU_TIME` where one thread, told to work alone, does all the work: that time does not run while another process has
        the core. `WALL_TIME` for what computes elsewhere, on a GPU or an NPU, too; and with several threads always.
    module, package: what is imported on the device, and what pip installs for that.
    opener: how files are opened there: one of `device_timer.OPENERS`, or a Python file of its own, copied to the device with
        every job, that has `open_session(runtime, model, threads)`: see `device_timer.open_session`.
    own_python: finds the Python of this machine that has it, where that is not the one that EdgeNAS runs in.
    """

    name: str
    format: str
    precisions: tuple[str, ...]
    provider: str
    where: str = PYTHON
    clock: str = WALL_TIME
    module: str = ""
    package: str = ""
    opener: str | Path = ""
    own_python: Callable[[], Path | None] | None = None

    @property
    def model_format(self) -> ModelFormat:
        return get_format(self.format)

    @property
    def python(self) -> Path | None:
        """The Python of this machine that has it; None where it is not installed, or needs none."""
        if self.own_python is not None:
            return self.own_python()
        return Path(sys.executable) if self.module and find_spec(self.module.split(".")[0]) else None

    @property
    def how_to_install(self) -> str:
        """The command that brings it to this machine."""
        return "bash tools/tflite_runtime.sh" if self.own_python is tflite_runtime_python else f"pip install {self.package}"

    @property
    def files(self) -> dict[str, bytes]:
        """What the timer needs beside itself to open it."""
        return {self.opener.name: self.opener.read_bytes()} if isinstance(self.opener, Path) else {}

    def for_timer(self) -> dict[str, Any]:
        """What `device_timer` is told of it."""
        opener = self.opener.name if isinstance(self.opener, Path) else self.opener
        told = {"name": self.name, "module": self.module, "package": self.package, "provider": self.provider}
        return told | {"opener": opener, "clock": self.clock}


RUNTIMES: dict[str, Runtime] = {}
"""All runtimes, by name. Of those that open the same format, the first in this order is the one that it is tried in."""


def register_runtime(runtime: Runtime) -> Runtime:
    """Make a runtime known to `RUNTIMES`. Raises ValueError where its name is taken or it cannot be opened."""
    if runtime.name in RUNTIMES:
        raise ValueError(f"there is a runtime {runtime.name!r} already")
    if runtime.where == PYTHON and not (isinstance(runtime.opener, Path) or runtime.opener in device_timer.OPENERS):
        raise ValueError(f"no opener {runtime.opener!r}: name one of {', '.join(device_timer.OPENERS)}, or a Python file")
    RUNTIMES[runtime.name] = runtime
    return runtime


def get_runtime(name: str, where: str | None = None) -> Runtime:
    """where: `PYTHON`, `BROWSER` or `PHONE` where it must compute there. Raises UsageError for an unknown one, and for one
    elsewhere."""
    there = [runtime.name for runtime in RUNTIMES.values() if where in (None, runtime.where)]
    there += [ON_PHONES] * (where == PHONE)
    if name in there:
        return RUNTIMES[name]
    if name not in RUNTIMES:
        raise UsageError(unknown("runtime", name, there))
    if where == PYTHON:
        way = "in a browser: add `on` browser" if RUNTIMES[name].where == BROWSER else "on a phone: add `on` adb"
        raise UsageError(f"{name} runs {way}.")
    place = "in a browser" if where == BROWSER else "on a phone by benchmark_model"
    raise UsageError(f"{name} does not run {place}: choose `runtime` {' or '.join(there)}.")


def precisions() -> tuple[str, ...]:
    """All in which some runtime can be timed."""
    return tuple(dict.fromkeys(precision for runtime in RUNTIMES.values() for precision in runtime.precisions))


def require_precision(runtime: str, precision: str) -> None:
    """Raise UsageError when models of a precision cannot be timed in a runtime, which may be unknown."""
    if precision not in precisions():
        raise UsageError(unknown("precision", precision, precisions()))
    if precision not in get_runtime(runtime).precisions:
        others = " or ".join(other.name for other in RUNTIMES.values() if precision in other.precisions)
        raise UsageError(f"{precision} cannot be timed in {runtime} in this version: choose `runtime` {others}.")


def runtimes_for(format_name: str) -> list[Runtime]:
    """Those that open files of a format in a Python, be they here or not."""
    return [runtime for runtime in RUNTIMES.values() if runtime.format == format_name and runtime.where == PYTHON]


def runtimes_of(format_name: str) -> list[tuple[Runtime, Path]]:
    """Those that open files of a format in a Python of this machine, each with that Python."""
    return [(runtime, python) for runtime in runtimes_for(format_name) if (python := runtime.python) is not None]


def open_session(execution: Execution, model: str | Path | bytes) -> device_timer.Session:
    """A model file, or its bytes, opened in this process. Raises ImportError where the runtime is not installed."""
    runtime = get_runtime(execution.runtime, PYTHON)
    folder = str(runtime.opener.parent) if isinstance(runtime.opener, Path) else ""
    model = model if isinstance(model, bytes) else str(model)
    return device_timer.open_session(runtime.for_timer(), model, execution.threads, folder)


def tflite_runtime_python() -> Path | None:
    """The Python that has tflite-runtime, whose wheels end at Python 3.11: from $EDGENAS_TFLITE_RUNTIME_PYTHON, else from
    the cache folder; None when there is none."""
    named = os.environ.get(TFLITE_RUNTIME_PYTHON)
    python = Path(named) if named else cache_dir() / "tflite-runtime" / "bin" / "python"
    return python if python.is_file() else None


def _python_with(package: str) -> Path | None:
    """This Python where a package is installed that brings a module under the name of another's."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(sys.executable)


ON_PHONES = "litert"
"""The runtime that is the same in a Python and in LiteRT's own program: its CPU kernels."""

_on_cpu = partial(Runtime, clock=CPU_TIME)
_xnnpack = partial(_on_cpu, format="tflite", precisions=("fp32", "fp16", "int8"), provider="XNNPACK", opener="tflite")

register_runtime(_on_cpu("onnxruntime", "onnx", ("fp32", "fp16", "int8"), "CPUExecutionProvider", module="onnxruntime",
                         package="onnxruntime", opener="onnxruntime"))  # fmt: skip
register_runtime(_xnnpack("litert", module="ai_edge_litert.interpreter", package="ai-edge-litert"))
register_runtime(_xnnpack("tflite-runtime", module="tflite_runtime.interpreter", package="tflite-runtime",
                          own_python=tflite_runtime_python))  # fmt: skip
register_runtime(_on_cpu("openvino", "onnx", ("fp32",), "OpenVINO CPU", module="openvino", package="openvino",
                         opener=OPENERS / "open_openvino.py"))  # fmt: skip
register_runtime(_on_cpu("opencv", "onnx", ("fp32",), "OpenCV DNN", module="cv2", package="opencv-python-headless",
                         opener=OPENERS / "open_opencv.py"))  # fmt: skip
register_runtime(_on_cpu("ncnn", "ncnn", ("fp32",), "ncnn CPU", module="ncnn", package="ncnn",
                         opener=OPENERS / "open_ncnn.py"))  # fmt: skip
# On the GPU of a Jetson. What an execution provider does not have, ONNX Runtime computes on the CPU.
_on_gpu = partial(Runtime, format="onnx", precisions=("fp32", "fp16"), module="onnxruntime", package="onnxruntime-gpu",
                  opener="onnxruntime", own_python=partial(_python_with, "onnxruntime-gpu"))  # fmt: skip
register_runtime(_on_gpu("onnxruntime-cuda", provider="CUDAExecutionProvider"))
register_runtime(_on_gpu("onnxruntime-tensorrt", provider="TensorrtExecutionProvider"))
# A phone's, by its delegates.
register_runtime(Runtime("litert-gpu", "tflite", ("fp32", "fp16"), "GPU delegate", PHONE))
register_runtime(Runtime("litert-nnapi", "tflite", ("fp32", "fp16", "int8"), "NNAPI delegate", PHONE))
# ONNX Runtime Web counts as one runtime for each of its execution providers: so the name of a table's runtime says, as
# everywhere, what computed.
register_runtime(Runtime("onnxruntime-web-webgpu", "onnx", ("fp32",), "webgpu", BROWSER))
register_runtime(Runtime("onnxruntime-web-wasm", "onnx", ("fp32", "int8"), "wasm", BROWSER))
