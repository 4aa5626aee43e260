"""`Recipe`: everything that decides how a supernet is trained, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from edgenas.errors import CheckpointError, UsageError
from edgenas.values import Length, OneOf, Unfit, Within, check_fields, decoded_toml, read, unknown
from edgenas.values.kinds import EpochsOrNone, GivenText, LearningRate, Seed, ShareBelowOne

SCHEMES = ("sandwich", "progressive-shrinking", "single-path")
LEARNING_RATES = {"sgd": 0.15, "adagrad": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
"""The optimisers, each with the learning rate that is usual for it; SGD's is for batches of 64."""
INITIALISATIONS = ("he", "xavier")
PRECISIONS = ("auto", "float32", "bfloat16")

PositiveShare = Annotated[float, Within(0, 1, above=True)]
Alpha = Annotated[float, Within(0, 1000)]
"""Of a Beta distribution; 0 is off."""


@dataclass(frozen=True)
class Recipe:
    """Defaults are what paid off on two CPU cores at equal budgets; they are the field's usual ones elsewhere.

    scheme: `sandwich` (the largest alone, then the split sandwich), `progressive-shrinking` (Once-for-All's own) or
        `single-path` (one uniformly drawn subnet per step).
    epochs: passes over the training images; 0 leaves weights as they begin.
    optimizer: `sgd` (Nesterov's unless nesterov is off, plain with momentum 0), `adagrad`, `rmsprop`, `adam`, `adamw`.
    learning_rate: its peak, after the warm-up and before the cosine, for this batch size; None: the optimiser's usual one.
    classifier_rate: factor of the learning rate for the classifier, which is new where the rest has been learned.
    initialisation: `he` or `xavier`.
    warmup: share of all steps in which the learning rate rises linearly.
    largest_alone: share of all steps in which only the largest subnet is trained.
    largest_share: of the later sandwich steps, the share in which the largest subnet learns; in the others it only teaches.
    random_subnets: how many random subnets a sandwich step holds besides the largest and the smallest.
    split_batch: the smaller subnets of a sandwich step see a part of the batch each, instead of all of it.
    subnet_weight: weight of the smaller subnets' summed losses; the largest has 1.
    balance: draw images of rare classes more often (`edgenas.data.balanced_shares`).
    ema: decay of the exponential moving average of the weights; 0 turns it off.
    precision: `float32`; `bfloat16` (autocast, with weights and depthwise convolutions in float32); or `auto`, which
        `edgenas.training.settled` replaces by what is the fastest on this machine before training begins.
    macs: budgets in multiply-accumulates near which random subnets are drawn; none: they are drawn uniformly.
    progressive_resolution: while the largest is trained alone, its images grow from 3/4 of their size to the whole.
    elastic_resolution: the largest subnet's images have any of the space's sizes, drawn anew for every step, instead of the
        largest: alone, and in the sandwich.
    teacher: an ONNX classifier of the same classes whose soft labels are learned besides the given ones; empty: none.
    dropout: before the classifier. batch_norm_momentum: share of a batch in the running statistics.
    randaugment: magnitude, of 10, of two random operations on each image; 9 is usual, 0 turns it off.
    cutout: side of a grey square as a share of the image's; 0.5 is usual on CIFAR-10, 0 turns it off.
    random_resized_crop: least share of an image's area in a random rectangle of it that is stretched to the image's size,
        in place of shifted images; 0.35 is usual for photos, 0 turns it off.
    mixup, cutmix: alpha of the Beta distribution from which the share of the second image comes; 0.2 and 1.0 are usual,
        0 turns one off. With both, a coin decides for every batch.
    """

    scheme: Annotated[str, OneOf("scheme", SCHEMES)] = "sandwich"
    epochs: EpochsOrNone = 60
    batch_size: Annotated[int, Within(2, 65_536)] = 64
    optimizer: Annotated[str, OneOf("optimizer", LEARNING_RATES)] = "sgd"
    learning_rate: LearningRate | None = None
    classifier_rate: Annotated[float, Within(0, 1000, above=True)] = 1.0
    momentum: ShareBelowOne = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Within(0, 1)] = 5e-4
    label_smoothing: ShareBelowOne = 0.1
    warmup: ShareBelowOne = 0.2
    largest_alone: ShareBelowOne = 0.55
    largest_share: PositiveShare = 1.0
    random_subnets: Annotated[int, Within(0, 64)] = 2
    split_batch: bool = True
    subnet_weight: Annotated[float, Within(0, 1000)] = 0.4
    ema: ShareBelowOne = 0.0
    balance: bool = False
    initialisation: Annotated[str, OneOf("initialisation", INITIALISATIONS)] = "he"
    precision: Annotated[str, OneOf("precision", PRECISIONS)] = "float32"
    macs: Annotated[tuple[Annotated[int, Within(1, 10**15)], ...], Length(0, 64)] = ()
    progressive_resolution: bool = False
    elastic_resolution: bool = False
    teacher: GivenText = ""
    dropout: ShareBelowOne = 0.0
    batch_norm_momentum: PositiveShare = 0.1
    randaugment: Annotated[float, Within(0, 10)] = 0.0
    cutout: ShareBelowOne = 0.0
    random_resized_crop: ShareBelowOne = 0.0
    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except Unfit as refusal:
            raise UsageError(str(refusal)) from None
        object.__setattr__(self, "learning_rate", self.peak)

    @property
    def peak(self) -> float:
        """The learning rate after the warm-up, in any case a number."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    def to_dict(self) -> dict[str, Any]:
        """As TOML and JSON take it and give it back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """Inverse of `to_dict`. Raises UsageError for names that a recipe does not have, and for values of another kind."""
        names = [field.name for field in fields(cls)]
        for name in data:
            if name not in names:
                raise UsageError(unknown("recipe setting", name, names))
        return cls(**data)


def recipe_of(data: Any, path: Path) -> Recipe:
    """The recipe that a file holds. Raises CheckpointError where it is none."""
    try:
        recipe: Recipe = read(Recipe, data, "recipe")
    except (UsageError, Unfit) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    return recipe


def check_length(seconds: float | None, epochs: int | None) -> None:
    """Raises UsageError where a training is told twice how long to be."""
    if seconds is not None and epochs is not None:
        raise UsageError("`seconds` and `epochs` exclude each other: the time decides how many epochs there are.")


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """`["dropout=0.2", ...]`, each value written as in TOML, as what `Recipe.from_dict` takes.

    Raises UsageError for what is not NAME=VALUE.
    """
    return dict(map(_setting, settings))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} sets nothing: write NAME=VALUE, such as dropout=0.2.")
    try:
        return name.strip(), decoded_toml(f"value = {value}")["value"]
    except ValueError:
        return name.strip(), value.strip()  # text, for which a shell has taken the quotes away


DEFAULTS = Recipe()

ADAPTING: dict[str, Any] = {
    "epochs": 9,
    "batch_size": 32,
    "learning_rate": 0.02,
    "warmup": 0.1,
    "weight_decay": 1e-4,
    "largest_alone": 0.35,
    "largest_share": 0.2,
    "subnet_weight": 1.0,
    "random_resized_crop": 0.35,
    "elastic_resolution": True,
}
"""What suits a training that begins with what other images have taught: few epochs, small batches, a low rate.

Found on 2,566 photos of flowers from EfficientNet-Lite0's weights. After 2 epochs of the largest subnet alone a rate of 0.02
had 92.6 % of the validation images, 0.05 92.0 %. Of the sandwich after it, 3 epochs in which the largest learned in a fifth of
the steps took 195 CPU-seconds and 2 in which it always did 286; subnets of 15 to 156 million multiply-accumulates had 74.7 %
and 70.0 % on average, the largest 91.5 and 92.0 %. Weighting the subnets' losses by 3, or a rate of 0.05, cost them 1 to 9
points. That was with channels in no order; with channels in order of importance, expand ratios 3, 4 and 6, and a peak of 0.01,
3 such epochs after the 2 of the largest (450 CPU-seconds in all) had 83.9 % on average, the largest 92.4 %.
With `elastic_resolution` the largest's validation accuracy after 8 epochs (505 CPU-seconds) was 93.8 % instead of 92.4 %, that
of a member with half of its blocks at 160 px 91.8 % instead of 89.7 %.
"""
