"""The library's functions take what options take, and refuse the same: nothing reaches a step but what fits."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import edgenas
from edgenas.device import Execution
from edgenas.errors import UsageError
from edgenas.pipeline.profile import pack_bundle
from edgenas.run import Run
from edgenas.training import Recipe
from tests.edges.conftest import bounded, content


@pytest.fixture
def run(old_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    shutil.copytree(old_workspace, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    opened = Run.open(Path("runs/old"))
    before = content(tmp_path)
    yield opened
    assert content(tmp_path) == before


def refused(call: Callable[[], object]) -> str:
    with bounded(), pytest.raises(UsageError) as caught:
        call()
    return str(caught.value)


HUGE = int("9" * 400)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seed": -1}, "`seed`"), ({"seed": 2**64}, "`seed`"), ({"seed": "0"}, "`seed`"), ({"seed": math.nan}, "`seed`"),
        ({"width": math.inf}, "`width`"), ({"width": True}, "`width`"), ({"width": HUGE}, "`width`"),
        ({"resolutions": (10**6,)}, "`resolutions`"), ({"resolutions": ()}, "`resolutions`"), ({"resolutions": 24}, "`resol"),
        ({"seconds": math.nan}, "`seconds`"), ({"seconds": -1}, "`seconds`"), ({"seconds": 0}, "`seconds`"),
        ({"epochs": -1}, "`epochs`"), ({"epochs": 1.5}, "`epochs`"), ({"epochs": HUGE}, "`epochs`"),
        ({"out": "/dev/null"}, "`out`"), ({"out": "a\0b"}, "`out`"), ({"out": 3}, "`out`"),
        ({"recipe_file": "~nosuchuser/x"}, "`recipe_file`"), ({"pretrained": "x" * 5000}, "`pretrained`"),
        ({"warm_start": "x\0"}, "`warm_start`"), ({"family": "a\0.toml"}, "`family`"),
        ({"learning_rate": math.nan}, "learning_rate"), ({"weight_decay": -1.0}, "weight_decay"), ({"macs": [1e400]}, "macs"),
        ({"random_subnets": -1}, "random_subnets"), ({"mixup": math.inf}, "mixup"), ({"momentm": 1}, "momentum"),
    ],
)  # fmt: skip
def test_training(run, options: dict[str, Any], named: str):
    assert named in refused(lambda: edgenas.train_supernet("digits", **{"preset": "tiny", "out": "runs/new"} | options))


@pytest.mark.parametrize(
    ("budgets", "options", "named"),
    [
        ((), {}, "`budgets_ms`"), ((-1.0,), {}, "`budgets_ms`"), ((math.nan,), {}, "`budgets_ms`"),
        (("1ms",), {}, "`budgets_ms`"),
        ((1.0,), {"confidence": 1.0}, "`confidence`"), ((1.0,), {"confidence": math.nan}, "`confidence`"),
        ((1.0,), {"evaluations": -1}, "`evaluations`"), ((1.0,), {"evaluations": 10**9}, "`evaluations`"),
        ((1.0,), {"seed": -1}, "`seed`"), ((1.0,), {"memory": math.inf}, "`memory`"), ((1.0,), {"macs": 0}, "`macs`"),
        ((1.0,), {"elsewhere_ms": {"pi4": -1}}, "`elsewhere_ms`"), ((1.0,), {"storage": "a\0b"}, "`storage`"),
        ((1.0,), {"data": "~nosuchuser"}, "`data`"), ((1.0,), {"device": "../cpu"}, "Unknown device"),
        ((1.0,), {"runtime": "../x"}, "runtime"), ((1.0,), {"strategy": "none"}, "Unknown strategy"),
    ],
)  # fmt: skip
def test_searching(run, budgets: tuple[Any, ...], options: dict[str, Any], named: str):
    assert named in refused(lambda: run.search(*budgets, **options))


def test_the_other_steps(run):
    assert "`epochs`" in refused(lambda: run.finetune(epochs=0))
    assert "`learning_rate`" in refused(lambda: run.finetune(learning_rate=0))
    assert "`images`" in refused(lambda: run.verify(images=0))
    assert "`data`" in refused(lambda: run.export(data="a\0b"))
    assert "`models`" in refused(lambda: run.compare(models=["a\0b"]))
    assert "`resolutions`" in refused(lambda: run.compare(resolutions=[10**6]))
    assert "`threads`" in refused(lambda: run.profile(threads=10**5))
    assert "`prior`" in refused(lambda: run.profile(prior="a\0b"))
    assert "`bundle`" in refused(lambda: pack_bundle(Path("runs"), edgenas.load_device("cpu"), run.space))
    assert "`classes`" in refused(lambda: edgenas.get_space("mobilenetv3", "tiny", 1))
    assert "`run`" in refused(lambda: Run.open(Path("a\0b")))
    assert "threads" in refused(lambda: Execution("onnxruntime", 0))
    assert "seed" in refused(lambda: Recipe(seed=-1))
