"""One function prepares images, in training, verification and the product."""

import ast
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import Decoder, normalise, prepare
from edgenas.deployment import predict

HOW = {"resolution": 20, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def picture(width, height, mode="RGB", orientation=1, kind="PNG"):
    rng = np.random.default_rng(width)
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.fromarray(rng.integers(0, 256, (height, width, bands)).astype(np.uint8).squeeze(), mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif)
    return Image.open(stream)


@pytest.mark.parametrize("fit", ["crop", "pad", "squeeze"])
@pytest.mark.parametrize("kind", [("RGB", 6, "JPEG"), ("RGBA", 3, "PNG"), ("L", 1, "PNG"), ("RGB", 8, "WEBP")])
def test_equal_to_the_bit_to_what_training_sees(fit, kind):
    mode, orientation, form = kind
    pixels = Decoder(20, fit)(picture(90, 50, mode, orientation, form))
    seen = normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None], HOW["mean"], HOW["std"])
    own = prepare.tensor(picture(90, 50, mode, orientation, form), HOW | {"fit": fit}, "NCHW")
    assert own.dtype == np.float32 and own.flags.c_contiguous
    np.testing.assert_array_equal(own, seen.numpy())
    np.testing.assert_array_equal(prepare.tensor(picture(90, 50, mode, orientation, form), HOW | {"fit": fit})[0],
                                  own[0].transpose(1, 2, 0))  # fmt: skip


def test_values_of_16_bits():
    deep = Image.fromarray(np.linspace(29000, 29400, 400).reshape(20, 20).astype(np.uint16))
    pixels = prepare.square(deep, 20, "crop", (29000, 29400))
    assert pixels.min() == 0 and pixels.max() == 255


def test_in_words():
    assert prepare.described(HOW) == (
        "turn it upright (EXIF); convert it to RGB, over grey 128 where it is transparent; resize the shorter side to 20 "
        "(bilinear, antialiased) and take the centre; divide by 255; subtract (0.485, 0.456, 0.406); "
        "divide by (0.229, 0.224, 0.225)"
    )
    assert "scale its values so that 29000 is 0 and 29400 is 255" in prepare.described(HOW | {"value_range": (29000, 29400)})
    assert "grey 128;" in prepare.described(HOW | {"fit": "pad"})


@pytest.mark.parametrize("module", [prepare, predict])
def test_it_is_python_3_9(module):
    tree = ast.parse(Path(module.__file__).read_text(), feature_version=(3, 9))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "torch" not in imported
    evaluated = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]
    annotations = {part for node in ast.walk(tree) for name in ("annotation", "returns")
                   if (found := getattr(node, name, None)) is not None for part in ast.walk(found)}  # fmt: skip
    assert set(evaluated) <= annotations  # `int | None` outside of annotations needs 3.10
