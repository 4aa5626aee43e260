"""A runtime of one's own, in one place: this file and its opener. It is timed, searched by and verified with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import (
    RUNTIMES,
    DeviceProfile,
    Execution,
    Runtime,
    get_runtime,
    open_session,
    python_target,
    register_runtime,
)
from edgenas.device.device_timer import clock_for
from edgenas.device.runtimes import CPU_TIME, WALL_TIME
from edgenas.export import export, load_verifications, verify
from edgenas.graph import get_format, random_weights
from edgenas.latency import load_table, profile, table_path
from edgenas.search import Ledger, search
from edgenas.space import SearchSpace
from edgenas.training import Evaluator, Recipe, Trainer
from tests.conftest import ORT
from tests.training.conftest import make_dataset

OPENER = '''
import numpy as np
from onnx.reference import ReferenceEvaluator


class Session:
    """Computes an ONNX file as its specification says, operator by operator, in numpy."""

    def __init__(self, model):
        self._evaluator = ReferenceEvaluator(model)
        (self._name,) = self._evaluator.input_names
        self._shape = [d.dim_value or 1 for d in self._evaluator.input_types[0].tensor_type.shape.dim]

    def run(self, array):
        return self._evaluator.run(None, {self._name: array})[0]

    def invoke(self):
        self.run(np.ones(self._shape, np.float32))


def open_session(runtime, model, threads):
    return Session(model)
'''
REFERENCE = Execution("onnx-reference")


@pytest.fixture(autouse=True)
def known(tmp_path: Path) -> Iterator[None]:
    opener = tmp_path / "open_reference.py"
    opener.write_text(OPENER)
    register_runtime(Runtime("onnx-reference", "onnx", ("fp32",), "numpy", module="onnx", package="onnx", opener=opener))
    yield
    del RUNTIMES["onnx-reference"]


def test_it_computes_what_others_do(micro_space: SearchSpace) -> None:
    blocks, rng = micro_space.blocks(micro_space.largest), np.random.default_rng(0)
    model = get_format("onnx").build(blocks, [random_weights(spec, rng) for spec in blocks])
    images = rng.standard_normal((2, 3, blocks[0].resolution, blocks[0].resolution)).astype(np.float32)
    expected = np.concatenate([open_session(ORT, model).run(image[None]) for image in images])
    for found in (python_target().run(model, images, REFERENCE), [open_session(REFERENCE, model).run(i[None]) for i in images]):
        np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=1e-4)


def test_it_has_a_table_that_is_searched_by(micro_space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    box = DeviceProfile("box", "This machine.", "native", "onnx-reference", 1)
    profile(micro_space, box, python_target(), table_path("box", REFERENCE), REFERENCE, rounds=1)
    table = load_table(box, micro_space)
    assert table.measured and table.execution == REFERENCE
    assert (table.provenance.runtime, table.provenance.execution_providers) == ("onnx-reference", ("numpy",))
    typical_ms = np.median(table.predict(micro_space, micro_space.sample(np.random.default_rng(0), 50)))
    budget = float(table.interval(micro_space, typical_ms).high)  # however wide a busy machine makes it

    def accuracy(architecture, *, share=1.0):
        return 0.5 + micro_space.encode(architecture).sum() / 100

    ledger = Ledger(tmp_path / "ledger.log", "weights", micro_space)
    (result,) = search(micro_space, table, accuracy, ledger, [budget], evaluations=15)
    assert result.best.latency_high_ms <= budget


def test_exported_files_are_verified_in_it_too(micro_space: SearchSpace, tmp_path: Path) -> None:
    space, dataset = micro_space, make_dataset()
    supernet = Trainer(space, dataset, Recipe(epochs=1)).supernet
    model = export(Evaluator(supernet, dataset), space.smallest, tmp_path / "export", ("onnx",))
    verify(model, space, dataset, images=4)
    verified = {v.execution: v for v in load_verifications(model.folder)}
    assert set(verified) >= {ORT, REFERENCE}
    assert verified[REFERENCE].passed and verified[REFERENCE].accuracy == verified[ORT].accuracy


def test_what_may_compute_elsewhere_is_timed_by_the_wall_clock() -> None:
    assert get_runtime("onnx-reference").clock == WALL_TIME
    on_cpu, elsewhere = get_runtime("onnxruntime").for_timer(), get_runtime("onnx-reference").for_timer()
    assert on_cpu["clock"] == CPU_TIME
    assert clock_for(on_cpu, 1) is not clock_for(on_cpu, 2)
    assert clock_for(elsewhere, 1) is clock_for(elsewhere, 2) is clock_for(on_cpu, 2)


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="already"):
        register_runtime(get_runtime("onnx-reference"))
    with pytest.raises(ValueError, match="no opener"):
        register_runtime(Runtime("other", "onnx", ("fp32",), "numpy", module="onnx", opener="by-hand"))
