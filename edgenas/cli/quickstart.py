"""`edgenas quickstart`."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from edgenas.cli import profile as profile_command
from edgenas.cli import report as report_command
from edgenas.cli import search as search_command
from edgenas.cli import train as train_command
from edgenas.cli import verify as verify_command
from edgenas.cli.display import percent, say
from edgenas.cli.export import export_run
from edgenas.cli.options import SECONDS
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import FORMATS
from edgenas.latency import LatencyTable, load_device
from edgenas.space import SearchSpace
from edgenas.training import Evaluator, Run

DATA = "mnist5k"
RUNTIMES = ("onnxruntime", "litert")  # budgets are searched for in the first


@click.command("quickstart")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/quickstart"), show_default=True, help="The run folder to make."
)
@click.option("--time", "seconds", type=SECONDS, default="150s", show_default=True, help="How long to train.")
@click.option("--seed", type=int, default=0, show_default=True)
def command(out: Path, seconds: float, seed: int) -> None:
    """The whole pipeline on 5,000 handwritten digits that come with an installed package; needs no network.

    \b
    edgenas quickstart --out runs/quickstart

    Run again, it goes on where it stopped; of a finished run, it verifies and reports once more.
    """
    say(f"1/6  Train a supernet on {DATA}")
    if (out / "config.toml").exists():
        run = Run.open(out)
        if run.config["data"]["source"] != DATA:
            raise UsageError(f"{out} holds a run on other images: choose another --out.")
    else:
        run = train_command.create(
            DATA,
            family="mobilenetv3",
            preset="tiny",
            width=1.0,
            resolutions=None,
            out=out,
            seconds=seconds,
            epochs=None,
            seed=seed,
            precision="auto",
        )
    train_command.train(run, None)
    dataset = run.dataset()
    largest = Evaluator(run.supernet(), dataset).accuracy(run.space.largest, dataset.test)
    say(f"     The largest subnet has {percent(largest)} on {len(dataset.test)} test images.")

    say("2/6  Measure this CPU")
    device = load_device("cpu")
    tables = [profile_command.measure(device, run.space, runtime=runtime) for runtime in RUNTIMES]
    for table in tables:
        profile_command.show(table, run.space)

    say("3/6  Search for three latency budgets")
    budgets = three_budgets(run.space, tables[0])
    records = search_command.search_run(run, dataset, tables[0], budgets, search_command.EVALUATIONS, seed)
    search_command.show(records[-1])

    say("4/6  Export the winners")
    export_run(run, dataset, FORMATS)

    say("5/6  Verify every file in its runtimes")
    results = verify_command.verify_run(run, dataset)
    verify_command.show(results)

    say("6/6  Report")
    rows = report_command.report_run(run)
    broken = [row for row in rows if row.breaks_budget]
    if broken:
        raise EdgeNASError(
            f"{len(broken)} budget(s) were not met when measured: the machine may have slowed down "
            f"since step 2. Verify again with: edgenas verify {out}"
        )
    say(f"Done. The model files are in {out / 'export'}, the picture is {out / 'front.png'}.")


def three_budgets(space: SearchSpace, table: LatencyTable) -> tuple[float, ...]:
    """Budgets in ms that are worth asking for on this machine: evenly between the fastest and the slowest, in log latency."""
    _, fastest_ms = table.fastest(space)
    fastest_ms = float(table.interval(space, fastest_ms).high)
    slowest_ms = table.predict_one(space, space.largest)
    return tuple(float(f"{ms:.2g}") for ms in np.geomspace(fastest_ms, slowest_ms, 5)[1:4])
