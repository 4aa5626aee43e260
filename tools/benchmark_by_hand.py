"""What the search finds beside the network that one would have picked, in equal time: the front against one network by hand.

python tools/benchmark_by_hand.py run flowers.zip runs/flowers-0 --budgets 0.8ms,1.2ms,2ms --resolutions 96,128,160,192
python tools/benchmark_by_hand.py compare runs/flowers-*

`run` calls the commands that a user would: the front gets `--minutes` for training, search and fine-tuning together, and the
network by hand the same minutes at each resolution. It counts CPU time, so start it with OMP_NUM_THREADS=1 on a machine that
does something else besides. A step that is done is not done again. `compare` sets the test accuracies of one or several such
runs against latency, in every runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARES = {"training": 0.45, "fine-tuning": 0.4}
"""Of the minutes; the rest is for the search."""


class Point(NamedTuple):
    """A verified file: its name, top-1 accuracy on the test images in 0..1 and latency in ms."""

    name: str
    accuracy: float
    latency_ms: float


def run_all(args: argparse.Namespace) -> None:
    run, seconds = str(args.run), 60 * args.minutes
    pretrained = ["--pretrained", args.pretrained] if args.pretrained else []
    train = ["train-supernet", "--data", args.data, *pretrained, "--time", f"{SHARES['training'] * seconds:.0f}s"]
    steps = {
        "training": [*train, "--seed", str(args.seed), *args.train, "--out", run],
        "profile": ["profile", "--device", "cpu", "--run", run],
        "profile in litert": ["profile", "--device", "cpu", "--runtime", "litert", "--run", run],
        "search": [
            "search", run, "--device", "cpu", "--evaluations", str(args.evaluations), "--seed", str(args.seed),
            *(word for budget in args.budgets.split(",") for word in ("--latency", budget)),
        ],
        "fine-tuning": ["finetune", run, "--time", f"{SHARES['fine-tuning'] * seconds:.0f}s", "--seed", str(args.seed)],
        "export": ["export", run],
        "verify": ["verify", run],
        "by hand": [
            "baseline", run, "--network", args.network, "--resolutions", args.resolutions, "--time", f"{seconds:.0f}s",
        ],
        "report": ["report", run],
    }  # fmt: skip
    log = args.run.with_name(f"{args.run.name}.steps.json")
    done = json.loads(log.read_text()) if log.exists() else {}
    for step, command in steps.items():
        if step not in done:
            done[step] = cpu_seconds([sys.executable, "-m", "edgenas", *command])
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(json.dumps(done, indent=1))
    minutes = sum(done[step] for step in ("training", "search", "fine-tuning")) / 60
    print(f"CPU-minutes of training, search and fine-tuning: {minutes:.1f}. Of every step: {done}")
    compare([args.run])


def cpu_seconds(command: list[str]) -> float:
    """Run a command to its end and count what it and its processes computed."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[2:])} ended with {os.waitstatus_to_exitcode(status)}: start again to go on.")
    return round(usage.ru_utime + usage.ru_stime, 1)


def compare(runs: list[Path]) -> None:
    for runtime in sorted({runtime for run in runs for runtime, *_ in points(run)}):
        print(f"\n{runtime}")
        for run in runs:
            for name, winners, by_hand in points(run):
                if name == runtime:
                    show(run.name, winners, by_hand)


def show(run: str, winners: list[Point], by_hand: list[Point]) -> None:
    for point in by_hand:
        print(f"  {run:16s} {point.name:26s} {100 * point.accuracy:6.2f} % {point.latency_ms:7.3f} ms  by hand")
    for point in winners:
        print(
            f"  {run:16s} {point.name:26s} {100 * point.accuracy:6.2f} % {point.latency_ms:7.3f} ms  {verdict(point, by_hand)}"
        )


def verdict(winner: Point, by_hand: list[Point]) -> str:
    """Against the network by hand, interpolated between its resolutions in log latency."""
    line = sorted(by_hand, key=lambda point: point.latency_ms)
    logs, accuracy = np.log([p.latency_ms for p in line]), np.maximum.accumulate([p.accuracy for p in line])
    words = []
    if winner.accuracy <= accuracy[-1]:
        # Where it is less accurate than even the smallest, that one is the fastest that is as good.
        equal_ms = np.exp(np.interp(winner.accuracy, accuracy, logs))
        least = "at most " if winner.accuracy < accuracy[0] else ""
        words.append(f"{least}{winner.latency_ms / equal_ms:.2f}x the latency at equal accuracy")
    else:
        words.append(f"more accurate than any, at {winner.latency_ms / line[-1].latency_ms:.2f}x the latency of the largest")
    if winner.latency_ms >= line[0].latency_ms:
        gain = winner.accuracy - np.interp(np.log(winner.latency_ms), logs, accuracy)
        words.append(f"{100 * gain:+.1f} points at equal latency")
    else:
        words.append("faster than any")
    return "; ".join(words)


def points(run: Path) -> Iterator[tuple[str, list[Point], list[Point]]]:
    """For every runtime of a report the winners and the networks by hand."""
    report = json.loads((run / "report.json").read_text())
    rows = sorted(report["winners"], key=lambda row: row["runtime"])
    for runtime, group in groupby(rows, key=lambda row: row["runtime"]):
        winners = {row["id"]: Point(row["id"], row["exported_accuracy"], row["measured_ms"]) for row in group}
        by_hand = [Point(b["name"], b["accuracy"], b["latency_ms"]) for b in report["baselines"] if b["runtime"] == runtime]
        yield runtime, sorted(winners.values(), key=lambda p: p.latency_ms), by_hand


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.add_argument("data")
    run.add_argument("run", type=Path)
    run.add_argument("--budgets", required=True, help="latencies in ONNX Runtime, such as 0.8ms,1.2ms,2ms")
    run.add_argument("--pretrained", default="efficientnet-lite0", help="empty: from scratch")
    run.add_argument("--network", default="efficientnet-lite0", help="the one by hand")
    run.add_argument("--resolutions", default="96,128,160,192")
    run.add_argument("--minutes", type=float, default=20.0)
    run.add_argument("--evaluations", type=int, default=25)
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="all that follows goes to train-supernet")
    run.set_defaults(main=run_all)
    many = commands.add_parser("compare")
    many.add_argument("runs", type=Path, nargs="+")
    many.set_defaults(main=lambda args: compare(args.runs))
    args = parser.parse_args()
    args.main(args)


if __name__ == "__main__":
    main()
