"""What a data set's report says, by the data sets that mislead: each is one of a kind that people have."""

import shutil

import numpy as np
import pytest
from PIL import Image, features

from edgenas.data import DataReport, load_dataset
from edgenas.errors import DataError
from tests.data.images import write_folder

SIZE = 16
NOISE = np.random.default_rng(0)


def noise(path, shape=(24, 24), suffix=".png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(NOISE.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(path.with_suffix(suffix))


@pytest.fixture
def noisy(tmp_path):
    """Two classes of twenty pictures, no two of which look the same."""
    for name in ("cat", "dog"):
        for number in range(20):
            noise(tmp_path / "pets" / name / f"{number:02}")
    return tmp_path / "pets"


def report(path, **options):
    made = DataReport.of(load_dataset(str(path), size=SIZE, **options))
    assert made is not None
    return made


def warnings(path, **options):
    return " ".join(report(path, **options).warnings)


def test_of_a_good_data_set(noisy):
    made = report(noisy)
    assert made.counts == {"train": (16, 16), "validation": (2, 2), "test": (2, 2)}
    assert made.different == made.images == 40 and made.left_out == ()
    assert "40 images in 2 classes: 32 for training, 4 for validation, 4 for testing." in made.facts
    assert "Training + validation + test images: cat: 16 + 2 + 2, dog: 16 + 2 + 2." in made.facts
    assert made.warnings == ["There are fewer than 10 test images of 'cat', 'dog': one of them is over 10 points of recall."]


def test_what_is_left_out_is_told_by_suffix_and_reason(noisy):
    (noisy / "cat" / "a.cr2").write_bytes(b"raw")
    (noisy / "cat" / "b.mp4").write_bytes(b"film")
    (noisy / "dog" / "broken.jpg").write_bytes(b"<html>not found</html>")
    noise(noisy / "dog" / "@eaDir" / "00.png" / "SYNOPHOTO_THUMB_M")
    said = " ".join(report(noisy).facts)
    assert ".cr2 is a camera's raw format" in said and "b.mp4: .mp4 is no image that is read" in said
    assert "broken.jpg: it is text such as HTML, no image" in said
    assert "in @eaDir, which the system keeps for itself" in said


@pytest.mark.parametrize("suffix", [".tga", ".jp2", ".webp", pytest.param(".avif", marks=pytest.mark.skipif(
    not features.check("avif"), reason="this Pillow reads no AVIF"))])  # fmt: skip
def test_all_that_pillow_reads_is_read(noisy, suffix):
    for number in range(20):
        noise(noisy / "eel" / f"{number}", suffix=suffix)
    assert report(noisy).counts["train"] == (16, 16, 16)


def test_heic_is_read_where_pillow_heif_is(noisy):
    pillow_heif = pytest.importorskip("pillow_heif")
    (noisy / "eel").mkdir()
    for number in range(20):
        picture = Image.fromarray(NOISE.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        pillow_heif.from_pillow(picture).save(noisy / "eel" / f"IMG_{number:04}.HEIC")
    assert report(noisy).counts["train"] == (16, 16, 16)


def test_sixteen_bits_are_scaled_by_the_range_of_the_set(tmp_path):
    """Thermal pictures: everything between 290 and 294 kelvin, in hundredths."""
    for name, columns in (("left", slice(0, 12)), ("right", slice(12, 24))):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = NOISE.integers(29_000, 29_200, (24, 24)).astype(np.uint16)
            pixels[:, columns] += 200
            Image.fromarray(pixels).save(tmp_path / name / f"{number:02}.png")
    dataset = load_dataset(str(tmp_path), size=24)
    made = DataReport.of(dataset)
    assert made.deep == 24 and made.levels[0] < 20 and made.levels[1] > 235
    black, white = made.value_range
    assert 28_990 < black < 29_050 and 29_350 < white < 29_410
    halves = dataset.train.images[dataset.train.rows].astype(float)
    hot_left = halves[:, :, :10].mean((1, 2, 3)) > halves[:, :, 14:].mean((1, 2, 3))
    assert (hot_left == (dataset.train.labels == 0)).all()


def test_what_is_transparent_shows_grey(tmp_path):
    """Logos whose shape is in alpha alone, over hidden black."""
    for name, at in (("high", 0), ("low", 12)):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = np.zeros((24, 24, 4), np.uint8)
            pixels[at : at + 12, number : number + 12, 3] = 255
            Image.fromarray(pixels).save(tmp_path / name / f"{number:02}.png")
    assert report(tmp_path).levels == (0, 128)


def test_pictures_that_are_all_equal_are_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for level in range(1, 9):  # of compression
            Image.new("RGB", (24, 24), (9, 9, 9)).save(tmp_path / name / f"{level}.png", compress_level=level)
    with pytest.raises(DataError, match="different files, and all become the same picture"):
        load_dataset(str(tmp_path), size=SIZE)


def test_equal_pictures_stay_in_one_split(noisy):
    for number in range(10):
        shutil.copy(noisy / "cat" / f"{number:02}.png", noisy / "cat" / f"copy-{number:02}.png")
    dataset = load_dataset(str(noisy), size=SIZE)
    seen = {part: {image.tobytes() for image in split.images[split.rows]} for part, split in dataset.splits.items()}
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    assert "10 images are copies of others" in warnings(noisy)


def test_equal_pictures_of_given_splits_are_left_aside(noisy, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(noisy, tmp_path / "split" / part)
    noise(tmp_path / "split" / "test" / "cat" / "new")
    noise(tmp_path / "split" / "test" / "dog" / "new")
    made = report(tmp_path / "split")
    assert made.aside == 40 and sum(made.counts["test"]) == 2
    assert "40 validation or test images are left aside, since equal ones are in another split." in made.warnings


def test_one_picture_in_two_classes(noisy):
    shutil.copy(noisy / "cat" / "00.png", noisy / "dog" / "also.png")
    assert "1 image is in two classes" in warnings(noisy)


def test_pictures_that_look_the_same_in_different_splits(tmp_path):
    for part, count in (("train", 20), ("test", 12)):
        for name in ("cat", "dog"):
            for number in range(count):
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                coarse = Image.fromarray(NOISE.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                coarse.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / part / name / f"{number:02}.png")
    with Image.open(tmp_path / "train" / "cat" / "00.png") as picture:
        picture.resize((32, 32), Image.Resampling.BOX).save(tmp_path / "test" / "cat" / "again.png")
    report(tmp_path)
    made = report(tmp_path)  # from the cache, which keeps the pairs
    assert made.alike_across_splits.count == 1 and made.alike_across_classes.count == 0
    assert "1 pair of images in different splits looks the same" in " ".join(made.warnings)


def test_classes_that_a_split_lacks(tmp_path):
    write_folder(tmp_path, {f"{part}/{name}": 12 for part in ("train", "val", "test") for name in ("cat", "dog")})
    shutil.rmtree(tmp_path / "test" / "dog")
    assert "There are no test images of 'dog': nothing will be known of them there." in warnings(tmp_path)


def test_rare_classes(noisy):
    for number in range(3):
        noise(noisy / "eel" / f"{number}")
    said = warnings(noisy)
    assert "cat has 16 training images, eel 1: accuracy would hardly notice" in said
    assert "fewer than 10 training images of 'eel'" in said


@pytest.mark.parametrize(("fit", "is_warned"), [("crop", True), ("pad", False), ("squeeze", False)])
def test_what_a_centre_crop_does_not_see(tmp_path, fit, is_warned):
    for name in ("cat", "dog"):
        for number in range(20):
            noise(tmp_path / name / f"{number:02}", (16, 128))
    said = warnings(tmp_path, fit=fit)
    assert ("only the centre is seen, of the longest 12 %" in said) == is_warned


def test_fit_shows_what_is_at_the_edge(tmp_path):
    photos = tmp_path / "photos"
    for name, mark in (("left", slice(0, 16)), ("none", slice(0, 0))):
        (photos / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((16, 128, 3), 80 + 20 * (name == "left") + number, np.uint8)
            pixels[:, mark] = 255
            Image.fromarray(pixels).save(photos / name / f"{number:02}.png")
    brightest = {fit: load_dataset(str(photos), size=SIZE, fit=fit).train.images[:].max() for fit in ("crop", "pad", "squeeze")}
    assert brightest["crop"] < 120 and brightest["pad"] == brightest["squeeze"] == 255
