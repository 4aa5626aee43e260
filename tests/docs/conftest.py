"""The README's story, told once with small pictures: a working folder in which the examples of the docs can run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.datasets import load_digits

from edgenas.cli import main
from tests.docs.examples import EDGENAS

QUICKER = {
    "--time 2h": "--epochs 8 --batch-size 32 --width 0.5 --resolutions 12,16 --precision float32",
    "--preset small": "--preset tiny",
    "--device cpu --latency 2ms": "--device cpu --latency 2ms --evaluations 12",
    "finetune runs/photos --time 20m": "finetune runs/photos --epochs 1",
    "baseline runs/photos": "baseline runs/photos --network lenet --epochs 1",
    "profile --device cpu": "profile --device cpu --time 10s",
}
"""What makes the README's commands small, by what is written there."""


def edgenas(arguments: list[str]) -> Result:
    return CliRunner().invoke(main, arguments)


def make_photos(folder: Path) -> None:
    """Four digits of scikit-learn as PNGs, 60 of each."""
    digits = load_digits()
    for label in range(4):
        (folder / "photos" / f"digit-{label}").mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == label][:60]):
            picture = Image.fromarray(np.uint8(image * 15)).resize((16, 16))
            picture.save(folder / "photos" / f"digit-{label}" / f"{number:03}.png")
    picture.save(folder / "photo.jpg")
    shutil.copytree(folder / "photos" / "digit-0", folder / "holiday")


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every command of the README has run, but for the one that needs a device."""
    folder = tmp_path_factory.mktemp("story")
    make_photos(folder)
    lines = [" ".join(words) for where, words in EDGENAS if where.startswith("README.md")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        for line in lines:
            if line.startswith(("quickstart", "deploy")):
                continue
            for written, instead in QUICKER.items():
                line = line.replace(written, instead)
            result = edgenas(line.split())
            assert result.exit_code == 0, f"edgenas {line}\n{result.output}"
    return folder


@pytest.fixture
def at_work(story: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(story)
    return story
