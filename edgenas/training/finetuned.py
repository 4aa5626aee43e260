"""`FineTuned`: what a subnet's own training made of it, kept in the folder finetune/ of a run.

`<architecture id>.safetensors` holds the weights, and how they did on the validation images before and after;
`<architecture id>-int8.safetensors` those of the int8 files, with their ranges.

A winner of a search was chosen for its validation accuracy, which therefore flatters it: of 48 subnets of a supernet for 2,400
CIFAR-10 images, the best three had 48.8, 50.0 and 55.4 % of 240 validation images and 40.3, 44.0 and 46.4 % of 3,000 test
images. After fine-tuning, 50.0, 49.6 and 55.8 %: worse, it seemed, of one, and on the test images 44.6, 47.3 and 49.5 %. So
fine-tuned weights are dismissed only where they are worse by more than chance explains.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from edgenas.device.execution import precision_suffix
from edgenas.errors import CheckpointError
from edgenas.metric import ACCURACY, Score
from edgenas.quantisation.calibration import Calibration
from edgenas.run import Run
from edgenas.space import Architecture
from edgenas.supernet import Network
from edgenas.training.checkpoint import described, fill, load_tensors, save_tensors
from edgenas.training.recipe import Recipe, recipe_of
from edgenas.values import Within, plain
from edgenas.values.kinds import Hex, Line, Seconds

CHANCE = 2.0
"""By how many standard errors weights must be worse before they are dismissed."""


@dataclass(frozen=True)
class FineTuned:
    """A subnet trained on by itself, with its own batch-norm statistics.

    inherited, score: on the validation images before and after, by the metric that decides whether it is used; in int8 both in
        int8. standard_error: of their difference, image by image. seconds: that it was given instead of a number of epochs.
    calibration: of a network that learned in int8. origin: names the weights that it began with.
    """

    network: Network
    recipe: Recipe
    distilled: bool
    inherited: Score
    score: Score
    standard_error: float = 0.0
    seconds: float | None = None
    calibration: Calibration | None = None
    origin: str = ""

    @property
    def is_used(self) -> bool:
        """Whether it takes the place of the inherited weights."""
        return self.score.value >= self.inherited.value - CHANCE * self.standard_error


def load_finetuned(run: Run, architecture: Architecture, precision: str = "fp32") -> FineTuned | None:
    """What `finetune` kept of a subnet in a precision; None where it did not. Raises CheckpointError when the file is damaged.

    For fp16 it is what was trained in fp32.
    """
    path = finetuned_file(run, architecture, precision)
    if not path.exists():
        return None
    tensors, about = load_tensors(path)
    network = Network(run.space.blocks(architecture), run.space.batch_norm_epsilon)
    for name, old in (("inherited", "inherited_accuracy"), ("score", "accuracy")):  # of earlier versions
        if old in about:
            about[name] = plain(Score.of_accuracy(about.pop(old), None))
    found = described(_About, about, path)
    if found.calibration is not None:
        found.calibration.quantisation(network.specs)  # raises where it is another network's
    return FineTuned(
        network=fill(network, tensors, path).eval(),
        recipe=recipe_of(found.recipe, path),
        distilled=found.distilled,
        inherited=_of_run(run, found.inherited),
        score=_of_run(run, found.score),
        standard_error=found.standard_error,
        seconds=found.seconds,
        calibration=found.calibration,
        origin=found.origin,
    )


def _of_run(run: Run, score: Score) -> Score:
    """A score on the run's validation images; earlier versions did not keep how many those were."""
    if score.images is None and score.metric == ACCURACY.name:
        return Score.of_accuracy(score.value, run.images("validation"))
    return score


@dataclass(frozen=True)
class _About:
    """What a file says of its weights; see `FineTuned`. Older ones say less."""

    architecture: Line
    recipe: dict[str, Any]
    distilled: bool
    inherited: Score
    score: Score
    standard_error: Annotated[float, Within(0, 1e3)] = 0.0
    seconds: Seconds | None = None
    calibration: Calibration | None = None
    origin: Hex | Literal[""] = ""


def save_finetuned(run: Run, architecture: Architecture, result: FineTuned) -> None:
    about = _About(str(architecture), result.recipe.to_dict(), result.distilled, result.inherited, result.score,
                   result.standard_error, result.seconds, result.calibration, result.origin)  # fmt: skip
    save_tensors(
        finetuned_file(run, architecture, "fp32" if result.calibration is None else "int8"),
        result.network.state_dict(),
        plain(about),
    )


def sweep_checkpoints(run: Run) -> None:
    """Delete the checkpoints of fine-tunings that ended: a process that is killed just then leaves one."""
    for path in (run.path / "finetune").glob("*.checkpoint.safetensors"):
        done = path.with_name(path.name.replace(".checkpoint", ""))
        with suppress(CheckpointError):
            _, checkpoint = load_tensors(path)
            if (
                done.exists()
                and load_tensors(done)[1].get("recipe") == checkpoint.get("recipe")
                and (checkpoint.get("epoch") == recipe_of(checkpoint.get("recipe"), path).epochs)
            ):
                path.unlink()


def finetuned_file(run: Run, architecture: Architecture, precision: str, kind: str = "") -> Path:
    """kind: `.checkpoint` of a training that goes on."""
    apart = precision_suffix(precision) if precision == "int8" else ""
    return run.path / "finetune" / f"{architecture.id}{apart}{kind}.safetensors"
