"""The same answers everywhere: one trained network of every family in all runtimes that are here, image by image.

    python tools/compare_runtimes.py --data digits --epochs 8

For every family a small supernet is trained, the best of a few of its networks is exported as files that take pixels and give
probabilities, and each is run on every test image in every runtime. Prints a table in Markdown, and ends with exit status 1
where a runtime takes an image for another class than torch does. MediaPipe joins in where $EDGENAS_MEDIAPIPE_PYTHON names a
Python that has it. Trained supernets stay in --out, and are taken again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgenas.bars import track
from edgenas.data import Dataset, Decoder
from edgenas.device import RUNTIMES
from edgenas.device.runtimes import runtimes_of
from edgenas.export import ExportedModel, export, verify
from edgenas.files import scratch
from edgenas.pipeline.train import create, train
from edgenas.run import Run
from edgenas.space import FAMILIES, Architecture
from edgenas.training import Evaluator, as_seen, load_images, load_supernet

CANDIDATES = 8
"""Networks of a supernet of which the best is taken."""

# argv: a .tflite file, an .npy file of (n, r, r, 3) pixels. Prints its version, the classes' names and the milliseconds.
MEDIAPIPE = """
import json, sys, time
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
labels, times = [], []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for pixels in numpy.load(sys.argv[2]):
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        begin = time.perf_counter()
        found = classifier.classify(image)
        times.append(1e3 * (time.perf_counter() - begin))
        labels.append(found.classifications[0].categories[0].category_name)
print(json.dumps([mediapipe.__version__, labels, float(numpy.median(times))]))
"""


@dataclass(frozen=True)
class Answer:
    """same: share of the test images that are taken for the same class as by torch."""

    runtime: str
    same: float
    accuracy: float
    latency_ms: float


def winner(run: Run, dataset: Dataset) -> tuple[Evaluator, Architecture]:
    """The best of the smallest, the largest and some random networks on validation images."""
    space, evaluator = run.space, Evaluator(load_supernet(run), dataset)
    genomes = space.sample(np.random.default_rng(0), CANDIDATES - 2)
    candidates = [space.smallest, space.largest, *map(space.decode, genomes)]
    return evaluator, max(track(candidates, f"Evaluating {space.name}"), key=evaluator.accuracy)


def answers(run: Run, precisions: list[str]) -> tuple[ExportedModel, int, list[Answer]]:
    dataset = load_images(run)
    evaluator, architecture = winner(run, dataset)
    formats = [name for name in ("onnx", "tflite", "ncnn") if runtimes_of(name)]
    in_all = [p for p in precisions if p == "fp32"] + [p for p in precisions if p != "fp32"]
    model = export(evaluator, architecture, run.path / "compared", formats, image_type="uint8", answer="probabilities")
    if len(in_all) > 1:
        others = [name for name in formats if name != "ncnn"]  # which is written in fp32 alone
        model = export(evaluator, architecture, model.folder, others, precisions=in_all[1:], image_type="uint8",
                       answer="probabilities")  # fmt: skip
    found = []
    for v in verify(model, run.space, dataset, track=track):
        assert v.parity is not None and v.float_agreement is not None
        precision = "" if v.execution.precision == "fp32" else f", {v.execution.precision}"
        found.append(
            Answer(f"{v.execution.runtime} {v.runtime_version}{precision}", v.float_agreement, v.accuracy, v.latency_ms)
        )
    return model, len(dataset.test), found + list(in_mediapipe(run, model, dataset))


def in_mediapipe(run: Run, model: ExportedModel, dataset: Dataset) -> Iterator[Answer]:
    python = os.environ.get("EDGENAS_MEDIAPIPE_PYTHON")
    if not python:
        return
    how = model.preprocessing
    test = dataset.test_from_files(Decoder(how.resolution, how.fit, how.value_range))
    images, labels = (torch.cat(parts) for parts in zip(*as_seen(dataset, test, how.resolution), strict=True))
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (how.mean, how.std))
    pixels = (images * std + mean).round().clamp(0, 255)
    with torch.no_grad():
        expected = model.network(run.space)((pixels - mean) / std).argmax(1).numpy()
    with scratch("mediapipe") as folder:
        np.save(folder / "pixels.npy", pixels.byte().permute(0, 2, 3, 1).contiguous().numpy())
        command = [python, "-c", MEDIAPIPE, str(model.file("tflite")), str(folder / "pixels.npy")]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    version, names, latency_ms = json.loads(told.splitlines()[-1])
    found = np.array([model.classes.index(name) for name in names])
    yield Answer(f"mediapipe {version}", float((found == expected).mean()), float((found == labels.numpy()).mean()), latency_ms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=["fp32", "fp16", "int8"])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--out", type=Path, default=Path("runs/compared"))
    given = parser.parse_args()
    print(f"Runtimes: {', '.join(name for name, runtime in RUNTIMES.items() if runtime.python)}", file=sys.stderr)
    print("| family | network | runtime | same top-1 as torch | accuracy | ms |\n|---|---|---|---|---|---|")
    differing = 0
    for family in given.families:
        path = given.out / family
        if (path / "config.toml").exists():
            run = Run.open(path)
        else:
            run = create(given.data, out=path, family=family, preset=given.preset, epochs=given.epochs, track=track)
        train(run, track=track)
        model, images, found = answers(run, given.precisions)
        for answer in found:
            same = round(images * answer.same)
            differing += (images - same) * (", int8" not in answer.runtime)
            print(f"| {family} | {model.architecture.id} | {answer.runtime} | {same} of {images} | {answer.accuracy:.1%} | "
                  f"{answer.latency_ms:.3f} |", flush=True)  # fmt: skip
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
