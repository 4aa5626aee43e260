"""Commands that are killed and called again, and what they leave beside what an uninterrupted one leaves."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenas.pipeline.evaluations import run_ledger
from edgenas.run import Run
from edgenas.training.checkpoint import load_tensors
from tests.data.images import write_folder

RUN = Path("runs/my digits")
COMMANDS: dict[str, list[str]] = {
    "train-supernet": ["train-supernet", "--data", "{images}", "--space", "mobilenetv3", "--preset", "tiny", "--width", "0.1",
                       "--resolutions", "8", "--precision", "float32", "--epochs", "3", "--batch-size", "16", "--out",
                       str(RUN)],
    "profile": ["profile", "--device", "cpu"],
    "search": ["search", str(RUN), "--latency", "700us", "--latency", "900us", "--evaluations", "14"],
    "finetune": ["finetune", str(RUN), "--epochs", "3"],
    "export": ["export", str(RUN)],
    "verify": ["verify", str(RUN)],
    "report": ["report", str(RUN)],
}  # fmt: skip
"""In the order of the story: each begins with what those before it leave."""
RESUME = ["train-supernet", "--resume", str(RUN)]
MOST_S = 5.0
"""How long a command may wait for what dead processes have held, and their children may go on."""


@dataclass(frozen=True)
class Done:
    """code: as `subprocess` has it. calls: that it made, of those that are counted, and slept_s: how long it has waited by
    sleeping; neither is known where it was to be ended."""

    code: int
    seconds: float
    output: str
    calls: int | None
    slept_s: float
    group: int


@dataclass
class Warm:
    """The Python that forks. images: to train on. cache, scratch: what commands have for a cache and for temporary files."""

    process: subprocess.Popen[str]
    images: Path
    cache: Path
    scratch: Path
    number: int = 0

    def call(self, folder: Path, arguments: list[str], **end: Any) -> Done:
        """A command in a folder, ended by `signal` after `after_s` or at its `call`-th call, where these are given."""
        self.number += 1
        output = self.scratch.parent / f"output-{self.number}"
        environment = {"EDGENAS_CACHE": str(self.cache), "TMPDIR": str(self.scratch), "SOURCE_DATE_EPOCH": "1700000000"}
        arguments = [argument.format(images=self.images) for argument in arguments]
        request = {"folder": str(folder), "arguments": arguments, "output": str(output), "environment": environment} | end
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        calls = Path(f"{output}.calls")
        text = output.read_text() if output.exists() else ""
        seen = json.loads(calls.read_text()) if calls.exists() else {"calls": None, "slept_s": 0.0}
        return Done(answer["code"], answer["seconds"], text, seen["calls"], seen["slept_s"], answer["group"])


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    scratch, cache = folder / "scratch", folder / "cache"
    scratch.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.warm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "EDGENAS_CACHE": str(cache)}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield Warm(process, write_folder(folder / "pets", {"cat": 30, "dog": 30, "bird": 30}), cache, scratch)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@dataclass
class Story:
    """before: the working folder as each command finds it; after: as it leaves it. done: how it went."""

    warm: Warm
    folder: Path
    before: dict[str, Path] = field(default_factory=dict)
    after: dict[str, Path] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)

    def tell(self, last: str = "report") -> None:
        """The commands up to one, uninterrupted. The first twice, so that no time is of a cache that is empty."""
        empty = self.folder / "empty"
        empty.mkdir()
        self.warm.call(shutil.copytree(empty, self.folder / "warm up"), COMMANDS["train-supernet"])
        for name, arguments in COMMANDS.items():
            self.before[name] = next(reversed(self.after.values()), empty)
            self.after[name] = shutil.copytree(self.before[name], self.folder / name)
            self.done[name] = self.warm.call(self.after[name], arguments)
            assert self.done[name].code == 0, self.done[name].output
            if name == last:
                return


@dataclass(frozen=True)
class Moment:
    """When a command is ended, and how: after a share of its time, or before one of its calls, as a share of them."""

    command: str
    signal: signal.Signals
    share: float
    by_call: bool

    def __str__(self) -> str:
        return f"{self.command} {self.signal.name} {'at call' if self.by_call else 'after'} {self.share:.3f}"


ENDS = (*[signal.SIGKILL] * 4, signal.SIGTERM, signal.SIGINT)


def moments(command: str, count: int, seed: int) -> list[Moment]:
    """Every second one is a call. Of three ends one is no kill -9, and commands begin with different ones."""
    rng, first = random.Random(f"{command} {seed}"), list(COMMANDS).index(command)
    return [Moment(command, ENDS[(first + i // 2) % len(ENDS)], rng.random(), bool(i % 2)) for i in range(count)]


def faults(story: Story, moment: Moment, folder: Path) -> list[str]:
    """What is wrong after a command was ended at a moment and called again; nothing where all is well."""
    name = moment.command
    whole = story.done[name]
    shutil.copytree(story.before[name], folder)
    scratch = set(story.warm.scratch.iterdir())
    assert whole.calls is not None
    when = {"call": 1 + int(moment.share * whole.calls)} if moment.by_call else {"after_s": moment.share * whole.seconds}
    ended = story.warm.call(folder, COMMANDS[name], signal=int(moment.signal), **when)
    wrong = _ended_well(moment, ended)
    if survivors := _survivors(ended.group):
        wrong.append(f"goes on running: {survivors}")
    if not differences(story.after[name], folder):
        shutil.rmtree(folder)
        return wrong  # it had ended: a search would begin anew, as it says
    again = RESUME if name == "train-supernet" and (folder / RUN / "config.toml").exists() else COMMANDS[name]
    done = story.warm.call(folder, again)
    if done.code:
        return [*wrong, f"called again: exit {done.code}: {done.output[-600:]}"]
    if done.slept_s > whole.slept_s + MOST_S:
        wrong.append(f"called again: waits {done.slept_s:.1f} s: {done.output[-300:]}")
    wrong += differences(story.after[name], folder)
    left = sorted(path.name for path in set(story.warm.scratch.iterdir()) - scratch if path.name.startswith("edgenas"))
    if left:
        wrong.append(f"left in the temporary folder: {left}")
    shutil.rmtree(folder)
    return wrong


def _ended_well(moment: Moment, ended: Done) -> list[str]:
    """What a command says of its end, where it can say anything."""
    if moment.signal == signal.SIGKILL or ended.code == 0:
        return []
    wrong = []
    if ended.code != 128 + moment.signal:
        wrong.append(f"exit {ended.code} on {moment.signal.name}")
    if "Traceback" in ended.output:
        wrong.append(f"a traceback: ... {ended.output[-600:]}")
    if "Stopped" not in ended.output or ("edgenas " not in ended.output and "the same command" not in ended.output):
        wrong.append(f"does not say how to go on: {ended.output[-300:]}")
    return wrong


def _survivors(group: int) -> list[str]:
    """The processes of a command that go on without it. One that ends has no memory, so no command line, any more."""

    def running() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == group and fields[0] != "Z":
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return list(filter(None, found))

    end = time.monotonic() + MOST_S
    while (left := running()) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def differences(whole: Path, other: Path) -> list[str]:
    """How what two working folders hold differs, in words."""
    files = [{str(p.relative_to(folder)) for p in folder.rglob("*") if _counts(p)} for folder in (whole, other)]
    wrong = [f"missing: {name}" for name in sorted(files[0] - files[1])]
    wrong += [f"left over: {name}" for name in sorted(files[1] - files[0])]
    for name in sorted(files[0] & files[1]):
        if (whole / name).is_file() and _comparable(whole / name) != _comparable(other / name):
            wrong.append(f"different: {name}")
    return wrong


def _counts(path: Path) -> bool:
    """Not what is of every start: TensorBoard's event files, and the list of the commands that were given."""
    return "tensorboard" not in path.parts and path.name != "commands.log"


def _comparable(path: Path) -> Any:
    """What is to be the same of a file: of the ledger what it knows, of others all but how long something took."""
    if path.name == "evaluations.log":
        genomes, accuracies = run_ledger(Run.open(path.parents[1])).arrays()
        return genomes.tolist(), accuracies.tolist()
    if path.suffix == ".safetensors":
        tensors, about = load_tensors(path)
        return {name: tensor.tolist() for name, tensor in tensors.items()}, {k: v for k, v in about.items() if k != "seconds"}
    if path.suffix == ".png":
        return path.read_bytes()[:8]  # the curve has the seconds on its axis
    return MOVING.sub(b"", path.read_bytes())


MOVING = re.compile(rb'"(seconds|date|load_average|temperature_c|memory_bytes)": [^,}\n]+')
"""What of a file is of the moment when it was written."""
