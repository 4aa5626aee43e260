"""Files that others wrote, damaged at random: each is read, or refused in one sentence, with little memory and at once.

EDGENAS_FUZZ_SEEDS: how many seeds each kind gets, in place of the few of a usual run, which are some 400 in all.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgenas.baseline.record import OwnFile
from edgenas.data import Dataset, RecordedSplit, load_dataset
from edgenas.device import BundleTarget, Execution, load_device
from edgenas.device.bundle import job_key
from edgenas.device.targets import JobTarget
from edgenas.errors import EdgeNASError
from edgenas.export import Preprocessing, load_exports, load_verifications
from edgenas.graph import build_onnx
from edgenas.latency import load_table
from edgenas.latency.bench import believed
from edgenas.metric import Answers, Score
from edgenas.pipeline.evaluations import known_evaluations, run_ledger
from edgenas.pipeline.winners import winners
from edgenas.pretrained.tensor_files import read_state
from edgenas.quantisation import Range, calibrated
from edgenas.quantisation.calibration import Calibration
from edgenas.report import class_rows, contestants, judge, summarise
from edgenas.run import Run
from edgenas.search import Ledger, load_records
from edgenas.space import get_space
from edgenas.supernet import fold
from edgenas.training import FineTuned, OnnxClassifier, Trainer, load_images, load_supernet, read_recipe
from edgenas.training.finetuned import load_finetuned, save_finetuned, sweep_checkpoints
from edgenas.values import plain
from tests.conftest import make_micro_space
from tests.edges import mutations
from tests.edges.conftest import TABLE, bounded

SEEDS = int(os.environ.get("EDGENAS_FUZZ_SEEDS", 20))
BUNDLE = Path(__file__).parents[1] / "latency" / "bundle_of_1a12b32.json"
ROOT = Path(__file__).parents[2]

RUN = Path("runs/old")
EXPORTED = RUN / "export/79e19806"


def look() -> None:
    """All that is read of a run by search, export and report, but for its images."""
    run = Run.open(RUN)
    _ = run.space.largest, run.recipe, run.metrics(), run.provenance, run.majority("test"), run.images("train")
    winners(run)
    summarise(run), class_rows(run)
    judge(run, contestants(run))


def ledger() -> None:
    run = Run.open(RUN)
    for read in (known_evaluations, run_ledger):
        genomes, accuracies = read(run).arrays()
        assert ((accuracies >= 0) & (accuracies <= 1)).all() and len(genomes) == len(accuracies)


def database() -> None:
    """Evaluations in a database, read and added to."""
    space = Run.open(RUN).space
    shared = Ledger("sqlite:///shared.db", "weights", space)
    shared.arrays()
    shared.evaluate(space.smallest, lambda architecture: 0.25)


def table() -> None:
    run = Run.open(RUN)
    latencies = load_table(load_device("cpu"), run.space)
    assert (latencies.predict(run.space, run.space.sample(np.random.default_rng(1), 100)) > 0).all()
    str(latencies.calibration(run.space).relative_interval())


def exported() -> None:
    run = Run.open(RUN)
    for model in load_exports(run.path / "export"):
        model.network(run.space)
        load_verifications(model.folder)


def images() -> None:
    """A record of images, and the images that it says."""
    classes = tuple("0123456789")
    load_dataset("digits", size=8, recorded=RecordedSplit.load(Path("images.csv"), classes).apart())


def finetuned() -> None:
    run = Run.open(RUN)
    sweep_checkpoints(run)
    for precision in ("fp32", "int8"):
        load_finetuned(run, load_exports(run.path / "export")[0].architecture, precision)


def bundle() -> None:
    target = BundleTarget.load(Path("result.json"), make_micro_space(), "box")
    names = next(iter(target.times_ms.values()))
    assert job_key(names)


def answer() -> None:
    def run_folder(folder: Path) -> None:
        shutil.copy("answer.json", folder / "result.json")

    target = JobTarget(run_folder)
    target.environment("onnxruntime")
    believed(target.time({"a": b"", "b": b""}, Execution("onnxruntime"), rounds=3), ["a", "b"], 3)


def outputs() -> None:
    def run_folder(folder: Path) -> None:
        shutil.copy("good_answer.json", folder / "result.json")
        shutil.copy("outputs.npy", folder / "outputs.npy")

    JobTarget(run_folder).run(b"", np.zeros((5, 2), np.float32), Execution("onnxruntime"))


def write_answers(folder: Path) -> None:
    about = {"runtime": "onnxruntime", "runtime_version": "1", "cores": 2, "execution_providers": ["CPU"], "emulated": False}
    text = json.dumps({"environment": about, "times_ms": {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.5, 0.25]}})
    (folder / "answer.json").write_text(text)
    (folder / "good_answer.json").write_text(text)
    np.save(folder / "outputs.npy", np.arange(15, dtype=np.float32).reshape(5, 3))


@pytest.fixture(scope="module")
def dataset(workshop: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop)
        return load_images(Run.open(RUN))


def write_scores(run: Run) -> None:
    """What the old run lacks: answers to images, and scores by them."""
    score, answers = Score.of_accuracy(0.5, 90, 0.2), Answers(np.arange(90) % 10, np.arange(90) % 7, 10)
    run_ledger(run).evaluate(run.space.decode(run.space.sample(np.random.default_rng(7), 1)[0]), lambda _: answers)
    rows = run.metrics()
    rows[-1] |= {"largest_validation": plain(score), "smallest_validation": plain(score), "never_found": ["1"]}
    run.keep_metrics(rows)
    for record in load_records(run.path / "search"):
        replace(record, score=score, tied=(record.front[0].architecture.id,)).save(run.path / "search")


@pytest.fixture(scope="module")
def workshop(old_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good file of every kind."""
    folder = tmp_path_factory.mktemp("fuzz") / "good"
    shutil.copytree(old_workspace, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = Run.open(RUN)
        architecture = load_exports(run.path / "export")[0].architecture
        network = load_supernet(run).extract(architecture)
        tuned = FineTuned(network, run.recipe, True, *(Score.of_accuracy(a, 90) for a in (0.5, 0.6)))
        save_finetuned(run, architecture, tuned)
        ranges = {value.name: Range(-1, 1) for value in calibrated(network.specs)}
        save_finetuned(
            run, architecture, replace(tuned, calibration=Calibration("trained", 9, False, False, ranges), origin="ab")
        )
        write_scores(run)
        dataset = load_images(run)
        Trainer(run.space, dataset, run.recipe).save(Path("checkpoint.safetensors"))
        dataset.record.save(Path("images.csv"))
        metadata = {"classes": json.dumps(run.classes), "preprocessing": json.dumps({"mean": [0.5] * 3, "std": [0.5] * 3})}
        Path("mine.onnx").write_bytes(build_onnx(network.specs, fold(network), metadata=metadata).SerializeToString())
        torch.save(network.state_dict(), "weights.pt", _use_new_zipfile_serialization=False)
        OwnFile("/home/me/mine.onnx", "ab12", Preprocessing(16, (0.5,) * 3, (0.5,) * 3)).save(folder)
        shared = Ledger("sqlite:///shared.db", "weights", run.space)
        shared.evaluate(run.space.largest, lambda architecture: 0.5)
    shutil.copy(BUNDLE, folder / "result.json")
    write_answers(folder)
    (folder / "recipe.toml").write_text('batch_size = 64\noptimizer = "adam"\nmacs = [5e6, 1e7]\nbalance = true\nepochs = 3\n')
    shutil.copy(ROOT / "edgenas/space/families/mobilenetv4/tiny.toml", folder / "space.toml")
    (folder / "devices/box.toml").write_text((ROOT / "devices/pi4.toml").read_text().replace('"pi4"', '"box"'))
    return folder


Damage = Callable[[bytes, random.Random], bytes]
KINDS: dict[str, tuple[Path, Damage, Callable[[], object]]] = {
    "config": (RUN / "config.toml", mutations.damaged_toml, look),
    "metrics": (RUN / "metrics.jsonl", mutations.damaged_lines, look),
    "record": (RUN / "search/cpu-1ms.json", mutations.damaged_json, look),
    "model": (EXPORTED / "model.json", mutations.damaged_json, look),
    "verification": (EXPORTED / "verify.json", mutations.damaged_json, look),
    "ledger": (RUN / "search/evaluations.log", mutations.damaged_lines, ledger),
    "database": (Path("shared.db"), mutations.damaged_bytes, database),
    "pretrained": (Path("weights.pt"), mutations.damaged_bytes, lambda: read_state(Path("weights.pt"))),
    "table": (TABLE, mutations.damaged_json, table),
    "weights": (RUN / "supernet.safetensors", mutations.damaged_tensors, lambda: load_supernet(Run.open(RUN))),
    "exported weights": (EXPORTED / "weights.safetensors", mutations.damaged_tensors, exported),
    "finetuned": (RUN / "finetune/79e19806.safetensors", mutations.damaged_tensors, finetuned),
    "trained in int8": (RUN / "finetune/79e19806-int8.safetensors", mutations.damaged_tensors, finetuned),
    "bundle": (Path("result.json"), mutations.damaged_json, bundle),
    "answer": (Path("answer.json"), mutations.damaged_json, answer),
    "outputs": (Path("outputs.npy"), mutations.damaged_bytes, outputs),
    "recipe": (Path("recipe.toml"), mutations.damaged_toml, lambda: read_recipe(Path("recipe.toml"))),
    "space": (Path("space.toml"), mutations.damaged_toml, lambda: get_space("space.toml", None, 10).distinct_blocks),
    "device": (Path("devices/box.toml"), mutations.damaged_toml, lambda: load_device("box")),
    "images": (Path("images.csv"), mutations.damaged_bytes, images),
    "own file": (Path("file.json"), mutations.damaged_json, lambda: OwnFile.load(Path())),
}


@pytest.mark.parametrize("kind", KINDS)
def test_is_read_or_refused(kind: str, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, damage, use = KINDS[kind]
    attack(path, damage, use, workshop, tmp_path / "work", monkeypatch)


def test_a_checkpoint(workshop: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use() -> None:
        run = Run.open(RUN)
        Trainer(run.space, dataset, run.recipe).load(Path("checkpoint.safetensors"))

    attack(Path("checkpoint.safetensors"), mutations.damaged_tensors, use, workshop, tmp_path / "work", monkeypatch)


def test_a_model_of_ones_own(workshop: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use() -> None:
        OnnxClassifier.read(Path("mine.onnx"), dataset)

    def damage(content: bytes, rng: random.Random) -> bytes:
        """Its metadata, and no more bytes or fewer: what is around it is ONNX Runtime's to read."""
        for key in (b"[0.5, 0.5, 0.5]", b'"0", "1"'):
            others = [key, key[:-1] + b" ", *(letter * len(key) for letter in (b"9", b"[", b"x"))]
            content = content.replace(key, rng.choice(others))
        return content

    attack(Path("mine.onnx"), damage, use, workshop, tmp_path / "work", monkeypatch, structure_only=True)


def attack(
    path: Path, damage: Damage, use: Callable[[], object], workshop: Path, work: Path, monkeypatch: pytest.MonkeyPatch,
    structure_only: bool = False,
) -> None:  # fmt: skip
    shutil.copytree(workshop, work)
    monkeypatch.chdir(work)
    use()  # what is not damaged is read
    good, faults = path.read_bytes(), []
    for seed in range(SEEDS):
        rng = random.Random(f"{path.name} {seed}")
        bad = damage(good, rng) if structure_only or seed % 3 else mutations.damaged_bytes(good, rng)
        path.write_bytes(bad)
        try:
            with bounded(seconds=30):
                use()
        except EdgeNASError as error:
            if len(str(error)) > 1500 or {"\0", "\x1b"} & set(str(error)):
                faults.append(f"seed {seed}: {error!r:.300}")
        except Exception as error:
            faults.append(f"seed {seed}: {error!r:.300}")
        aside = path.with_name(f"{path.name}.damaged")
        aside.unlink(missing_ok=True)
    assert not faults
    assert not [p for p in work.rglob("*") if "escaped" in p.name]
