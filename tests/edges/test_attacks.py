"""What others hand us, made to mislead: results, tables, answers, run folders. Each was believed once."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgenas.device import DeviceProfile, Execution, Provenance, load_device, ssh
from edgenas.errors import CheckpointError, EdgeNASError, UsageError
from edgenas.export import load_exports
from edgenas.latency import LatencyTable, load_table, profile
from edgenas.metric import Score
from edgenas.run import Run
from edgenas.space import SearchSpace, get_space
from edgenas.training import FineTuned, Trainer, finetune_recipe, load_images, load_supernet
from edgenas.training.checkpoint import load_tensors, save_tensors
from edgenas.training.finetuned import save_finetuned, sweep_checkpoints
from tests.cli.conftest import edgenas
from tests.edges.conftest import TABLE, bounded, content

BUNDLE = Path(__file__).parents[1] / "latency" / "bundle_of_1a12b32.json"
BOX = 'name = "box"\ndescription = ""\narch = "native"\nruntime = "onnxruntime"\nthreads = 1\nreach = "remote"\n'
RUN = Path("runs/old")


@pytest.fixture
def work(old_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(old_workspace, tmp_path / "inner" / "work")
    monkeypatch.chdir(tmp_path / "inner" / "work")
    yield tmp_path


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("threads", ["/../../../escaped-", -1, 1.5, 0, "1", [], 10**9])
def test_no_text_of_a_result_leads_out_of_the_folder_of_devices(work, threads):
    Path("devices/box.toml").write_text(BOX)
    shutil.copy(BUNDLE, "result.json")
    edit(Path("result.json"), threads=threads)
    before = content(work)
    result = edgenas("profile", "--device", "box", "--from", "result.json", "--run", RUN)
    assert result.exit_code == 1 and "threads must be a whole number from 1" in result.output
    assert content(work) == before


@pytest.mark.parametrize("name", ["..", "/etc/x", "a/b", "a\0", "", "x" * 300])
def test_nothing_that_names_a_file_has_a_path_in_it(name):
    for execution in ({"runtime": name}, {"runtime": "onnxruntime", "precision": name}):
        with pytest.raises(UsageError, match="must be text of up to 100 letters"):
            Execution(**execution)


class Liar:
    """A device that says of every model what `of` makes of its name."""

    def __init__(self, of: Any):
        self._of = of

    def environment(self, runtime: str) -> Provenance:
        return Provenance(runtime=runtime, runtime_version="1", machine="x86_64", cores=2, fingerprint="ab")

    def time(self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, **_: Any) -> dict[str, Any]:
        return self._of(list(models), rounds)

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        raise NotImplementedError


def times(value: Any) -> Any:
    return lambda models, rounds: {name: [value] * rounds for name in models}


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (times(-1.0), "must be a number from 0 to"),
        (times(float("nan")), "must be a number from 0 to"),
        (times(1e308), "must be a number from 0 to"),
        (times(0), "took no time"),
        (times("1.0"), "must be a number from 0 to"),
        (times(None), "must be a number from 0 to"),
        (lambda models, rounds: {name: [1.0] * (rounds - 1) for name in models}, "must be a list with 2 times, not with 1"),
        (lambda models, rounds: dict.fromkeys(models, 1.0), "must be a list with 2 times, not 1.0"),
        (lambda models, rounds: {name: [1.0] * rounds for name in models[1:]}, "instead of those that it was asked for"),
        (lambda models, rounds: {name: [1.0] * rounds for name in [*models, "x"]}, "instead of those that it was asked for"),
        (lambda models, rounds: {n: [1.0 + (n == " empty")] * rounds for n in models}, "takes longer than an empty model"),
    ],
)
def test_nonsense_is_never_measured(of, reason, micro_space: SearchSpace, tmp_path):
    device = DeviceProfile("box", "", "native", "onnxruntime", 1)
    with pytest.raises(EdgeNASError, match=reason):
        profile(micro_space, device, Liar(of), tmp_path / "t.json", Execution("onnxruntime"), rounds=2)
    if (tmp_path / "t.json").exists():
        assert not LatencyTable.load(tmp_path / "t.json").covers(micro_space)


def test_a_table_of_another_device_is_not_taken(work):
    space = Run.open(RUN).space
    for change in ({"device": "pi4"}, {"threads": 4}, {"runtime": "litert"}):
        whole = TABLE.read_text()
        edit(TABLE, **change)
        with pytest.raises(EdgeNASError, match="is the table of"):
            load_table(load_device("cpu"), space)
        TABLE.write_text(whole)


NOTHING = {"overhead_ms": 0.0, "scale": 0.0, "weights_ms": 0.0}


@pytest.mark.parametrize("change", [{"overhead_ms": -5.3}, {"se_ms": -1e3}, NOTHING])
def test_a_table_whose_networks_take_no_time_is_not_taken(work, change):
    space = Run.open(RUN).space
    calibration = json.loads(TABLE.read_text())["calibrations"][space.fingerprint]
    edit(TABLE, calibrations={space.fingerprint: calibration | {"se_ms": 0.0, "corrections": {}} | change})
    with pytest.raises(EdgeNASError, match="predicts latencies below zero"):
        load_table(load_device("cpu"), space)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_supernet_of_no_numbers_is_not_searched(work, value):
    tensors, about = load_tensors(RUN / "supernet.safetensors")
    first = next(name for name in tensors if tensors[name].is_floating_point())
    save_tensors(RUN / "supernet.safetensors", tensors | {first: torch.full_like(tensors[first], value)}, about)
    result = edgenas("search", RUN, "--latency", "1ms", "--evaluations", "10")
    assert result.exit_code == 1 and "holds no finite numbers" in result.output


def test_a_checkpoint_of_another_network_is_one_sentence(work):
    tensors, about = load_tensors(RUN / "supernet.safetensors")
    save_tensors(RUN / "supernet.safetensors", dict(list(tensors.items())[1:]), about)
    with pytest.raises(CheckpointError, match="does not hold the weights of this network"):
        load_supernet(Run.open(RUN))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model["classes"].reverse(),
        lambda model: model["preprocessing"].update(std=[9.0, 9.0, 9.0]),
        lambda model: model["preprocessing"].update(mean=[0.0, 0.9, 0.0]),
    ],
)
def test_verify_proves_what_is_shipped(work, change):
    run = Run.open(RUN)
    run.export("onnx")
    assert all(v.passed for _, rows in run.verify(images=40).results for v in rows)
    path = next((RUN / "export").glob("*/model.json"))
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))
    result = edgenas("verify", RUN, "--images", "40")
    assert result.exit_code == 1 and "Outputs differ from what they must be" in result.output


def test_a_model_for_images_of_another_size_is_refused(work):
    path = next((RUN / "export").glob("*/model.json"))
    edit(path, preprocessing=json.loads(path.read_text())["preprocessing"] | {"resolution": 999})
    with pytest.raises(CheckpointError, match="its images have 999 pixels, its network takes"):
        load_exports(RUN / "export")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("channels = 16", "channels = 1000000000"),
        ("depths = [", "depths = [1000000000, "),
        ("kernels = [", "kernels = [99999, "),
        ("expands = [", "expands = [1e9, "),
        ("resolutions = [", f"resolutions = [{', '.join(map(str, range(30, 20030)))}, "),
        ("resolutions = [", "resolutions = [100000, "),
        ("channels = 16", "channels = 8000"),
    ],
)
def test_a_space_that_nothing_could_hold_is_refused_before_it_is_built(work, old, new):
    families = Path(__file__).parents[2] / "edgenas/space/families"
    text = (families / "mobilenetv3/imagenet.toml").read_text()
    assert old in text
    Path("huge.toml").write_text(text.replace(old, new))
    with bounded(seconds=10, more_bytes=2**30), pytest.raises(UsageError, match=r"huge\.toml, line \d+: "):
        get_space("huge.toml", None, 1000)


def test_a_device_that_never_stops_talking_is_left():
    with pytest.raises(EdgeNASError, match="prints without end"):
        ssh._read_all(Endless(), "ssh://box")


class Endless(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return b"y" * size


def test_a_result_of_a_terabyte_is_not_unpacked(tmp_path):
    member = tarfile.TarInfo("result.json")
    member.size = 2**40
    with pytest.raises(EdgeNASError, match=r"sent 1099511627776 bytes of result\.json"):
        ssh._extract(io.BytesIO(member.tobuf()), tmp_path)


def test_a_torn_line_of_metrics_costs_that_line_alone(work):
    run, file = Run.open(RUN), RUN / "metrics.jsonl"
    rows = run.metrics()
    file.write_bytes(file.read_bytes()[:-20])
    assert run.metrics() == rows[:-1]
    run.record(rows[-1])
    assert run.metrics() == rows


def test_exports_can_be_made_again_byte_by_byte(work, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    made: list[Mapping[str, bytes]] = []
    for _ in range(2):
        shutil.rmtree(RUN / "export")
        Run.open(RUN).export()
        made.append(content(RUN / "export"))
    assert len(made[0]) == 6 and made[0] == made[1]


def test_a_search_that_is_repeated_says_that_its_budget_begins_anew(work):
    result = edgenas("search", RUN, "--latency", "1ms", "--evaluations", "10")
    assert result.exit_code == 0, result.output
    assert "12 evaluations are known already: --evaluations 10 begins anew, and counts new ones" in result.output


def test_what_killed_processes_left_in_a_run_is_swept(work):
    left = [RUN / name for name in (".config.toml.abcdefgh", "search/.cpu-1ms.json.abcdefgh", "export/79e19806/.x.12345678")]
    for path in (*left, RUN / "checkpoint.safetensors"):
        path.write_bytes(b"half")
    run = Run.open(RUN)
    assert not any(path.exists() for path in (*left, run.checkpoint))


@pytest.mark.parametrize("finished", [True, False])
def test_the_checkpoint_of_a_finished_finetuning_is_swept_and_that_of_one_at_work_is_kept(work, finished):
    run = Run.open(RUN)
    architecture = load_exports(run.path / "export")[0].architecture
    recipe = finetune_recipe(run, epochs=3)
    network = load_supernet(run).extract(architecture)
    save_finetuned(run, architecture, FineTuned(network, recipe, True, *(Score.of_accuracy(a, 90) for a in (0.5, 0.6))))
    trainer = Trainer(run.space.restricted_to(architecture), load_images(run), recipe)
    trainer.epoch = recipe.epochs if finished else 1
    checkpoint = run.path / "finetune" / f"{architecture.id}.checkpoint.safetensors"
    trainer.save(checkpoint)
    sweep_checkpoints(run)
    assert checkpoint.exists() == (not finished)
    assert replace(recipe, epochs=1) != recipe
