"""What a person would otherwise have picked by hand: networks that are trained, exported, verified and timed beside a run."""

from edgenas.baseline.choice import ALL, Choice, choose, usual
from edgenas.baseline.network import create, finish, is_done, recipe_for
from edgenas.baseline.own_file import add_file
from edgenas.baseline.record import Baseline, folder_of, load_baselines

__all__ = [
    "ALL",
    "Baseline",
    "Choice",
    "add_file",
    "choose",
    "create",
    "finish",
    "folder_of",
    "is_done",
    "load_baselines",
    "recipe_for",
    "usual",
]
