"""`edgenas search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer_all
from edgenas.cli.options import BYTES, COUNT, SECONDS, Budget, data_option, device_names, open_run, run_argument
from edgenas.cli.show_devices import show_devices
from edgenas.cli.show_search import conclude_search, show_front, show_searched
from edgenas.latency import CONFIDENCE
from edgenas.metric import NAMES as METRICS
from edgenas.pipeline.devices import search_devices, split_devices
from edgenas.pipeline.limits import split_budgets
from edgenas.pipeline.search import EVALUATIONS, search_run
from edgenas.search import STRATEGIES, get_strategy
from edgenas.values.kinds import ARITHMETICS_OR_ANY


@click.command("search", cls=Answering)
@run_argument
@click.option(
    "--device",
    multiple=True,
    shell_complete=device_names,
    help="A device profile: cpu, pi4, mobile-gpu, or your own in devices/. Several, each with a budget of its own, are "
    "searched for one after the other and compared.  [default: cpu]",
)
@click.option(
    "--latency",
    "budgets",
    type=Budget(),
    multiple=True,
    required=True,
    help="The budget, such as 2ms, DEVICE=2ms, RUNTIME=2ms or DEVICE:RUNTIME=2ms. Several in one place are several searches; "
    "in several places, all must hold.",
)
@click.option(
    "--confidence",
    type=float,
    default=CONFIDENCE,
    show_default=True,
    help="How surely a budget is to be kept: by the upper end of this interval of the latency. 0: by the prediction alone.",
)
@click.option("--memory", type=BYTES, help="The most memory for activations, such as 1MB.")
@click.option("--flash", type=BYTES, help="The largest file, such as 500kB.")
@click.option("--macs", type=COUNT, help="The most multiply-accumulates, such as 40M.")
@click.option("--parameters", type=COUNT, help="The most parameters, such as 500k.")
@click.option("--runtime", help="Latencies in this runtime, such as litert or ncnn.  [default: the device's]")
@click.option(
    "--precision", type=click.Choice(ARITHMETICS_OR_ANY), default="fp32", show_default=True,
    help="Of the files: their latency, and their accuracy. any: whichever is better, for every budget.",
)  # fmt: skip
@click.option("--strategy", default="bayesian", show_default=True, help=f"One of {', '.join(STRATEGIES)}.")
@click.option(
    "--evaluations",
    type=int,
    default=EVALUATIONS,
    show_default=True,
    help="The most subnets that are evaluated anew.",
)
@click.option("--time", "seconds", type=SECONDS, help="The longest to go on evaluating, such as 10m.")
@click.option("--storage", metavar="URL", help="Keep evaluations in a database that several searches share.")
@click.option("--metric", metavar="|".join(METRICS), help="What to maximise.  [default: the run's]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--allow-emulated", is_flag=True, help="Accept a table timed in an emulator: a trial.")
@data_option
def command(
    run: Path | None,
    device: tuple[str, ...],
    budgets: tuple[tuple[str | None, float], ...],
    confidence: float,
    memory: float | None,
    flash: float | None,
    macs: float | None,
    parameters: float | None,
    runtime: str | None,
    precision: str,
    strategy: str,
    evaluations: int,
    seconds: float | None,
    storage: str | None,
    metric: str | None,
    seed: int,
    allow_emulated: bool,
    data: str | None,
) -> None:
    """Find the most accurate subnets whose latency on a device is within a budget.

    \b
    edgenas search runs/photos --device cpu --latency 2ms --latency 5ms
    edgenas search runs/photos --latency cpu=2ms --latency pi4=30ms --memory 1MB
    edgenas search runs/photos --latency 2ms --latency litert=3ms
    edgenas search runs/photos --device cpu --device pi4 --latency cpu=2ms --latency pi4=30ms
    edgenas search runs/photos --latency 2ms --precision int8
    edgenas search runs/photos --latency 2ms --strategy optuna:tpe --storage postgresql://user@host/edgenas

    A sample is measured, an accuracy predictor fitted, its optimum for every budget computed exactly and measured, and so on
    until the front no longer moves. Every evaluation is kept, so another search, for another budget or device, reuses all
    of them; an interrupted one goes on where it stopped. optuna-dashboard shows them. In int8 a subnet is calibrated as export
    does it and its int8 file measured; latencies are those of `edgenas profile --precision int8`.

    Budgets on several devices hold together, for one network, unless each device is named with --device: then each gets its
    own network, and a table and a picture show what each of these loses on the other devices.
    """
    get_strategy(strategy)  # before a run is opened
    opened = open_run(run)
    options: dict[str, Any] = {
        "confidence": confidence, "memory": memory, "flash": flash, "macs": macs, "parameters": parameters,
        "precision": precision, "strategy": strategy, "evaluations": evaluations,
        "seconds": seconds, "storage": storage, "metric": metric,
        "seed": seed, "allow_emulated": allow_emulated, "data": data, "track": track,
    }  # fmt: skip
    if len(device) > 1:
        found = search_devices(opened, split_devices(device, budgets), runtime=runtime, **options)
        show_devices(opened, found)
        reply(found)
        return
    split = split_budgets(device[0] if device else None, runtime, budgets)
    searched = search_run(opened, split.own_ms, split.device, elsewhere_ms=split.elsewhere_ms, runtime=split.runtime, **options)
    show_searched(searched)
    for front in (front for record in searched.records for front in record.fronts):
        show_front(front)
    answer_all(searched.judgement)
    conclude_search(opened, searched.records)
    reply(searched)
