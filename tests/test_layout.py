"""Imports point one way, and runtimes are imported in one place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgenas

PACKAGE = Path(edgenas.__file__).parent
# From the bottom up: a package imports only from those of lower rank, and from its own.
RANK = {
    "errors": 0, "files": 0, "processes": 0, "progress": 0, "statistics": 0,
    "space": 1, "storage": 1,
    "cost": 2, "graph": 2,
    "supernet": 3, "device": 3, "data": 3, "predictor": 3,
    "latency": 4, "pretrained": 4,
    "training": 5,
    "search": 6, "tuning": 6, "export": 7, "baseline": 8, "report": 9, "cli": 10,
}  # fmt: skip


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*/**/*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    own = file.relative_to(PACKAGE).parts[0]
    for name in imports(file):
        parts = name.split(".")
        if parts[0] == "edgenas" and len(parts) > 1 and parts[1] in RANK and parts[1] != own:
            assert RANK[parts[1]] < RANK[own], f"{own} imports {name}"


@pytest.mark.parametrize("module", ["edgenas.space", "edgenas.cost"])
def test_pure_data_needs_neither_torch_nor_a_runtime(module):
    code = f"import sys, {module}; assert not {{'torch', 'onnxruntime', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_does_not_wait_for_torch():
    code = "import sys, edgenas.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_runtimes_are_imported_in_one_file():
    """So that telemetry is turned off in one place: by name in no file, and dynamically in the timer alone."""
    runtimes = {"onnxruntime", "tflite_runtime"}
    for file in PACKAGE.rglob("*.py"):
        names = imports(file)
        assert not runtimes & {name.split(".")[0] for name in names}, file
        assert "ai_edge_litert.interpreter" not in names, file
        if "import_module" in file.read_text():
            assert file.relative_to(PACKAGE) in {Path("device/device_timer.py"), Path("cli/__init__.py")}
