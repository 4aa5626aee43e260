"""Training in two processes, as a user starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.processes import device_name
from edgenas.run import Run
from tests.cli.conftest import TRAIN, edgenas
from tests.cli.test_interrupt import wait_for_checkpoint
from tests.conftest import free_port

COMMAND = ["-m", "edgenas", "train-supernet"]
START = ["--data", "digits", *TRAIN, "--epochs", "2", "--batch-size", "128", "--learning-rate", "0.02"]


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


def curve(run: Path) -> list[float]:
    return [row["loss"] for row in Run.open(run).metrics()]


def test_two_processes_stopped_and_one_that_goes_on_have_the_curve_of_one(tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start([*launch, *COMMAND, *START, "--out", str(two)])
    wait_for_checkpoint(two, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output.count(f"Go on with: edgenas train-supernet --resume {two}") == 1
    assert output.count(" architectures; ") == 1  # one of the two processes speaks
    assert "Error" not in output
    assert edgenas("train-supernet", "--resume", two).exit_code == 0
    alone = edgenas("train-supernet", *START, "--out", one)
    assert alone.exit_code == 0
    assert f"Training on {device_name()} in float32.\n" in alone.output
    assert curve(two) == pytest.approx(curve(one), rel=1e-3)


def test_a_process_that_dies_ends_the_others_with_a_sentence(tmp_path):
    port = free_port()
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    first, second = (
        start([*COMMAND, *START, "--out", str(tmp_path / "run")], RANK=str(r), LOCAL_RANK=str(r), **where) for r in range(2)
    )
    wait_for_checkpoint(tmp_path / "run", first)
    second.kill()
    output, _ = first.communicate(timeout=60)
    second.communicate()
    assert first.returncode == 1
    assert "Another process of this training has ended" in output
    assert "Traceback" not in output
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
