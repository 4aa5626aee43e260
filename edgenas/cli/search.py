"""`edgenas search`."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from edgenas.cli.display import console, percent, say, table, track
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import BYTES, COUNT, SECONDS, Budget, data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.device import load_device
from edgenas.errors import UsageError
from edgenas.latency import CONFIDENCE, LatencyTable, load_table
from edgenas.latency.table import EMULATED
from edgenas.search import STRATEGIES, Constraint, Ledger, SearchRecord, get_strategy, search
from edgenas.search.ledger import weights_key
from edgenas.search.search import latency_constraint, macs_constraint, memory_constraint, parameters_constraint
from edgenas.training import Evaluator, Run

EVALUATIONS = 75
LEAST_INTERVAL = 1e-4
"""Half the width of an interval that is printed as 0.01 %."""


@click.command("search")
@run_argument
@click.option("--device", help="A device profile: cpu, pi4, mobile-gpu, or your own in devices/.  [default: cpu]")
@click.option(
    "--latency",
    "budgets",
    type=Budget(),
    multiple=True,
    required=True,
    help="The budget, such as 2ms, or DEVICE=2ms. Several on one device are several searches; on several, all must hold.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, max_open=True),
    default=CONFIDENCE,
    show_default=True,
    help="How surely a budget is to be kept: by the upper end of this interval of the latency. 0: by the prediction alone.",
)
@click.option("--memory", type=BYTES, help="The most memory for activations, such as 1MB.")
@click.option("--macs", type=COUNT, help="The most multiply-accumulates, such as 40M.")
@click.option("--parameters", type=COUNT, help="The most parameters, such as 500k.")
@click.option("--runtime", help="Latencies in this runtime: onnxruntime or litert.  [default: the device's]")
@click.option("--strategy", default="bayesian", show_default=True, help=f"One of {', '.join(STRATEGIES)}.")
@click.option(
    "--evaluations",
    type=click.IntRange(min=10),
    default=EVALUATIONS,
    show_default=True,
    help="The most subnets that are evaluated anew.",
)
@click.option("--time", "seconds", type=SECONDS, help="The longest to go on evaluating, such as 10m.")
@click.option("--storage", metavar="URL", help="Keep evaluations in a database that several searches share.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--allow-emulated", is_flag=True, help="Accept a table timed in an emulator: a trial.")
@data_option
def command(
    run: Path | None,
    device: str | None,
    budgets: tuple[tuple[str | None, float], ...],
    confidence: float,
    memory: float | None,
    macs: float | None,
    parameters: float | None,
    runtime: str | None,
    strategy: str,
    evaluations: int,
    seconds: float | None,
    storage: str | None,
    seed: int,
    allow_emulated: bool,
    data: str | None,
) -> None:
    """Find the most accurate subnets whose latency on a device is within a budget.

    \b
    edgenas search runs/photos --device cpu --latency 2ms --latency 5ms
    edgenas search runs/photos --latency cpu=2ms --latency pi4=30ms --memory 1MB
    edgenas search runs/photos --latency 2ms --strategy optuna:tpe --storage postgresql://user@host/edgenas

    A sample is measured, an accuracy predictor fitted, its optimum for every budget computed exactly and measured, and so on
    until the front no longer moves. Every evaluation is kept, so another search, for another budget or device, reuses all
    of them; an interrupted one goes on where it stopped. optuna-dashboard shows them.
    """
    get_strategy(strategy)
    opened = open_run(run)
    device, own, others = split_budgets(device, budgets)
    tables = {
        name: load_table(load_device(name), opened.space, runtime=runtime, allow_emulated=allow_emulated)
        for name in (device, *others)
    }
    for latencies in tables.values():
        warn_unless_measured(latencies, opened)
    space = opened.space
    limits = {name: latency_constraint(space, tables[name], budget, confidence) for name, budget in others.items()}
    if memory is not None:
        limits["memory"] = memory_constraint(space, memory)
    if macs is not None:
        limits["macs"] = macs_constraint(space, macs)
    if parameters is not None:
        limits["parameters"] = parameters_constraint(space, parameters)
    records = search_run(
        opened, opened.dataset(data, track), tables[device], own, evaluations, seed,
        confidence=confidence, limits=limits, strategy=strategy, seconds=seconds or np.inf, storage=storage,
    )  # fmt: skip
    for record in records:
        show(record)
    show_judgement(opened, "search")
    say(f"Next: edgenas export {opened.path} --format onnx --format tflite")


def split_budgets(
    device: str | None, budgets: tuple[tuple[str | None, float], ...]
) -> tuple[str, tuple[float, ...], dict[str, float]]:
    """The device that is searched for, its budgets in ms, and the limits on other devices.

    Raises UsageError where that cannot be told.
    """
    named = [name for name, _ in budgets if name is not None]
    plain = len(named) < len(budgets)
    device = device or ("cpu" if plain or not named else named[0])
    own = tuple(budget for name, budget in budgets if name in (None, device))
    others = [(name, budget) for name, budget in budgets if name not in (None, device)]
    if not own:
        raise UsageError(f"--device {device} has no budget: add --latency {device}=2ms, or leave --device out.")
    if len(dict(others)) < len(others):
        raise UsageError("Several budgets are possible on one device alone; give each other device one.")
    return device, own, dict(others)


def run_ledger(run: Run) -> Ledger:
    """Where a run keeps its own evaluations."""
    return Ledger(run.path / "search" / "evaluations.log", weights_key(run.weights), run.space)


def search_run(
    run: Run,
    dataset: Dataset,
    latencies: LatencyTable,
    budgets: tuple[float, ...],
    evaluations: int,
    seed: int,
    *,
    confidence: float = CONFIDENCE,
    limits: dict[str, Constraint] | None = None,
    strategy: str = "bayesian",
    seconds: float = np.inf,
    storage: str | None = None,
) -> list[SearchRecord]:
    """Search for every budget and keep the results in the run."""
    evaluator, own, limits = Evaluator(run.supernet(), dataset), run_ledger(run), limits or {}
    ledger = own
    if storage is not None:
        ledger = Ledger(storage, weights_key(run.weights), run.space)
        ledger.absorb(own)
    results = search(
        run.space, latencies, evaluator.accuracy, ledger, budgets, confidence=confidence, constraints=tuple(limits.values()),
        images=len(dataset.validation), evaluations=evaluations, seconds=seconds, strategy=get_strategy(strategy), seed=seed,
        track=track,
    )  # fmt: skip
    if ledger is not own:  # the run stays complete in itself: its report shows them all
        own.absorb(ledger)
    quality, outcome = results[0].predictor, results[0].outcome
    ranks = f"Kendall tau {quality.tau:.2f}, error {percent(quality.error)} (cross-validated)."
    say(
        f"{outcome.evaluated} new evaluations, {len(ledger)} in all; stopped because {outcome.stopped}. "
        f"Accuracy predictor: {ranks if quality.ranks else 'none, since accuracies follow no architecture.'}"
    )
    if outcome.evaluated:
        own = percent(outcome.own_cpu_s / outcome.evaluation_cpu_s, 1)
        say(f"CPU time: {outcome.evaluation_cpu_s:.1f} s for evaluations, and {own} of that for the search itself.")
    values = {name: constraint.limit for name, constraint in limits.items()}
    records = [
        SearchRecord.of(result, latencies, budget, values, confidence) for result, budget in zip(results, budgets, strict=True)
    ]
    for record in records:
        for line in prediction_lines(record):
            say(line)
        record.save(run.path / "search")
    return records


def prediction_lines(record: SearchRecord) -> list[str]:
    """How far the predictor is to be trusted, and what was done where it is not."""
    claim, shift, predictor = record.claim, record.shift, record.predictor
    measured = f"{record.device} {record.budget_ms:g} ms: measured {percent(record.best.validation_accuracy)}{_chance(record)}"
    if not record.ranks:
        return [f"{measured}; nothing is predicted, since the predictor ranks no better than chance (Kendall tau "
                f"{predictor['tau']:.2f} of {predictor['samples']} evaluated subnets)."]  # fmt: skip
    if claim is None:
        return [f"{measured}."]
    proof = "proved the highest prediction within the limits" if claim["optimal"] else "the highest prediction found"
    lines = [f"{measured}; predicted at best {percent(claim['accuracy'])} "
             f"+- {percent(max(predictor['interval'], LEAST_INTERVAL))} ({proof})."]  # fmt: skip
    surprise = claim["accuracy"] > record.best.validation_accuracy + predictor["interval"]
    if not claim["evaluated"] and (claim["outside"] or surprise):
        why = " and lies outside the evaluated ones, so that it is an extrapolation" if claim["outside"] else ""
        lines.append(f"    That prediction was not tested{why}: allow more --evaluations to test it.")
    if shift and shift["outside"]:
        lines.append(
            f"    {shift['outside']} of the front's {shift['found']} architectures lie outside the {shift['others']} others. "
            f"Fitted without the front, the predictor errs by {percent(shift['error'])} on it. "
            "So all of them were measured, and the predictor was fitted again with them."
        )
    return lines


def _chance(record: SearchRecord) -> str:
    """What so few validation images leave open about the best accuracy."""
    best, images = record.best, record.validation_images
    if images is None:
        return ""
    low, high, others = percent(best.validation_low, 1), percent(best.validation_high, 1), len(record.front) - 1
    alike = f"; {len(record.alike)} of the front's {others} others cannot be told from it" if record.alike else ""
    return f" ({low} to {high} with 95 % confidence on {images} images{alike})"


def warn_unless_measured(latencies: LatencyTable, run: Run) -> None:
    if latencies.measured:
        return
    name, relative = latencies.device, latencies.calibration(run.space).relative_interval()
    if latencies.kind == EMULATED:
        say(f"{name} was timed in an EMULATOR: its latencies are a trial, and say nothing about a real {name}.")
        return
    how = f"source and method: devices/{name}.toml" if "source" in latencies.provenance else latencies.provenance["method"]
    say(f"{name} has not been measured: latencies are ESTIMATED, within a factor of {1 + relative:.2f} in 9 of 10 cases "
        f"({how}). To measure: edgenas profile --device {name}")  # fmt: skip


def show(record: SearchRecord) -> None:
    rows = [
        [
            "best" if c == record.best else "~" if c in record.alike else "",
            c.architecture.id,
            f"{c.latency_ms:.3f}",
            f"{c.latency_low_ms:.3f} - {c.latency_high_ms:.3f}",
            percent(c.validation_accuracy),
            percent(c.expected_accuracy),
            f"{c.macs / 1e6:.2f}",
            f"{c.parameters / 1e6:.3f}",
            f"{c.peak_memory_bytes / 1024:.0f}",
            str(c.architecture),
        ]
        for c in record.front
    ]
    ms = "ms" if record.latency_kind == "measured" else f"ms, {record.latency_kind}"
    title = f"Front within {record.budget_ms:g} ms on {record.device} ({record.runtime}, {record.threads} thread)"
    columns = [
        "<",
        "<id",
        ms,
        f"{100 * record.confidence:g} % interval",
        "validation",
        "expected",
        "MMACs",
        "M params",
        "peak KiB",
        "<architecture",
    ]
    console.print(table(title, columns, rows))
    if record.alike:
        console.print(f"~ On {record.validation_images} validation images its accuracy cannot be told from the best one's.")
