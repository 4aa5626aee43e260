"""Where runtimes are found that do not live in this Python."""

from __future__ import annotations

import os
from pathlib import Path

from edgenas.files import cache_dir

TFLITE_RUNTIME_PYTHON = "EDGENAS_TFLITE_RUNTIME_PYTHON"


def tflite_runtime_python() -> Path | None:
    """The Python that has tflite-runtime, whose wheels end at Python 3.11: from $EDGENAS_TFLITE_RUNTIME_PYTHON, else from
    the cache folder; None when there is none."""
    named = os.environ.get(TFLITE_RUNTIME_PYTHON)
    python = Path(named) if named else cache_dir() / "tflite-runtime" / "bin" / "python"
    return python if python.is_file() else None
