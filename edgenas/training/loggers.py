"""Who else hears of a training's metrics: TensorBoard, where it is installed, and MLflow, where its address is set.

metrics.jsonl has all of them in any case: a logger that fails ends itself and nothing else.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from edgenas.extras import is_installed
from edgenas.files import write_toml
from edgenas.run import Run
from edgenas.values import decoded_toml, read_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

AddScalar = Callable[[str, float, int], None]
"""Takes a metric's name, value and epoch."""

MLFLOW_ADDRESS, MLFLOW_EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
"""MLflow's own variables."""

LONGEST = 500
"""Of a parameter's value, in characters: what all of MLflow's stores take."""

log = logging.getLogger("edgenas")


@contextmanager
def loggers(run: Run, epoch: int) -> Iterator[AddScalar]:
    """Tells every logger that there is. What they have after `epoch` is void: a training goes on from there."""
    with ExitStack() as stack:
        each = [stack.enter_context(logger(run, epoch)) for logger in (tensorboard, mlflow)]

        def add_scalar(name: str, value: float, at: int) -> None:
            for add in each:
                add(name, value, at)

        yield add_scalar


def nobody(name: str, value: float, epoch: int) -> None:
    """Where a logger is not there."""


@contextmanager
def tensorboard(run: Run, epoch: int) -> Iterator[AddScalar]:
    """Event files in tensorboard/ of the run, with the extra of that name."""
    if not is_installed("tensorboard", "An event file of the training", "metrics.jsonl holds the same."):
        yield nobody
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run.path / "tensorboard"), purge_step=epoch + 1) as board:
        yield board.add_scalar


@contextmanager
def mlflow(run: Run, epoch: int) -> Iterator[AddScalar]:
    """A run of MLflow where $MLFLOW_TRACKING_URI says, in the experiment $MLFLOW_EXPERIMENT_NAME, or else `EdgeNAS`.

    Its parameters are the recipe's settings. mlflow.toml of the run remembers which it is: a training that was interrupted goes
    on there. MLflow keeps what it had of epochs that are trained again, too; the later value counts.
    """
    address = os.environ.get(MLFLOW_ADDRESS)
    if not address or not is_installed("mlflow", f"Logging to {MLFLOW_ADDRESS}", "metrics.jsonl holds the same."):
        yield nobody
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client: MlflowClient | None = None
    try:
        client = MlflowClient(tracking_uri=address)
        own = _own_run(client, run, address)
    except (MlflowException, OSError) as error:
        _tell(error)
        yield nobody
        return
    is_there = True

    def add(name: str, value: float, at: int) -> None:
        nonlocal is_there
        if is_there:
            try:
                client.log_metric(own, name, value, step=at)
            except (MlflowException, OSError) as error:
                is_there = False
                _tell(error)

    status = "KILLED"
    try:
        yield add
        status = "FINISHED"
    finally:
        if is_there:
            with suppress(MlflowException, OSError):
                client.set_terminated(own, status)


def _own_run(client: MlflowClient, run: Run, address: str) -> str:
    """The id of the run's own run in MLflow: the one that it had there, or a new one with its parameters."""
    from mlflow.entities import Param

    known = run.path / "mlflow.toml"
    if known.exists():
        with suppress(ValueError, KeyError):
            had = decoded_toml(read_text(known, "name of a run in MLflow"))
            if had["tracking_uri"] == address:
                client.update_run(str(had["run_id"]), status="RUNNING")
                return str(had["run_id"])
    name = os.environ.get(MLFLOW_EXPERIMENT) or "EdgeNAS"
    experiment = client.get_experiment_by_name(name)
    experiment_id = client.create_experiment(name) if experiment is None else experiment.experiment_id
    own: str = client.create_run(experiment_id, run_name=run.path.name, tags={"edgenas.space": run.space.name}).info.run_id
    settings = {name: str(value)[:LONGEST] for name, value in run.recipe.to_dict().items()}
    client.log_batch(own, params=[Param(name, value) for name, value in settings.items()])
    write_toml(known, {"tracking_uri": address, "run_id": own})
    return own


def _tell(error: Exception) -> None:
    log.warning(f"MLflow at {MLFLOW_ADDRESS} does not take the metrics, metrics.jsonl does: {str(error).splitlines()[0]}")
