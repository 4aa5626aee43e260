"""Where each runtime runs: in the Python of a device, in a Python of its own, or in a browser."""

from __future__ import annotations

import os
from pathlib import Path

from edgenas.device import device_timer
from edgenas.errors import UsageError
from edgenas.files import cache_dir
from edgenas.graph import get_format
from edgenas.space import unknown

WEB_PROVIDERS = {"onnxruntime-web-webgpu": "webgpu", "onnxruntime-web-wasm": "wasm"}
"""ONNX Runtime Web counts as one runtime for each of its execution providers: so the name of a table's runtime says, as
everywhere, what computed."""

FORMATS = {"onnxruntime": "onnx", "litert": "tflite", "tflite-runtime": "tflite"} | dict.fromkeys(WEB_PROVIDERS, "onnx")
"""The file format that each runtime opens."""

PRECISIONS = {"fp32": tuple(FORMATS), "int8": ("onnxruntime", "onnxruntime-web-wasm")}
"""The runtimes in which each precision can be timed."""

TFLITE_RUNTIME_PYTHON = "EDGENAS_TFLITE_RUNTIME_PYTHON"


def require_python_runtime(runtime: str) -> None:
    """Raise UsageError for a runtime that `device_timer` cannot open."""
    if runtime in WEB_PROVIDERS:
        raise UsageError(f"{runtime} runs in a browser: add --on browser.")
    if runtime not in device_timer.RUNTIMES:
        raise UsageError(unknown("runtime", runtime, device_timer.RUNTIMES))


def require_web_runtime(runtime: str) -> None:
    """Raise UsageError for a runtime that no browser has."""
    if runtime in device_timer.RUNTIMES:
        raise UsageError(f"{runtime} does not run in a browser: choose --runtime {' or '.join(WEB_PROVIDERS)}.")
    if runtime not in WEB_PROVIDERS:
        raise UsageError(unknown("runtime", runtime, WEB_PROVIDERS))


def tflite_runtime_python() -> Path | None:
    """The Python that has tflite-runtime, whose wheels end at Python 3.11: from $EDGENAS_TFLITE_RUNTIME_PYTHON, else from
    the cache folder; None when there is none."""
    named = os.environ.get(TFLITE_RUNTIME_PYTHON)
    python = Path(named) if named else cache_dir() / "tflite-runtime" / "bin" / "python"
    return python if python.is_file() else None


def empty_model_bytes(runtime: str) -> bytes:
    """The least that a session can do: its time is subtracted from every block's."""
    return get_format(runtime_format(runtime)).empty()


def require_precision(runtime: str, precision: str) -> None:
    """Raise UsageError when models of a precision cannot be timed in a runtime."""
    if precision not in PRECISIONS:
        raise UsageError(unknown("precision", precision, PRECISIONS))
    if runtime_format(runtime) and runtime not in PRECISIONS[precision]:
        others = " or ".join(PRECISIONS[precision])
        raise UsageError(f"{precision} cannot be timed in {runtime} in this version: choose --runtime {others}.")


def runtime_format(runtime: str) -> str:
    if runtime not in FORMATS:
        raise UsageError(unknown("runtime", runtime, FORMATS))
    return FORMATS[runtime]
