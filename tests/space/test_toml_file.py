"""A user's own space: what is right becomes a space, what is wrong is told with its line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from edgenas import space
from edgenas.errors import UsageError
from edgenas.space import FAMILIES, BlockChoice, FixedBlock, Stage, get_space, read_description
from edgenas.space.toml_file import line_of

GOOD = """\
# My space.
resolutions = [16, 20]

[[stem]]
op = "conv"
channels = 16
kernel = 3
stride = 2

[[stages]]
op = "fused"
channels = 16
depths = [1, 2]
kernels = [3]
expands = [2, 4]

[[stages]]
channels = 24
stride = 2
activation = "hswish"
se = true
depths = [1]
kernels = [3, 5]
starts = [0, 3]
expands = [2]

[[head]]
op = "conv"
channels = 64

[classifier]
features = 96
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_a_file_becomes_a_space(file: Path) -> None:
    file.write_text(GOOD)
    mine = get_space(str(file), None, 5)
    assert (mine.name, mine.resolutions, mine.widths, mine.classes) == ("mine", (16, 20), (1.0,), 5)
    assert mine.stem == (FixedBlock("conv", 16, kernel=3, stride=2),)
    assert mine.stages == (
        Stage(16, 1, "relu", False, (1, 2), (3,), (2, 4), "fused"),
        Stage(24, 2, "hswish", True, (1,), (3, 5), (2,), starts=(0, 3)),
    )
    assert mine.head == (FixedBlock("conv", 64), FixedBlock("head", 5, mid_channels=96))
    assert mine.count() == 2 * (2 + 2**2) * 4
    assert mine.stages[1].choices == [BlockChoice(k, 2, s) for k in (3, 5) for s in (0, 3)]


def test_width_and_resolutions_are_those_of_a_family(file: Path) -> None:
    file.write_text(GOOD)
    half = get_space(str(file), None, 5, width=0.5, resolutions=(12,))
    assert half.resolutions == (12,)
    assert [b.out_channels for b in half.blocks(half.smallest)] == [8, 8, 16, 32, 5]
    assert half.head[-1].mid_channels == 48


def test_a_description_that_was_read_needs_no_file(file: Path) -> None:
    file.write_text(GOOD)
    before = get_space(str(file), None, 5)
    description = read_description(file)
    file.unlink()
    assert get_space(str(file), None, 5, description=description).fingerprint == before.fingerprint
    with pytest.raises(UsageError, match=r"There is no description of a space at .*mine.toml"):
        get_space(str(file), None, 5)


def test_a_network_is_a_space_by_name():
    space = get_space("efficientnet-lite0", None, 5, resolutions=(64,))
    assert (space.count(), space.batch_norm_epsilon, space.classes) == (1, 1e-3, 5)
    assert space.blocks(space.largest)[0].pads == (0, 1)
    with pytest.raises(UsageError, match="leave the preset out for lenet"):
        get_space("lenet", "tiny", 10)
    with pytest.raises(UsageError, match="Did you mean 'mobilenetv2'"):
        get_space("mobilnetv2", None, 10)


def test_a_stage_may_be_left_out_and_one_without_padding_be_deep(file: Path) -> None:
    file.write_text(
        """
resolutions = [28]
stem = [{ op = "conv", channels = 16, kernel = 5, stride = 2, padding = "valid" }]
stages = [
    { op = "conv", channels = 16, depths = [0, 1], kernels = [3, 5] },
    { op = "conv", channels = 32, depths = [1, 2], kernels = [3], stride = 2, padding = "valid" },
]
"""
    )
    space = get_space(str(file), None, 10)
    assert space.count() == (1 + 2) * 2
    smallest, largest = (space.blocks(a) for a in (space.smallest, space.largest))
    assert [(b.op, b.resolution) for b in smallest] == [("conv", 28), ("conv", 12), ("head", 5)]
    assert [b.resolution for b in largest] == [28, 12, 12, 5, 5]
    assert [b.residual for b in largest] == [False, True, False, True, False]
    alone = space.restricted_to(space.largest)
    assert alone.blocks(alone.largest) == largest
    alone = space.restricted_to(space.smallest)
    assert alone.blocks(alone.largest) == smallest


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_of_a_family_is_the_family(family: str, tmp_path: Path) -> None:
    for preset in FAMILIES[family]:
        original = Path(space.__file__).parent / "families" / family / f"{preset}.toml"
        copy = tmp_path / f"{family}-{preset}.toml"
        copy.write_text(original.read_text())
        assert get_space(str(copy), None, 10) == get_space(family, preset, 10)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("stride = 2", "strides = 2", 8, "Unknown key 'strides'. Did you mean 'stride'?"),
        ("kernels = [3, 5]", "kernels = [3, 4]", 23, "kernels must be odd, so that it has a centre, not 4: take 3 or 5."),
        ("kernel = 3", "kernel = 4", 7, "kernel must be odd, so that it has a centre, not 4: take 3 or 5."),
        ("stride = 2", 'padding = "full"', 8, "Unknown padding 'full'. Known: symmetric, same, valid."),
        ('op = "fused"', 'op = "fused"\npadding = "valid"', 12, "Only a conv or a maxpool can do without padding"),
        ("resolutions = [16, 20]", 'resolutions = [16, 20]\npadding = "valid"', 3, "Unknown padding 'valid'."),
        ("kernel = 3", 'kernel = 20\npadding = "valid"', 2, "An image of 16 pixels is too small for the kernels"),
        ("features = 96", 'mix = "biased"', 32, "Without features there is nothing to mix: write features, or leave mix out."),
        ("features = 96", 'features = 96\nmix = "mixed"', 33, "Unknown mix 'mixed'. Did you mean 'biased'?"),
        ("kernel = 3", "kernel = 0", 7, "kernel must be a whole number from 1 to 63, not 0."),
        ("depths = [1, 2]", "depths = [0]", 13, "A stage that never exists is none: leave it out, or add another depth."),
        ("depths = [1]", "depths = [0, 1]", 22, "A stage may be left out, by a depth of 0, only where its blocks change"),
        ("depths = [1, 2]", "depths = [-1, 2]", 13, "depths[0] must be a whole number from 0 to 64, not -1."),
        ("depths = [1, 2]", "depths = []", 13, "depths must be a list with 1 to 32 entries, not with 0."),
        ("depths = [1, 2]", "depths = 2", 13, "depths must be a list with 1 to 32 entries, not 2."),
        ("depths = [1, 2]", "depths = [2, 2]", 13, "depths must not list 2 twice."),
        ("depths = [1, 2]", "depths = [1.5]", 13, "depths[0] must be a whole number from 0 to 64, not 1.5."),
        ("channels = 24", "channels = -8", 18, "channels must be a whole number from 1 to 8192, not -8."),
        ("channels = 24", "channels = true", 18, "channels must be a whole number from 1 to 8192, not True."),
        ("channels = 24\n", "", 17, "channels is missing here: write it."),
        ("expands = [2, 4]", "expands = [0]", 15, "expands[0] must be a number above 0 and at most 64, not 0."),
        ("expands = [2, 4]\n", "", 10, "expands is missing here: write it."),
        ("expands = [2, 4]", "expands = [nan]", 15, "expands[0] must be a number above 0 and at most 64, not nan."),
        ('op = "fused"', 'op = "dense"', 11, "Unknown op 'dense'."),
        ('op = "fused"', 'op = "conv"', 15, "A conv has no expand ratios: leave them out."),
        ('op = "fused"', 'op = "fused"\nstarts = [3]', 12, "Only an mbconv has start depthwises, not a fused: leave them out."),
        ("kernels = [3]", "kernels = [0, 3]", 14, "Only an mbconv can do without its kernel, not a fused: leave 0 out."),
        ('"hswish"', '"gelu"', 20, "Unknown activation 'gelu'."),
        ("se = true", 'se = "yes"', 21, "se must be true or false, not 'yes'."),
        (
            'op = "fused"',
            'op = "fused"\nse = true',
            12,
            "Only an mbconv has squeeze-and-excitation, not a fused: leave se out.",
        ),
        ("kernels = [3, 5]", "kernels = [0, 3]", 23, "A stride needs a depthwise convolution"),
        ('"conv"\nchannels = 64', '"maxpool"\nkernel = 3', 28, "A maxpool needs what is never negative"),
        ("stride = 2", "stride = 3", 8, "stride must be a whole number from 1 to 2, not 3."),
        ("kernel = 3", "kernel = 3\nexpand = 2", 8, "A conv has no expand ratio: leave it out."),
        ("resolutions = [16, 20]", "resolutions = [4]", 2, "resolutions[0] must be a whole number from 8 to 2048, not 4."),
        ("resolutions = [16, 20]\n", "", 1, "resolutions is missing: write it."),
        ("resolutions", "resolution", 2, "Unknown key 'resolution'. Did you mean 'resolutions'?"),
        ("features = 96", "feature = 96", 32, "Unknown key 'feature'. Did you mean 'features'?"),
        ("[[stem]]", "[stem]", 4, "stem must be a list with 0 to 64 entries"),
        ("[[stages]]", "[[stage]]", 10, "Unknown key 'stage'. Did you mean 'stages'?"),
        ("channels = 24", "channels = ", 18, "this is no TOML: Invalid value."),
        ("features = 96", "features = [96", 32, "this is no TOML: Unclosed array."),
        ("features = 96", "features = 96\nfeatures = 96", 33, "this is no TOML: Cannot overwrite a value."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, -1 if old == "[[stages]]" else 1))
    with pytest.raises(UsageError) as caught:
        get_space(str(file), None, 5)
    message = str(caught.value)
    assert message.startswith(f"{file}, line {line}: {words}"), message
    assert message.endswith(".") and "\n" not in message


def test_a_maxpool_keeps_the_channels(file: Path) -> None:
    pool = 'op = "maxpool"\nchannels = 8\ndepths = [1]\nkernels = [3]\nstride = 2\n\n[[stages]]\n'
    file.write_text(GOOD.replace("[[stages]]\n", "[[stages]]\n" + pool, 1))
    with pytest.raises(UsageError, match="line 12: A maxpool keeps the channels: make them 16, or leave them out"):
        get_space(str(file), None, 5)
    file.write_text(file.read_text().replace("channels = 8\n", ""))
    assert get_space(str(file), None, 5).stages[0].out_channels == 16


def test_lines_of_inline_tables() -> None:
    stages = "stages = [\n  { channels = 8, depths = [1] },\n\n\n  { channels = 9 },\n]\n"
    text = "resolutions = [\n  16,\n  20,\n]\nstem = []\n" + stages
    tomllib.loads(text)
    assert line_of(text, ("stages", 0, "depths")) == 7
    assert line_of(text, ("stages", 1, "channels")) == 10
    assert line_of(text, ("stages",)) == 6
    assert line_of(text, ("resolutions",)) == 1
    assert line_of(text, ("head", 3, "op")) == 1


def test_a_file_without_stages_or_without_text(file: Path) -> None:
    file.write_text("resolutions = [16]\n")
    with pytest.raises(UsageError, match=r"line 1: A space needs at least one stage: write \[\[stages\]\]"):
        get_space(str(file), None, 5)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is no text"):
        get_space(str(file), None, 5)


def test_presets_are_for_families(file: Path) -> None:
    file.write_text(GOOD)
    with pytest.raises(UsageError, match="leave the preset out for"):
        get_space(str(file), "tiny", 5)


def test_a_damaged_embedded_description_is_one_sentence(file: Path) -> None:
    data = tomllib.loads(GOOD)
    data["stages"][1]["depths"] = [0]
    with pytest.raises(
        UsageError, match=r"The description of the space mine is wrong at stages 2 depths: A stage that never exists"
    ):
        get_space("mine.toml", None, 5, description=data)


def test_fuzzed_files_end_in_one_sentence_or_a_space(file: Path) -> None:
    """Any single line of the file deleted, doubled or with its value replaced."""
    rng = np.random.default_rng(0)
    lines = GOOD.splitlines()
    values = [
        "0",
        "-1",
        "2.5",
        '"x"',
        "[]",
        "[3]",
        "[[3]]",
        "{}",
        "{ a = 1 }",
        "true",
        "1e400",
        "1979-05-27",
        "[1, 'a']",
        "[0, 3]",
    ]
    wrong = 0
    for trial in range(400):
        changed = list(lines)
        at = int(rng.integers(len(lines)))
        if trial % 4 == 0:
            changed[at : at + 1] = [] if trial % 8 else [lines[at]] * 2
        elif "=" in lines[at]:
            changed[at] = lines[at].split("=")[0] + "= " + values[int(rng.integers(len(values)))]
        file.write_text("\n".join(changed))
        try:
            get_space(str(file), None, 5)
        except UsageError as error:
            wrong += 1
            assert "\n" not in str(error) and f"{file}, line " in str(error)
    assert wrong > 150
