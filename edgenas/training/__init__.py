"""Training a supernet and evaluating its subnets."""

from edgenas.training.evaluation import Evaluator
from edgenas.training.recipe import Recipe
from edgenas.training.recipe_file import read_recipe, write_recipe
from edgenas.training.run import Run
from edgenas.training.teacher import OnnxTeacher
from edgenas.training.timing import settled
from edgenas.training.train import train_supernet
from edgenas.training.trainer import Trainer

__all__ = [
    "Evaluator",
    "OnnxTeacher",
    "Recipe",
    "Run",
    "Trainer",
    "read_recipe",
    "settled",
    "train_supernet",
    "write_recipe",
]
