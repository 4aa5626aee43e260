from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import load_dataset
from edgenas.pretrained import PUBLISHED
from edgenas.run import Run
from edgenas.training import Recipe, train_supernet
from tests.pretrained.test_source import published_state

CLASSES = ("daisy", "rose", "tulip")


def put_weights(name: str, file: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have random tensors as these published weights where torch keeps them, and no others that it loaded."""
    hide_weights(folder, monkeypatch)
    (folder / "torch/hub/checkpoints").mkdir(parents=True)
    torch.save(published_state(PUBLISHED[name]), folder / "torch/hub/checkpoints" / file)


def hide_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HOME"):
        monkeypatch.setenv(name, str(folder / "nothing"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 12 images of 64 pixels, each of its own colour."""
    folder, rng = tmp_path_factory.mktemp("images") / "photos", np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(0, 120, (64, 64, 3), dtype=np.uint8)
            image[..., label] += 120
            Image.fromarray(image).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def make_run(tmp_path, photos):
    """Makes a run on the photos; its parts can be named."""

    def make(*resolutions: int, recipe: Recipe | None = None, about: dict | None = None, trained: bool = False) -> Run:
        space = {"family": "plain", "preset": "tiny", "width": 0.5, "resolutions": list(resolutions)}
        dataset = load_dataset(str(photos), size=max(resolutions))
        run = Run.create(tmp_path / "run", space, dataset, 0, recipe or Recipe(epochs=1, batch_size=8), about)
        if trained:
            train_supernet(run, dataset)
        return run

    return make
