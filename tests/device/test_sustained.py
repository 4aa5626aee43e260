"""A model that runs without a pause: what is told of its latency, of heat, and what an interruption leaves."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from edgenas.device import Spell, Sustained, device_sustain, device_timer, python_target, ssh_target
from edgenas.latency.microbenchmark import REFERENCE, model_bytes
from edgenas.progress import ticking
from tests.conftest import ORT
from tests.device.test_ssh import Board, board, fake_ssh  # noqa: F401  # fixtures

T = TypeVar("T")


def test_it_runs_for_as_long_as_asked_and_tells_every_part() -> None:
    found = python_target().sustain(model_bytes(REFERENCE, "onnxruntime"), ORT, 1.5)
    assert 1.5 <= found.seconds < 2.5 and found.runs > 30
    assert found.median_ms <= found.p95_ms <= found.p99_ms <= found.most_ms
    assert len(found.spells) == device_sustain.SPELLS
    assert all(a.end_s < b.end_s for a, b in pairwise(found.spells))
    assert found.spells[-1].end_s == found.seconds


class Heating:
    """A device in simulated time that gets slower by 1 % with every run, and warmer."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, 0

    def invoke(self) -> None:
        self.now += 0.010 * 1.01**self.runs
        self.runs += 1

    def conditions(self) -> dict[str, float | int | None]:
        return {"temperature_c": 40.0 + self.runs, "frequency_mhz": 1500.0, "throttled": 0x80008, "throttle_events": None}


def test_heat_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Heating()
    monkeypatch.setattr(device_sustain.time, "perf_counter", lambda: device.now)
    told = device_sustain.sustain(device.invoke, 1.5, device.conditions)
    told["spells"] = tuple(Spell(**spell) for spell in told["spells"])
    found = Sustained(**told)
    times = 10 * 1.01 ** np.arange(device_sustain.FIRST_RUNS, device.runs)
    assert found.runs == len(times)
    assert (found.median_ms, found.p99_ms, found.most_ms) == pytest.approx((*np.percentile(times, [50, 99]), times.max()))
    assert found.drift == pytest.approx(times[-8:].mean() / times[:16].mean() - 1, rel=0.1)
    assert found.temperature_c is not None and found.temperature_c[1] == 40 + device.runs
    assert found.warnings == ("The device was slowed down now by heat: use a stronger power supply, or cool it.",)


def test_only_what_happened_meanwhile_is_warned_of() -> None:
    spells = tuple(Spell(float(i + 1), 1.0, 1.0, throttled=0xF0000, throttle_events=7) for i in range(3))
    quiet = Sustained(3.0, 3, 1.0, 1.0, 1.0, 1.0, spells)
    assert quiet.warnings == () and quiet.temperature_c is None and quiet.drift == 0
    hot = replace(quiet, spells=(*spells[:2], replace(spells[2], throttle_events=9)))
    assert "slowed the processor down 2 times" in hot.warnings[0]


def test_on_a_device_over_ssh(board: Board) -> None:  # noqa: F811
    board.has("python3", f'exec {sys.executable} "$@"')
    with ssh_target("ssh://pi@host", "onnxruntime") as target:
        found = target.sustain(model_bytes(REFERENCE, "onnxruntime"), ORT, 0.6)
    assert found.seconds >= 0.6 and len(found.spells) == device_sustain.SPELLS
    assert not [path for path in board.home.rglob("*") if path.is_file()]


def test_progress_follows_the_clock() -> None:
    seen, closed = [], threading.Event()

    def track(items: Iterable[T], description: str, total: int | None = None) -> Generator[T]:
        try:
            for item in items:
                seen.append(time.monotonic())
                yield item
        finally:
            closed.set()

    with pytest.raises(KeyboardInterrupt), ticking(track, "waiting", 60):
        time.sleep(1.5)
        raise KeyboardInterrupt
    assert 2 <= len(seen) <= 3 and closed.is_set()


def test_an_interruption_ends_the_device_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C comes: while the host waits for the timer, which runs for a minute more."""
    real = device_timer.__file__
    program = tmp_path / "device_timer.py"
    program.write_text(f"import os, runpy, sys\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
                       f"sys.argv[0] = {real!r}\nrunpy.run_path({real!r}, run_name='__main__')\n")  # fmt: skip
    monkeypatch.setattr("edgenas.device.targets.device_timer.__file__", str(program))

    def interrupt() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        python_target().sustain(model_bytes(REFERENCE, "onnxruntime"), ORT, 60)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
