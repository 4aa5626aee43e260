"""What a person would otherwise have picked by hand: networks that are trained, exported, verified and timed beside a run."""

from edgenas.baseline.choice import ALL, PHOTO, Choice, choose, spread, usual
from edgenas.baseline.network import create, finish, is_done, published_weights, recipe_for
from edgenas.baseline.own_file import add_file
from edgenas.baseline.record import OWN, SCRATCH, Baseline, begins_with, folder_of, load_baselines, trained_seconds

__all__ = [
    "ALL",
    "OWN",
    "PHOTO",
    "SCRATCH",
    "Baseline",
    "Choice",
    "add_file",
    "begins_with",
    "choose",
    "create",
    "finish",
    "folder_of",
    "is_done",
    "load_baselines",
    "published_weights",
    "recipe_for",
    "spread",
    "trained_seconds",
    "usual",
]
