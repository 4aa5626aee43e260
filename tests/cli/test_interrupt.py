"""Training that is killed or interrupted, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgenas.training.checkpoint import load_tensors
from tests.cli.conftest import TRAIN
from tests.conftest import wait_until

COMMAND = [sys.executable, "-m", "edgenas", "train-supernet"]
START = [*COMMAND, "--data", "digits", *TRAIN, "--epochs", "4", "--batch-size", "128"]


def wait_for_checkpoint(run: Path, process: subprocess.Popen) -> None:
    checkpoint = run / "checkpoint.safetensors"
    wait_until(lambda: checkpoint.exists() or process.poll() is not None, seconds=120)
    assert process.poll() is None, "training ended before it could be interrupted"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    env = os.environ | {"EDGENAS_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}
    subprocess.run([*START, "--out", str(run)], check=True, capture_output=True, env=env)
    return load_tensors(run / "supernet.safetensors")[0]


def processes_of(run: Path) -> list[str]:
    """The processes whose command line names this run."""
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    return [line.decode() for line in lines if str(run).encode() in line]


@pytest.mark.parametrize(
    ("by", "how"),
    [(signal.SIGKILL, []), (signal.SIGINT, ["--stream"]), (signal.SIGTERM, [])],
    ids=["killed", "streamed, Ctrl-C", "terminated"],
)
def test_resumed_training_ends_with_the_same_weights(tmp_path, whole, by, how):
    run = tmp_path / "run"
    command = [*START, *how, "--out", str(run)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for_checkpoint(run, process)
        os.killpg(process.pid, by)  # as a terminal does: every process of the group gets it
        _, errors = process.communicate(timeout=60)
    if by != signal.SIGKILL:
        assert process.returncode == 128 + by
        assert f"edgenas train-supernet --resume {run}" in errors
        assert "Traceback" not in errors
        assert processes_of(run) == []
    assert not (run / "supernet.safetensors").exists()
    resumed = subprocess.run([*COMMAND, "--resume", str(run)], capture_output=True, text=True, check=True)
    assert "Trained" in resumed.stdout
    weights, _ = load_tensors(run / "supernet.safetensors")
    assert weights.keys() == whole.keys()
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
    epochs = [line.split(",")[0] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [f'{{"epoch": {n}' for n in range(1, 5)]
