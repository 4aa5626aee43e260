"""How an image becomes what a network takes: the one function, in training, verification and the product alike.

It needs numpy and Pillow, and works from Python 3.9 on; nothing else of EdgeNAS is imported, so that it can be copied alone: an
exported bundle has it beside `predict.py`. `how` is the `preprocessing` of a model.json:

    {"resolution": 128,                height and width of the network's input, in pixels
     "fit": "crop",                    how a picture becomes a square: see `square`
     "value_range": [29000, 29400],    left out but for images with more than 8 bits: those that become black and white
     "mean": [R, G, B],                of values in 0..1, what is subtracted,
     "std": [R, G, B],                 and what is divided by then
     "input": "float32"}               or `uint8`: the network takes pixels, and subtracts and divides itself
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 89_478_485
"""That are decoded of one image: Pillow's own limit, a quarter of a GiB of RGB."""
BACKGROUND = 128
"""The grey that shows through transparent pixels and around padded pictures: black and white are both seen before it."""


def tensor(image: Image.Image, how: dict[str, Any], layout: str = "NHWC") -> np.ndarray:
    """A Pillow image as a batch of one: `(1, r, r, 3)`, or `(1, 3, r, r)` in the layout NCHW, float32 or uint8: see `as_input`.

    Raises ValueError for an image of too many pixels, and whatever Pillow raises.
    """
    pixels = square(image, how["resolution"], how.get("fit", "crop"), how.get("value_range"))
    return as_input(pixels, how, layout)


def as_input(pixels: np.ndarray, how: dict[str, Any], layout: str = "NHWC") -> np.ndarray:
    """`(r, r, 3)` pixels of `square` as a batch of one: normalised, float32, or, where the network does that, uint8."""
    values = pixels if how.get("input") == "uint8" else normalised(pixels, how["mean"], how["std"])
    return in_layout(values[np.newaxis], layout)


def square(image: Image.Image, size: int, fit: str = "crop", value_range: tuple[float, float] | None = None) -> np.ndarray:
    """A Pillow image as `(size, size, 3)` uint8: upright, RGB over grey, made square, resized with antialiased bilinear.

    fit: `crop` takes the centre, `pad` puts grey beside the picture, `squeeze` distorts it.
    value_range: of images with more than 8 bits per value, those that become black and white. None: 0 to 65,535.
    Raises ValueError for an image of too many pixels, and whatever Pillow raises.
    """
    width, height = image.size
    image.draft(None, (2 * size, 2 * size))  # lets JPEGs of more than twice the size decode at a fraction of it
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"its {width} x {height} pixels are more than {MOST_PIXELS // 10**6} million, too many to decode")
    ImageOps.exif_transpose(image, in_place=True)
    if is_deep(image):
        image = Image.fromarray(as_bytes(np.asarray(image), value_range or (0, 65535)))
    return np.asarray(_fitted(opaque(image), size, fit))


def normalised(pixels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """uint8 `(..., 3)` -> float32: values in 0..1, minus the mean, by the standard deviation.

    Both are brought to the pixels' 0..255 first, as training does it: so it is the same to the last bit.
    """
    shift, scale = (np.asarray(values, np.float32) * np.float32(255) for values in (mean, std))
    values: np.ndarray = (pixels.astype(np.float32) - shift) / scale
    return values


def in_layout(images: np.ndarray, layout: str) -> np.ndarray:
    """`(n, r, r, 3)` images in the layout NHWC or NCHW."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if layout == "NCHW" else images)


def described(how: dict[str, Any]) -> str:
    """What `tensor` does, in words: for whoever writes it anew, in another language."""
    fits = {
        "crop": "resize the shorter side to {0} (bilinear, antialiased) and take the centre",
        "pad": "resize the longer side to {0} (bilinear, antialiased) and fill both sides with grey {1}",
        "squeeze": "resize both sides to {0} (bilinear, antialiased), whatever the aspect ratio",
    }
    steps = ["turn it upright (EXIF)", "convert it to RGB, over grey {1} where it is transparent", fits[how.get("fit", "crop")]]
    if how.get("value_range"):
        steps.insert(1, "scale its values so that {2:g} is 0 and {3:g} is 255")
    if how.get("input") == "uint8":
        steps.append("leave its values as they are, 0 to 255: the network itself normalises them")
    else:
        steps += ["divide by 255", "subtract " + _numbers(how["mean"]), "divide by " + _numbers(how["std"])]
    return "; ".join(steps).format(how["resolution"], BACKGROUND, *(how.get("value_range") or ()))


def opaque(image: Image.Image) -> Image.Image:
    """As RGB. What is transparent shows `BACKGROUND`."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = Image.new("RGBA", image.size, (BACKGROUND,) * 3 + (255,)), image.convert("RGBA")
    return Image.alpha_composite(*layers).convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether it has more than 8 bits per value: 12 or 16, or floating point. Of colours Pillow itself keeps 8 bits."""
    return image.mode.startswith(("I", "F"))


def as_bytes(values: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Values scaled so that their range is 0..255, as uint8. What is no number is black."""
    low, high = value_range
    scaled = (np.nan_to_num(values.astype(np.float64), nan=low) - low) * (255 / max(high - low, 1e-12))
    return scaled.clip(0, 255).round().astype(np.uint8)


def _fitted(image: Image.Image, size: int, fit: str) -> Image.Image:
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    if fit == "squeeze":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    scale = size / max(image.size)
    inner = image.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.BILINEAR)
    whole = Image.new("RGB", (size, size), (BACKGROUND,) * 3)
    whole.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return whole


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
