"""A model folder has what a hub reads, and still does what a bundle does."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from edgenas.data import prepare
from edgenas.deployment.huggingface import preprocessor, write_model_folder


@pytest.fixture(scope="module")
def folder(bundle, exported, tmp_path_factory):
    run, model, _, verifications = exported
    folder = tmp_path_factory.mktemp("hub") / "cat"
    write_model_folder(folder, bundle, run, model, verifications)
    return folder


def test_the_card_has_metadata_that_can_be_read(folder, exported):
    _, model, _, verifications = exported
    _, head, card = (folder / "README.md").read_text().split("---\n", 2)
    data = yaml.safe_load(head)
    assert data["pipeline_tag"] == "image-classification" and {"onnx", "tflite"} <= set(data["tags"])
    (result,) = data["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(verifications[0].accuracy, abs=1e-4)
    assert "license" not in data and "# Say `license`" in head
    assert card.lstrip().startswith(f"# photos, network {model.architecture.id}")


def test_classes_are_found_by_number(folder, exported):
    _, model, _, _ = exported
    config = json.loads((folder / "config.json").read_text())
    assert [config["id2label"][str(i)] for i in range(config["num_labels"])] == list(model.classes)
    assert config["label2id"] == {label: i for i, label in enumerate(model.classes)}
    assert (folder / "labels.txt").read_text().splitlines() == list(model.classes)


def test_its_own_test_passes(folder):
    done = subprocess.run([sys.executable, "predict.py", "--self-test"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "files: whole" in done.stdout


def test_the_processor_says_what_prepare_does(exported):
    """Resized, cropped, scaled and normalised as the configuration says, a picture is the same but for rounding."""
    _, model, _, _ = exported
    how = preprocessor(model)
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)).resize((120, 80), Image.Resampling.BICUBIC)
    side, crop = how["size"]["shortest_edge"], how["crop_size"]["height"]
    small = smooth.resize((side * 3 // 2, side), how["resample"])
    left = (small.width - crop) // 2
    values = np.asarray(small.crop((left, 0, left + crop, crop)), np.float32) * how["rescale_factor"]
    values = (values - how["image_mean"]) / how["image_std"]
    expected = prepare.tensor(smooth, model.preprocessing.to_json())[0]
    assert np.abs(values - expected).mean() < 0.02 * expected.std()
