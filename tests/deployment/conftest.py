from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import load_dataset
from edgenas.deployment import write_bundle
from edgenas.export import export, verify
from edgenas.run import Run
from edgenas.supernet import Supernet
from edgenas.training import Evaluator, Recipe

SPACE = {"family": "mobilenetv3", "preset": "tiny", "width": 0.5, "resolutions": [12, 16]}


def write_pictures(folder: Path) -> None:
    """Noisy photos of many shapes, of which some lie on their side (EXIF)."""
    rng = np.random.default_rng(0)
    for label, level in {"dark, or so": 40, "bright": 150}.items():
        (folder / label).mkdir(parents=True)
        for i in range(24):
            shape = rng.integers(20, 60, 2)
            pixels = rng.integers(level, level + 100, (*shape, 3)).astype(np.uint8)
            exif = Image.Exif()
            exif[0x0112] = 6 if i % 3 else 1
            Image.fromarray(pixels).save(folder / label / f"{i}.jpg", quality=95, exif=exif)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A run, one of its networks exported and verified, and the images."""
    folder = tmp_path_factory.mktemp("deployment")
    write_pictures(folder / "photos")
    dataset = load_dataset(str(folder / "photos"), size=16, seed=0)
    run = Run.create(folder / "runs" / "photos", SPACE, dataset, 0, Recipe())
    torch.manual_seed(0)
    evaluator = Evaluator(Supernet(run.space), dataset)
    model = export(evaluator, run.space.smallest, run.path / "export" / run.space.smallest.id, provenance=run.provenance)
    return run, model, dataset, verify(model, run.space, dataset)


@pytest.fixture(scope="session")
def bundle(exported, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "cat.zip"
    run, model, dataset, verifications = exported
    write_bundle(path, run, model, dataset, verifications)
    return path
