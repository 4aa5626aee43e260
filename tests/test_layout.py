"""Imports point one way, and runtimes are imported in one place."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import edgenas
from edgenas.cli import COMMANDS

PACKAGE = Path(edgenas.__file__).parent
TOOLS = PACKAGE.parent / "tools"
ONEDNN = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
# From the bottom up: a package imports only from those of lower rank, and from its own.
RANK = {
    "bars": 1, "errors": 0, "extras": 0, "files": 0, "names": 0, "processes": 0, "progress": 0, "serving": 0, "statistics": 0,
    "torch_setup": 0, "values": 0.5, "metric": 0.75,
    "space": 1, "storage": 1, "run": 1.5,
    "cost": 2, "quantisation": 1.7, "graph": 2,
    "supernet": 3, "device": 3, "data": 3, "predictor": 3,
    "latency": 4, "pretrained": 4,
    "training": 5,
    "search": 6, "tuning": 6, "export": 7, "baseline": 8, "deployment": 8, "doctor": 8, "report": 9, "pipeline": 10, "cli": 11,
}  # fmt: skip


def imports(file: Path) -> set[str]:
    """Everything that a module imports, wherever in it."""
    return names_of(ast.walk(ast.parse(file.read_text())))


def names_of(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
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


def test_every_package_has_a_rank():
    packages = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    assert packages <= set(RANK)


def at_the_top(file: Path) -> set[str]:
    """What a module imports when it is loaded."""
    body = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return names_of(body)


def test_a_run_is_on_the_ground_floor():
    """Its methods import the steps of the story when they are called."""
    own = {name.split(".")[1] for name in at_the_top(PACKAGE / "run.py") if name.startswith("edgenas.")}
    assert own == {"errors", "files", "names", "space", "values"}


def test_the_command_line_is_used_by_nobody():
    files = [*PACKAGE.rglob("*.py"), *TOOLS.glob("*.py")]
    for file in files:
        if file.relative_to(PACKAGE.parent).parts[:2] not in (("edgenas", "cli"), ("edgenas", "__main__.py")):
            assert not [name for name in imports(file) if name.split(".")[:2] == ["edgenas", "cli"]], file


def test_no_command_uses_another():
    commands = {module for module, _ in COMMANDS.values()}
    for file in (PACKAGE / "cli").glob("*.py"):
        assert not commands & imports(file), file


@pytest.mark.parametrize("module", ["edgenas.space", "edgenas.cost", "edgenas.run"])
def test_pure_data_needs_neither_torch_nor_a_runtime(module):
    code = f"import sys, {module}; assert not {{'torch', 'onnxruntime', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def in_a_process_of_its_own(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != ONEDNN}
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return ran.stdout.strip()


def test_importing_the_library_loads_nothing_and_changes_nothing():
    code = (
        "import os, sys; before, modules = dict(os.environ), set(sys.modules); import edgenas; "
        "assert dict(os.environ) == before; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - modules} - set(sys.stdlib_module_names)))"
    )
    assert in_a_process_of_its_own(code) == "edgenas"


def test_the_names_of_the_library_are_there():
    assert len(edgenas.__all__) < 20
    assert set(edgenas.__all__) <= set(dir(edgenas))
    for name in edgenas.__all__:
        assert getattr(edgenas, name), name
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", edgenas.__version__)
    packages = {path.stem for path in PACKAGE.iterdir()}
    assert not packages & set(edgenas.__all__), "a name of a package would be overwritten by it"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        edgenas.nothing  # noqa: B018


@pytest.mark.parametrize("module", sorted(name for name in RANK if name != "cli"))
def test_torch_is_set_up_before_it_is_loaded(module):
    """Whoever is imported first: what asks for torch finds the setting there."""
    code = (
        "import os, sys\n"
        "class Spy:\n"
        "    def find_spec(name, *_):\n"
        f"        assert name != 'torch' or '{ONEDNN}' in os.environ\n"
        "sys.meta_path.insert(0, Spy)\n"
        f"import edgenas.{module}"
    )
    in_a_process_of_its_own(code)


def test_help_does_not_wait_for_torch():
    code = "import sys, edgenas.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_text_is_read_and_written_in_utf_8_whatever_the_locale(file):
    """`edgenas.files` does, and what opens files itself says so."""
    takes = {"read_text": 0, "write_text": 1, "open": 1}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        is_method = isinstance(node.func, ast.Attribute)
        if name not in takes or (name != "open" and not is_method):
            continue
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        mode = next((text for text in texts if re.fullmatch(r"[rwax][bt+]*", text)), "")
        opens_text = mode and "b" not in mode if name == "open" else len(node.args) <= takes[name]
        if opens_text or (name == "open" and not is_method and "b" not in mode):
            assert "encoding" in {keyword.arg for keyword in node.keywords}, f"{file.name}, line {node.lineno}"


def test_runtimes_are_imported_where_their_telemetry_is_turned_off():
    """By name only in openers, which the timer runs, and dynamically in the two that devices get: nothing else is there."""
    runtimes = {"onnxruntime", "tflite_runtime", "openvino", "cv2", "ncnn"}
    on_devices = {"device/device_timer.py", "deployment/predict.py"}
    for file in PACKAGE.rglob("*.py"):
        names, name = imports(file), file.relative_to(PACKAGE).as_posix()
        if name.startswith("device/openers/"):
            continue
        assert not runtimes & {name.split(".")[0] for name in names}, file
        assert "ai_edge_litert.interpreter" not in names, file
        if "import_module" in file.read_text():
            assert name in {*on_devices, "cli/__init__.py", "__init__.py"}
        assert name not in on_devices or 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"' in file.read_text()
