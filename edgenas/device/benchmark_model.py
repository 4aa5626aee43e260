"""LiteRT's own program, `benchmark_model`: what it is told, and what it prints.

What it prints is written by these of its sources (google-ai-edge/LiteRT, tflite/, and TensorFlow's before, tensorflow/lite/):
the times by tools/benchmark/benchmark_model.cc, how far a delegate goes by benchmark_tflite_model.cc, which has most options,
the parts of a profile by profiling/profile_summarizer.cc and profile_summary_formatter.cc, its tables by
xla/tsl/util/stats_calculator.cc. Their columns are parted by tabs; versions differ in which there are, and not in their names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from edgenas.device.execution import Execution
from edgenas.device.runtimes import ON_PHONES
from edgenas.errors import EdgeNASError
from edgenas.values import cores_of
from edgenas.values.kinds import Count, Elapsed, Line

PROGRAM = "benchmark_model"

_DELEGATES = {
    "litert": "--use_xnnpack=true",
    "litert-gpu": "--use_gpu=true --gpu_precision_loss_allowed={half}",
    "litert-nnapi": "--use_nnapi=true --nnapi_allow_fp16={half}",
}
"""By runtime: the options with which it applies it; half: whether it may compute in float16."""

PROFILED = "--enable_op_profiling=true"
PLAIN = "--use_xnnpack=false"
"""What no other delegate takes is computed by LiteRT's own kernels, which a profile names as the file does."""

_WHOLE = "will be completely executed by the delegate"
_RUNS, _INSIDE = "Operator-wise Profiling Info for Regular Benchmark Runs:", "Delegate internal:"
_OF_THE_FILE = r"[A-Z][A-Z0-9_]+"
"""How LiteRT calls an operator of a file. Delegates call theirs otherwise."""


@dataclass(frozen=True)
class OperatorTime:
    """What all operators of one kind take of one inference, in ms, while a profiler looks on.

    operator: as what computes it calls it: `CONV_2D` in LiteRT's own kernels, `Convolution (NHWC, F32) GEMM` in XNNPACK; a
        delegate that does not tell its operators apart is one, such as `TfLiteGpuDelegateV2`.
    times: it runs so often.
    """

    operator: Line
    times: Count
    total_ms: Elapsed


def command(file: str, execution: Execution, *options: str) -> str:
    """For the phone's shell, in the folder that has the program."""
    cores = "" if execution.cores is None else f"taskset {sum(1 << core for core in cores_of(execution.cores)):x} "
    delegate = _DELEGATES[execution.runtime].format(half=str(execution.precision == "fp16").lower())
    told = (f"--graph={file}", f"--num_threads={execution.threads}", delegate, *options)
    return f"{cores}./{PROGRAM} {' '.join(told)}"


def least_ms(said: str) -> float:
    """The least that one inference took. Raises EdgeNASError where the program printed no such thing."""
    least = re.findall(r"\bcount=\d+ .*\bmin=([\d.e+]+)", said)  # of the warm-up, then of what counts
    alone = re.findall(r"\bcount=1 curr=([\d.e+]+)", said)
    if not (least or alone) or "Inference timings in us" not in said:
        last = " ".join(said.strip().splitlines()[-1:])
        raise EdgeNASError(f"The phone's {PROGRAM} did not say how long a model took: {last[:300]}.")
    return float((least or alone)[-1]) / 1000


def is_whole(said: str, execution: Execution) -> bool:
    """Whether all operators were computed by what the runtime is called after."""
    return execution.runtime == ON_PHONES or _WHOLE in said


def why_not_whole(said: str, profiled: str) -> str:
    """Which operators a delegate leaves to the CPU, and the GPU's reason for each.

    profiled: what the program printed of the same with a profile, and with `PLAIN`.
    """
    reasons = re.findall(rf"^(?:ERROR: )?({_OF_THE_FILE}): (\S.*?)\.?\s*$", said, re.MULTILINE)
    because = {operator: f" ({reason})" for operator, reason in reasons}
    left = [
        f"{time.times} x {time.operator}{because.get(time.operator, '')}"
        for time in read_profile(profiled)
        if re.fullmatch(_OF_THE_FILE, time.operator)
    ]
    which = ", ".join(left) or "operators, which it does not name,"
    return (
        f"The delegate leaves {which} to the CPU, and times of what the CPU computes as well would be called its own: choose "
        f"`runtime` {ON_PHONES}."
    )


def read_profile(said: str) -> tuple[OperatorTime, ...]:
    """Where the time of an inference goes, by kinds of operators, the longest first. Nothing where there is no profile.

    A delegate's kernel gives way to the operators in it, where the delegate tells of them in a part of its own, as XNNPACK did
    before it named them among the others.
    """
    whole, _, inside = said.partition(_RUNS)[2].partition(_INSIDE)
    found = defaultdict[str, list[tuple[int, float]]](list)
    for row in _table(inside, "Run Order"):
        name = row["[name]"].removeprefix("Delegate/").rpartition(":")[0]
        found[name].append((int(row["[times called]"]), int(row["[times called]"]) * float(row["[avg ms]"])))
    are_told = bool(found)
    for row in _table(whole, "Summary by node type"):
        if not (are_told and re.match(r"TfLite\w*Delegate", row["[node type]"])):
            found[row["[node type]"]].append((int(row["[times called]"]), float(row["[avg ms]"])))
    times = (OperatorTime(name, *map(sum, zip(*parts, strict=True))) for name, parts in found.items())
    return tuple(sorted(times, key=lambda time: -time.total_ms))


def _table(text: str, title: str) -> list[dict[str, str]]:
    """The first one of this title: its rows, by the names of the columns in small letters."""
    found = re.search(rf"=+ {title} =+\n(.*)\n((?:.+\n)*)", text)
    if found is None:
        return []
    header, *rows = (re.split(r"\s*\t\s*|\s{2,}", line.strip()) for line in (found[1], *found[2].splitlines()))
    return [dict(zip((name.lower() for name in header), row, strict=True)) for row in rows if len(row) == len(header)]
