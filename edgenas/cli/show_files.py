"""What is shown of verified files."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.cli.display import answer, answer_all, percent, scored, tabulate
from edgenas.export import Verification
from edgenas.metric import ACCURACY, Metric, Score
from edgenas.pipeline.verify import Verified

MOST_OPERATORS = 8
"""That are shown of one file."""


def by_metric(v: Verification, metric: Metric) -> Score | None:
    """Of a file on the test images; None where these cannot tell."""
    score = v.score(metric)
    return score if score.metric == metric.name else None


def show_verified(verified: Verified) -> None:
    """Of files in int8 also the accuracy of their simulation, to which they are held, and how often they say the same as the
    network in floats."""
    results = verified.results
    rounds = any(v.simulated_accuracy is not None for _, verifications in results for v in verifications)
    rows = [
        [
            f"{model.architecture.id}/{v.file}",
            v.execution.runtime,
            "passed" if v.passed else "FAILED",
            "-" if v.parity is None else f"{v.parity.max_difference:.1e}",
            percent(None if v.parity is None else v.parity.agreement),
            *([percent(v.simulated_accuracy), percent(v.float_agreement)] if rounds else []),
            percent(v.torch_accuracy),
            f"{v.file_bytes / 1024:.0f}",
            scored(v.score(ACCURACY)),
            *([] if verified.metric.is_accuracy else [scored(by_metric(v, verified.metric))]),
            "-" if v.predicted_ms is None else f"{v.predicted_ms:.3f}",
            f"{v.latency_ms:.3f}",
            "-" if v.memory_bytes is None else f"{v.memory_bytes / 2**20:.1f}",
        ]
        for model, verifications in results
        for v in verifications
    ]
    columns = [
        "<file",
        "<runtime",
        "<parity",
        "max diff",
        "same top-1",
        *(["simulated", "top-1 as float"] if rounds else []),
        "torch",
        "KiB",
        "accuracy",
        *([] if verified.metric.is_accuracy else [verified.metric.label]),
        "predicted ms",
        "emulated ms" if any(v.emulated for _, verifications in results for v in verifications) else "measured ms",
        "peak MiB",
    ]
    first = results[0][1][0]
    where = f"{first.device}{', EMULATED: no measurement' if first.emulated else ''}" if first.device else "this machine"
    title = f"On {first.images} test images, with 95 % intervals; latency and memory of 1 image on {where}"
    tabulate(title, columns, rows, keys=2)
    versions = {f"{v.execution.runtime} {v.runtime_version}" for _, verifications in results for v in verifications}
    answer(f"Computed by {', '.join(sorted(versions))}.")
    slowest = max((v.slowdown for _, verifications in results for v in verifications), default=1.0)
    if slowest > 1.1:
        answer(
            f"Just now the machine is {100 * (slowest - 1):.0f} % slower than when its latency table was measured; "
            "latencies are stated for its speed then."
        )


def show_sustained(verifications: Sequence[Verification]) -> None:
    """Files that ran without a pause, beside the best latency; nothing where none did."""
    found = [(v, v.sustained) for v in verifications if v.sustained is not None]
    if not found:
        return
    rows = [
        [
            v.file,
            v.execution.runtime + (f" on {v.device}" if v.device else ""),
            f"{v.latency_ms:.3f}",
            *(f"{ms:.3f}" for ms in (s.median_ms, s.p95_ms, s.p99_ms, s.most_ms)),
            f"{100 * s.drift:+.1f} %",
            "-" if s.temperature_c is None else "{:.0f} to {:.0f}".format(*s.temperature_c),
        ]
        for v, s in found
    ]
    columns = ["<file", "<runtime", "best ms", "median ms", "p95 ms", "p99 ms", "most ms", "drift", "°C"]
    seconds = max(s.seconds for _, s in found)
    title = f"Without a pause for {seconds:.0f} s, on the wall clock; drift from the first tenth to the last"
    tabulate(title, columns, rows, keys=2)
    answer_all(dict.fromkeys(warning for _, s in found for warning in s.warnings))


def show_operators(verifications: Sequence[Verification]) -> None:
    """Where the time of each file goes, where a device has told; the largest."""
    rows = [
        [
            v.file,
            f"{v.execution.runtime} on {v.device}",
            time.operator,
            str(time.times),
            f"{time.total_ms:.3f}",
            percent(share),
        ]
        for v in verifications
        for time, share in v.operator_shares[:MOST_OPERATORS]
    ]
    if rows:
        columns = ["<file", "<runtime", "<operator", "times", "ms", "share"]
        tabulate("Where the time goes, by the device's profiler, which takes some itself", columns, rows, keys=3)
