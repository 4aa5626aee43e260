"""Export: the winners of a run's searches as files that a device runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.data import Dataset
from edgenas.deployment import write_bundle, write_page
from edgenas.deployment.predict import RUNTIMES
from edgenas.device import get_runtime
from edgenas.errors import UsageError
from edgenas.export import USUAL_FORMATS, Budget, ExportedModel, export, for_microcontrollers, load_verifications, verify
from edgenas.latency import timed_tables
from edgenas.pipeline.verify import Verified
from edgenas.pipeline.winners import metric_of, winners
from edgenas.progress import Track, quiet
from edgenas.report import judge_export
from edgenas.run import Run
from edgenas.training import Evaluator, load_finetuned, load_images, load_supernet
from edgenas.training.finetuned import sweep_checkpoints
from edgenas.values import checked, unknown
from edgenas.values.kinds import Answer, GivenText, ImageType, NewFile, NewFolder


@dataclass(frozen=True)
class Exported:
    """judgement: sentences on the files."""

    models: tuple[ExportedModel, ...]
    judgement: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Of each model what its model.json has, with its folder and its files."""
        models = [model.to_json() | {"folder": model.folder, "files": model.files} for model in self.models]
        return {"models": models, "judgement": list(self.judgement)}


@checked
def export_run(
    run: Run, formats: Sequence[str] | None = None, *, precisions: Sequence[str] = (), per_tensor: bool = False,
    integer_ends: bool = False, architecture: str | None = None, dynamic_batch: bool = False,
    image_type: ImageType = "float32", answer: Answer = "logits",
    bundle: NewFile | None = None, runtimes: Sequence[str] = (), web: NewFolder | None = None,
    data: GivenText | Dataset | None = None, track: Track = quiet,
) -> Exported:  # fmt: skip
    """Export the best of every search of a run, or the one member of a front whose id is given, into export/<id>/ of the run.

    Fine-tuned weights are written where there are any that are no worse, those trained in int8 in int8 files.
    formats: see `formats_for` unless told otherwise.
    precisions: `fp32`, `fp16`, `int8`; each format is written in each. Those that a winner was searched in unless told
        otherwise. per_tensor: int8 with one scale for all channels of a weight, as some accelerators want it. integer_ends:
        int8 files take and give integers.
    dynamic_batch: let files take any number of images at once, where their format can.
    image_type: `uint8` for files that take pixels and normalise them themselves. answer: `probabilities` for files that end in
        a softmax. Both hold for all files of a network: those of an earlier export with other ends are removed.
    bundle: a .zip to make of one network: verified here, with all that it takes to use it without EdgeNAS. runtimes: that the
        bundle is for, the first by preference; what needs no more than its package unless told otherwise.
    web: a folder to make of one network: a page with a camera, for any web server.
    data: where the run's images are now, or they.

    Raises ParityError, leaving no file, where one computes something else than torch, in int8 than a simulation, and UsageError
    where a bundle is to be made of several networks, and for what is of int8 alone where nothing is written in int8.
    """
    if (bundle is not None or web is not None) and integer_ends:
        raise UsageError("What is in a bundle, or in a page, gives no integers to its files: leave out `integer_ends`.")
    if runtimes and bundle is None:
        raise UsageError("`runtime` is what a bundle is for: add `bundle`, or say with `format` which files are wanted.")
    for name in runtimes:
        if name not in RUNTIMES:
            raise UsageError(unknown("runtime", name, RUNTIMES))
    if answer == "probabilities" and integer_ends:
        raise UsageError("Integers stand for logits: leave out `output` probabilities or `integer_ends`.")
    sweep_checkpoints(run)
    subnets = winners(run, architecture)
    written = {subnet: precisions or _searched_in(budgets) for subnet, budgets in subnets.items()}
    if (per_tensor or integer_ends) and not any("int8" in each for each in written.values()):
        raise UsageError("`per_tensor` and `integer_ends` are for int8: add `precision` int8.")
    if (bundle is not None or web is not None) and len(subnets) > 1:
        ids = " or ".join(f"`architecture` {subnet.id}" for subnet in subnets)
        raise UsageError(
            f"A bundle, or a page, is of one network, and the searches of {run.path} chose {len(subnets)}", f"add {ids}."
        )
    dataset = load_images(run, data, track)
    evaluator = Evaluator(load_supernet(run), dataset)
    models = []
    for subnet, budgets in track(subnets.items(), "Exporting", len(subnets)):
        models.append(
            export(
                evaluator.by(metric_of(run, budgets)),
                subnet,
                run.path / "export" / subnet.id,
                formats or formats_for(budgets, written[subnet], runtimes),
                precisions=written[subnet],
                per_tensor=per_tensor,
                integer_ends=integer_ends,
                dynamic_batch=dynamic_batch,
                image_type=image_type,
                answer=answer,
                budgets=tuple(budgets),
                provenance=run.provenance,
                finetuned=load_finetuned(run, subnet),
                trained_in_int8=load_finetuned(run, subnet, "int8"),
            )
        )
    if bundle is not None:
        _bundle(bundle, run, models[0], dataset, runtimes, track)
    if web is not None:
        write_page(web, models[0], track)
    micro = (for_microcontrollers(model, run.space) for model in models)
    return Exported(tuple(models), (*judge_export(run, models), *filter(None, micro)))


def _searched_in(budgets: Sequence[Budget]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(budget.execution.precision for budget in budgets))


def formats_for(
    budgets: Sequence[Budget], precisions: Sequence[str] = ("fp32",), runtimes: Sequence[str] = ()
) -> tuple[str, ...]:
    """ONNX, TFLite, and what the runtimes of these searches open, where it can be written in these precisions; or what some
    runtimes open."""
    if runtimes:
        return tuple(dict.fromkeys(get_runtime(name).format for name in runtimes))
    searched = (get_runtime(budget.execution.runtime).model_format for budget in budgets)
    return tuple(dict.fromkeys([*USUAL_FORMATS, *(form.name for form in searched if {*precisions} <= {*form.precisions})]))


def _bundle(path: Path, run: Run, model: ExportedModel, dataset: Dataset, runtimes: Sequence[str], track: Track) -> None:
    verified = Verified(((model, tuple(verify(model, run.space, dataset, timed_tables(), track, runtimes=runtimes))),), ())
    verified.require_passed()
    write_bundle(path, run, model, dataset, load_verifications(model.folder, len(model.classes)), runtimes)
