"""Training a supernet, evaluating its subnets, and training them on."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.training.evaluation import Evaluator, as_seen
from edgenas.training.finetune import finetune, finetune_recipe
from edgenas.training.finetuned import FineTuned, load_finetuned
from edgenas.training.loading import load_images, load_supernet, recorded_split, save_supernet
from edgenas.training.onnx_classifier import OnnxClassifier
from edgenas.training.recipe import Recipe
from edgenas.training.recipe_file import read_recipe, write_recipe
from edgenas.training.teacher import OnnxTeacher
from edgenas.training.timing import settled
from edgenas.training.train import score_in, train_supernet
from edgenas.training.trainer import Trainer
from edgenas.training.warm_start import begin, warm_started, weights_of

__all__ = [
    "Evaluator",
    "FineTuned",
    "OnnxClassifier",
    "OnnxTeacher",
    "Recipe",
    "Trainer",
    "as_seen",
    "begin",
    "finetune",
    "finetune_recipe",
    "load_finetuned",
    "load_images",
    "load_supernet",
    "read_recipe",
    "recorded_split",
    "save_supernet",
    "score_in",
    "settled",
    "train_supernet",
    "warm_started",
    "weights_of",
    "write_recipe",
]
