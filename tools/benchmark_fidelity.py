"""How far the accuracy of a supernet's subnets can be believed, and how fast it is had.

python tools/benchmark_fidelity.py fidelity runs/cifar10 --out fidelity.jsonl    architectures trained alone, and inherited
python tools/benchmark_fidelity.py evaluation runs/cifar10                       seconds for one subnet, against the plain way

Both look at the test images. `fidelity` trains for as many epochs as the supernet had, which takes hours: every architecture is
a line of the file as soon as it is done, and the same command goes on from there, or compares another supernet with them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgenas import cost
from edgenas.bars import track
from edgenas.data import Dataset, Split, normalise, resize
from edgenas.predictor import kendall_tau
from edgenas.processes import own_device
from edgenas.run import Run
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network, recalibrate
from edgenas.training import Evaluator, Recipe, Trainer, load_images, load_supernet

PLAIN_BATCH = 200
SETTLED = 20_480
"""Training images after which statistics change no more: neither way is the truth for the other."""


def across_the_range(space: SearchSpace, n: int, seed: int) -> list[Architecture]:
    """The smallest, the largest, and between them random architectures at even ranks of multiply-accumulates."""
    drawn = [space.decode(genome) for genome in space.sample(np.random.default_rng(seed), 1000)]
    drawn.sort(key=lambda architecture: cost.macs(space.blocks(architecture)))
    between = np.linspace(0, len(drawn) - 1, n)[1:-1].round().astype(int)
    return [space.smallest, *(drawn[i] for i in between), space.largest]


def accuracy_alone(space: SearchSpace, architecture: Architecture, dataset: Dataset, recipe: Recipe) -> float:
    """Trained by itself from nothing, after the supernet's recipe."""
    alone = replace(recipe, scheme="single-path")
    trainer = Trainer(space.restricted_to(architecture), dataset, alone, own_device())
    trainer.run(track)
    return Evaluator(trainer.trained(), dataset).accuracy(trainer.supernet.space.largest, dataset.test)


def trained_alone(space: SearchSpace, some: list[Architecture], dataset: Dataset, recipe: Recipe, out: Path) -> None:
    """Add to the file what is not in it yet."""
    done = read(out, recipe.epochs)
    missing = [architecture for architecture in some if str(architecture) not in done]
    for architecture in track(missing, "Training architectures alone", len(missing)):
        alone = accuracy_alone(space, architecture, dataset, recipe)
        with out.open("a") as file:
            file.write(json.dumps({"architecture": str(architecture), "epochs": recipe.epochs, "alone": alone}) + "\n")


def read(out: Path, epochs: int) -> dict[str, float]:
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return {row["architecture"]: row["alone"] for row in rows if row["epochs"] == epochs}


def fidelity(run: Run, dataset: Dataset, architectures: list[Architecture], alone: dict[str, float]) -> None:
    evaluator = Evaluator(load_supernet(run).to(own_device()), dataset)
    pairs, known = [], [architecture for architecture in architectures if str(architecture) in alone]
    for architecture in track(known, "Evaluating them as subnets", len(known)):
        pairs.append((alone[str(architecture)], evaluator.accuracy(architecture, dataset.test)))
        print(f"{cost.macs(run.space.blocks(architecture)) / 1e6:7.2f} MMACs  alone {100 * pairs[-1][0]:.2f} %  "
              f"inherited {100 * pairs[-1][1]:.2f} %  {architecture}")  # fmt: skip
    own, inherited = np.array(pairs).T
    print(f"{len(pairs)} architectures, {len(dataset.test)} test images: Kendall tau {kendall_tau(inherited, own):.2f}; "
          f"inherited minus alone {100 * (inherited - own).mean():+.2f} points on average")  # fmt: skip


def plain_accuracy(evaluator: Evaluator, architecture: Architecture, split: Split, calibration: int) -> float:
    """As once-for-all does it: running statistics anew over training images, then the split, all in torch's default layout."""

    def batches(of: Split, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        dataset = evaluator.dataset
        for begin in range(0, count, PLAIN_BATCH):
            images, labels = of.batch(np.arange(begin, min(begin + PLAIN_BATCH, count)))
            inputs = resize(normalise(images, dataset.mean, dataset.std), architecture.resolution)
            yield inputs.contiguous(), labels

    network: Network = evaluator.supernet.extract(architecture).to(memory_format=torch.contiguous_format)
    recalibrate(network, (images for images, _ in batches(evaluator.dataset.train, calibration)))
    with torch.no_grad():
        return sum(int((network(x).argmax(1) == y).sum()) for x, y in batches(split, len(split))) / len(split)


def evaluation(run: Run, dataset: Dataset, calibration: int, seed: int) -> None:
    evaluator, space = Evaluator(load_supernet(run), dataset), run.space
    settled = Evaluator(evaluator.supernet, dataset, calibration=SETTLED)
    calibration = min(calibration, len(dataset.train))
    random = space.decode(space.sample(np.random.default_rng(seed), 1)[0])
    for name, architecture in (("smallest", space.smallest), ("random", random), ("largest", space.largest)):
        ours, plain = [], []
        for _ in range(2):  # interleaved, so that both meet the same machine; the better time of each
            for times, evaluate in (
                (ours, lambda a: evaluator.accuracy(a, dataset.test)),
                (plain, lambda a: plain_accuracy(evaluator, a, dataset.test, calibration)),
            ):
                start = time.process_time()
                accuracy = evaluate(architecture)
                times.append((time.process_time() - start, accuracy))
        (seconds, accuracy), (plain_seconds, plain_value) = min(ours), min(plain)
        print(f"{name}: {seconds:.2f} CPU-s for {len(dataset.test)} images, the plain way over {calibration} training images "
              f"{plain_seconds:.2f} CPU-s: {plain_seconds / seconds:.1f}x; accuracy {100 * accuracy:.2f} % and "
              f"{100 * plain_value:.2f} %; with the statistics of {SETTLED} images "
              f"{100 * settled.accuracy(architecture, dataset.test):.2f} %", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fidelity", "evaluation"])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="where the images are now")
    parser.add_argument("--out", type=Path, default=Path("fidelity.jsonl"))
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--epochs", type=int, help="default: the supernet's")
    parser.add_argument(
        "--part", default="1/1", help="train only these of the architectures, such as 1/2 and 2/2 in two processes"
    )
    parser.add_argument("--calibration", type=int, default=2000, help="images of the plain way; once-for-all takes 2000")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    run = Run.open(options.run)
    dataset = load_images(run, options.data, track)
    if options.what == "evaluation":
        evaluation(run, dataset, options.calibration, options.seed)
        return
    recipe = replace(run.recipe, epochs=options.epochs or run.recipe.epochs)
    architectures = across_the_range(run.space, options.architectures, options.seed)
    part, parts = map(int, options.part.split("/"))
    trained_alone(run.space, architectures[part - 1 :: parts], dataset, recipe, options.out)
    fidelity(run, dataset, architectures, read(options.out, recipe.epochs))


if __name__ == "__main__":
    main()
