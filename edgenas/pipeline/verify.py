"""Verify: every exported file in its runtimes, here or on the device that it was chosen for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgenas.data import Dataset
from edgenas.device import (
    DeviceProfile,
    Execution,
    get_runtime,
    load_device,
    tflite_runtime_python,
)
from edgenas.errors import ParityError, UsageError
from edgenas.export import ExportedModel, Testbed, Verification, load_exports, verify
from edgenas.latency import open_device, timed_tables
from edgenas.metric import ACCURACY, Metric
from edgenas.names import pasted
from edgenas.pipeline.profile import reached, require_way
from edgenas.progress import Track, quiet
from edgenas.report import judge_files, judged_by
from edgenas.run import Run
from edgenas.training import load_images
from edgenas.values import checked, plain
from edgenas.values.kinds import GivenPath, GivenText, Images, Seconds

log = logging.getLogger("edgenas")

Results = tuple[tuple[ExportedModel, tuple[Verification, ...]], ...]


@dataclass(frozen=True)
class Verified:
    """Every model with what its files have shown in their runtimes. judgement: sentences on the outcome.

    metric: what the run is judged by.
    """

    results: Results
    judgement: tuple[str, ...]
    metric: Metric = ACCURACY

    def to_json(self) -> dict[str, Any]:
        """Of each model what its verify.json has."""
        models = [
            {"id": model.architecture.id, "folder": model.folder,
             "results": [plain(v) | {"passed": v.passed} for v in verifications]}
            for model, verifications in self.results
        ]  # fmt: skip
        return {"metric": self.metric.name, "models": models, "judgement": list(self.judgement)}

    @property
    def rejected(self) -> list[str]:
        """The files whose outputs are not what they must be, each with the runtime."""
        return [
            f"{model.folder / v.file} in {v.execution.runtime}" for model, rows in self.results for v in rows if not v.passed
        ]

    def require_passed(self) -> None:
        """Raises ParityError naming the rejected files, where there are any."""
        if self.rejected:
            raise ParityError(
                f"Outputs differ from what they must be: {', '.join(self.rejected)}. Do not use them there; what no runtime "
                "computes rightly is now named *.rejected. Export again, and please report it."
            )


@checked
def verify_run(
    run: Run, *, runtimes: Sequence[str] = (), device: str | None = None, on: str | None = None, provision: bool = False,
    images: Images | None = None, sustained_s: Seconds | None = None, allow_emulated: bool = False,
    binary: GivenPath | None = None, data: GivenText | Dataset | None = None, track: Track = quiet,
) -> Verified:  # fmt: skip
    """Prove a run's exported files: outputs equal to torch's, accuracy on the test images, latency.

    Here in every installed runtime that takes them, or in `runtimes` alone; with `device`, a name, and `on`, its ssh address,
    `adb` or `adb:SERIAL`, on that device: the files that were chosen for it, in the runtime that they were chosen for.
    provision: copy the runtime there; binary: LiteRT's benchmark_model for the phone. images: use so many test images.
    sustained_s: also run each file for so many seconds without a pause, as a product would: how its latency is distributed, and
    what heat makes of it. allow_emulated: accept a device under qemu, whose latency says nothing. data: where the run's images
    are now, or they.
    """
    match device, on:
        case None, None:
            if provision or binary is not None:
                which = "provision" if provision else "binary"
                raise UsageError(f"`{which}` is for a device: say which with `device` and `on`.")
            results = _here(run, load_images(run, data, track), runtimes, images, sustained_s, track)
        case str(), str():
            if runtimes:
                raise UsageError("`runtime` is for this machine: on a device, files run in what they were chosen for.")
            if sustained_s and allow_emulated:
                raise UsageError("What an emulator sustains says nothing: leave out `sustained` or `allow_emulated`.")
            if sustained_s and on.startswith("adb"):
                raise UsageError("What a phone sustains, its program does not tell: leave out `sustained`.")
            require_way(on, provision, binary)
            dataset, there = load_images(run, data, track), load_device(device)
            results = _on_device(run, dataset, there, on, images, sustained_s, provision, allow_emulated, binary, track)
        case _:
            raise UsageError("`device` and `on` belong together: name the device and say where it is.")
    return Verified(results, tuple(judge_files(run)), judged_by(run))


def _here(
    run: Run, dataset: Dataset, runtimes: Sequence[str], images: int | None, sustained_s: float | None, track: Track
) -> Results:
    models = _exports(run)
    if (
        not runtimes
        and tflite_runtime_python() is None
        and any(file.suffix == ".tflite" for model in models for file in model.files)
    ):
        log.info(
            "Not verified in tflite-runtime, which is not installed (bash tools/tflite_runtime.sh does that): "
            "TFLite files run in LiteRT alone."
        )
    tables = timed_tables()
    opened = {get_runtime(name).format for name in runtimes}
    able = [model for model in models if not runtimes or any(file.format in opened for file in model.variants)]
    models = able or models[:1]  # which says what is missing
    how: dict[str, Any] = {"runtimes": runtimes, "images": images, "sustained_s": sustained_s}
    return tuple((model, tuple(verify(model, run.space, dataset, tables, track, **how))) for model in models)


def _on_device(
    run: Run, dataset: Dataset, device: DeviceProfile, on: str, images: int | None, sustained_s: float | None, provision: bool,
    allow_emulated: bool, binary: Path | None, track: Track,
) -> Results:  # fmt: skip
    device.require_reach(remotely=True)
    chosen: dict[Execution, list[ExportedModel]] = {}
    for model in _exports(run):
        for execution in dict.fromkeys(budget.execution for budget in model.budgets if budget.device == device.name):
            for precision in _precisions(model, execution):
                chosen.setdefault(replace(execution, precision=precision), []).append(model)
    if not chosen:
        raise UsageError(
            f"No file of {run.path} was chosen for {device.name}",
            f"run `search({pasted(run.path)}, device={pasted(device.name)}, budgets=30ms)`, then `export({pasted(run.path)})`.",
        )
    tables, results = timed_tables(), []
    for execution, models in chosen.items():
        with reached(on, execution.runtime, provision, binary, track) as target:
            open_device(device, target, execution, allow_emulated)
            testbed = Testbed(execution, target, device.name)
            for model in models:
                rows = verify(
                    model, run.space, dataset, tables, track, testbeds=[testbed], images=images, sustained_s=sustained_s
                )
                results.append((model, tuple(rows)))
    return tuple(results)


def _precisions(model: ExportedModel, execution: Execution) -> list[str]:
    """Those of a model's files that a runtime takes; that of the execution where there is none, so that it is said."""
    runtime = get_runtime(execution.runtime)
    there = [file.precision for file in model.variants if file.format == runtime.format]
    return [precision for precision in there if precision in runtime.precisions] or [execution.precision]


def _exports(run: Run) -> list[ExportedModel]:
    models = load_exports(run.path / "export")
    if not models:
        raise UsageError(f"{run.path} has nothing to verify", f"run `export({pasted(run.path)})` first.")
    return models
