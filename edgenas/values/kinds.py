"""The kinds of values that many fields and parameters have: each has its type and its range here, once.

What only one field is has its range where the field is declared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from edgenas.values.rules import Distinct, Length, ListsCores, Matches, OneOf, OrNaN, PathLike, Within, Writable

# ---- numbers ----

Seed = Annotated[int, Within(0, 2**43 - 1)]
"""Times a million, for the seeds that follow from it, it still fits into what torch takes."""
Share = Annotated[float, Within(0, 1)]
"""An accuracy, a probability, a part of a whole."""
Predicted = Annotated[float, Within(-10, 10)]
"""An accuracy by a model of it, which may leave 0..1."""
ShareBelowOne = Annotated[float, Within(0, 1, below=True)]
Correlation = Annotated[float, OrNaN(Within(-1.001, 1.001))]
"""A rank correlation, rounded; undefined where all values are equal."""
Milliseconds = Annotated[float, Within(0, 1e7, above=True)]
"""A latency or a budget: less than three hours."""
Elapsed = Annotated[float, Within(0, 1e7)]
"""What a clock says of one run, in milliseconds: nothing, where its ticks are long or it jumps."""
Seconds = Annotated[float, Within(0, 1e9, above=True)]
"""How long something may take: less than thirty years."""
Count = Annotated[int, Within(0, 10**15)]
"""Of images, parameters, bytes, multiply-accumulates."""
Images = Annotated[int, Within(1, 10**12)]
"""A number of them, at least one."""
Limit = Annotated[float, Within(0, 1e18, above=True)]
"""The most that something may be counted."""
Epochs = Annotated[int, Within(1, 100_000)]
EpochsOrNone = Annotated[int, Within(0, 100_000)]
"""None at all leaves weights as they are."""
Threads = Annotated[int, Within(1, 1024)]
CoreList = Annotated[str, ListsCores()]
"""Of a processor, by their numbers."""
Rounds = Annotated[int, Within(1, 10_000)]
Positive = Annotated[float, Within(0, 1e6, above=True)]
WidthFactor = Annotated[float, Within(0, 16, above=True)]
LearningRate = Annotated[float, Within(0, 1e12, above=True)]

# ---- spaces ----

Resolution = Annotated[int, Within(8, 2048)]
"""Height and width of an image, in pixels."""
Resolutions = Annotated[tuple[Resolution, ...], Length(1, 64), Distinct()]
Classes = Annotated[int, Within(2, 100_000)]

# ---- text ----

Text = Annotated[str, Length(0, 20_000, "characters")]
"""What is shown, and means nothing to the program."""
Line = Annotated[str, Length(0, 500, "characters")]
Name = Annotated[
    str,
    Matches(r"\w([\w .+-]{0,98}[\w.+-])?", "of up to 100 letters, digits, spaces and any of _ . + -, one of the former first"),
]
"""What a device, a runtime or a precision is called. It may become part of a file's name: nothing in it leads elsewhere."""
Hex = Annotated[str, Matches(r"[0-9a-f]{1,64}", "of hexadecimal digits")]
"""A fingerprint or a hash."""
ClassName = Annotated[str, Length(1, 1000, "characters")]
ClassNames = Annotated[tuple[ClassName, ...], Length(2, 100_000), Distinct()]
Mean = Annotated[float, Within(-1e3, 1e3)]
Deviation = Annotated[float, Within(1e-6, 1e3)]
Means = tuple[Mean, Mean, Mean]
"""Of red, green and blue, by which images in 0..1 are normalised."""
Deviations = tuple[Deviation, Deviation, Deviation]
FITS = ("crop", "pad", "squeeze")
Fit = Annotated[str, OneOf("fit", FITS)]
"""How a picture becomes a square: its centre, with grey beside it, or distorted."""
IMAGE_TYPES = ("float32", "uint8")
ImageType = Annotated[str, OneOf("input", IMAGE_TYPES)]
"""What a model file takes: a normalised image, or its pixels."""
ANSWERS = ("logits", "probabilities")
Answer = Annotated[str, OneOf("output", ANSWERS)]
"""What a model file gives: the scores of its last layer, or their softmax."""
ARITHMETICS = ("fp32", "int8")
Arithmetic = Annotated[str, OneOf("precision", ARITHMETICS)]
"""In which networks are searched for and trained. Files may have other precisions, see `graph.ModelFormat`."""
ANY = "any"
ARITHMETICS_OR_ANY = (*ARITHMETICS, ANY)
ArithmeticOrAny = Annotated[str, OneOf("precision", ARITHMETICS_OR_ANY)]
"""What is asked for where a search may choose one for every budget."""
ValueRange = tuple[Annotated[float, Within(-1e38, 1e38)], Annotated[float, Within(-1e38, 1e38)]]
"""The pixel values that become black and white."""

# ---- paths ----

GivenPath = Annotated[Path, PathLike()]
"""Of what is read."""
GivenText = Annotated[str, PathLike()]
"""Of what is read, or a name of something else: images, weights, a storage."""
NewFolder = Annotated[Path, PathLike(), Writable(folder=True)]
NewFile = Annotated[Path, PathLike(), Writable(folder=False)]
