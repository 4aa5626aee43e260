"""`Recipe`: everything that decides how a supernet is trained, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from edgenas.errors import UsageError
from edgenas.space import unknown

SCHEMES = ("sandwich", "progressive-shrinking", "single-path")
LEARNING_RATES = {"sgd": 0.15, "adagrad": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
"""The optimisers, each with the learning rate that is usual for it; SGD's is for batches of 64."""
INITIALISATIONS = ("he", "xavier")


@dataclass(frozen=True)
class Recipe:
    """Defaults are what paid off on two CPU cores at equal budgets; they are the field's usual ones elsewhere.

    scheme: `sandwich` (the largest alone, then the split sandwich), `progressive-shrinking` (Once-for-All's own) or
        `single-path` (one uniformly drawn subnet per step).
    epochs: passes over the training images.
    optimizer: `sgd` (Nesterov's unless nesterov is off, plain with momentum 0), `adagrad`, `rmsprop`, `adam`, `adamw`.
    learning_rate: its peak, after the warm-up and before the cosine, for this batch size; None: the optimiser's usual one.
    initialisation: `he` or `xavier`.
    warmup: share of all steps in which the learning rate rises linearly.
    largest_alone: share of all steps in which only the largest subnet is trained.
    random_subnets: how many random subnets a sandwich step holds besides the largest and the smallest.
    subnet_weight: weight of the smaller subnets' summed losses; the largest has 1.
    balance: draw images of rare classes more often (`edgenas.data.balanced_shares`).
    ema: decay of the exponential moving average of the weights; 0 turns it off.
    """

    scheme: str = "sandwich"
    epochs: int = 60
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    warmup: float = 0.2
    largest_alone: float = 0.55
    random_subnets: int = 2
    subnet_weight: float = 0.4
    ema: float = 0.0
    balance: bool = False
    initialisation: str = "he"
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"scheme": SCHEMES, "optimizer": LEARNING_RATES, "initialisation": INITIALISATIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UsageError(unknown(name, getattr(self, name), known))
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])
        positive = ("epochs", "batch_size", "learning_rate")
        if any(getattr(self, name) <= 0 for name in positive):
            raise UsageError(f"{', '.join(positive)} must be above 0: {self}")
        for name in ("momentum", "label_smoothing", "warmup", "largest_alone", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """Inverse of `to_dict`. Raises UsageError for names that a recipe does not have."""
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise UsageError(f"A recipe has no {', '.join(sorted(unknown))}.")
        return cls(**data)
