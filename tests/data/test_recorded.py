"""The split of a run is recorded: its images are known by their content, whatever becomes of their names and folders."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from edgenas.data import RecordedSplit, load_dataset
from edgenas.errors import CheckpointError, DataError
from tests.data.images import shard_folder, zip_folder

NOISE = np.random.default_rng(0)
SIZE = 16


def noise(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(NOISE.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def pets(tmp_path):
    """Three classes of twenty pictures."""
    for name in ("cat", "dog", "eel"):
        for number in range(20):
            noise(tmp_path / "pets" / name / f"{number:02}.png")
    return tmp_path / "pets"


@pytest.fixture
def record(pets, tmp_path):
    """As a run keeps it and reads it again."""
    dataset = load_dataset(str(pets), size=SIZE)
    dataset.record.save(tmp_path / "images.csv")
    return RecordedSplit.load(tmp_path / "images.csv", dataset.classes)


def load(path, record, **options):
    return load_dataset(str(path), size=SIZE, recorded=record, **options)


def content(dataset):
    """Of every split its images, by their pixels, with their classes, in order."""

    def key(image, label):
        return hashlib.sha256(np.ascontiguousarray(image)).hexdigest(), dataset.classes[label]

    return {
        part: [key(image, label) for images, labels in split.batches([np.arange(len(split))])
               for image, label in zip(images.permute(0, 2, 3, 1).numpy(), labels.tolist(), strict=True)]
        for part, split in dataset.splits.items()
    }  # fmt: skip


def image_of(dataset, part, name=None):
    """The name of an image of a split."""
    names = [dataset.pictures.files[row] for row in dataset.splits[part].rows]
    return next(file for file in names if name is None or file.startswith(name))


def rename_all(folder):
    for file in sorted(folder.rglob("*.png")):
        file.rename(file.with_name(f"{hashlib.md5(file.read_bytes()).hexdigest()}.png"))


def renamed(pets):
    rename_all(pets)
    return pets


def into_parts(pets):
    """The same images as somebody else would split them."""
    for file in sorted(pets.rglob("*.png")):
        part = "test" if int(file.stem) % 2 else "train"
        (pets / part / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(pets / part / file.parent.name / file.name)
    for name in ("cat", "dog", "eel"):
        (pets / name).rmdir()
    return pets


def sharded(pets):
    rename_all(pets)
    return shard_folder(pets, pets.parent / "shards")


def moved(pets):
    return pets.rename(pets.parent / "elsewhere")


def zipped(pets):
    return zip_folder(pets)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("change", [renamed, moved, into_parts, zipped, sharded])
def test_the_split_is_the_same_to_the_image(pets, record, change, stream):
    before = content(load_dataset(str(pets), size=SIZE))
    after = load(change(pets), record, stream=stream)
    assert content(after) == before and after.changes == ()
    assert after.streamed == stream


def test_without_a_record_other_names_are_another_split(pets):
    before = content(load_dataset(str(pets), size=SIZE))
    assert content(load_dataset(str(renamed(pets)), size=SIZE)) != before


def test_samples_are_recorded(tmp_path):
    digits = load_dataset("digits", size=12)
    digits.record.save(tmp_path / "images.csv")
    again = load_dataset("digits", size=12, recorded=RecordedSplit.load(tmp_path / "images.csv", digits.classes))
    assert content(again) == content(digits) and again.changes == ()


def test_swapped_class_folders(pets, record):
    for old, new in (("cat", "other"), ("dog", "cat"), ("other", "dog")):
        (pets / old).rename(pets / new)
    with pytest.raises(DataError, match="most images of 'cat' are now in 'dog', of 'dog' are now in 'cat': give the class"):
        load(pets, record)


def test_a_renamed_class_folder(pets, record):
    (pets / "cat").rename(pets / "kitten")
    with pytest.raises(DataError, match="most images of 'cat' are now in 'kitten': give the class"):
        load(pets, record)


def test_a_picture_with_another_label_is_left_aside(pets, record):
    before = load(pets, record)
    name = image_of(before, "train", "cat")
    (pets / name).rename(pets / "dog" / "of-cat.png")
    after = load(pets, record, take_new=True)
    assert len(after.train) == len(before.train) - 1
    assert content(after)["test"] == content(before)["test"]
    assert after.changes == (
        "1 image is in another class than in the run's record, and left aside, such as dog/of-cat.png, which was in 'cat' and "
        "is in 'dog'.",
    )


def test_copies_in_another_class(pets, record):
    before = content(load(pets, record))
    for file in sorted((pets / "cat").iterdir()):
        shutil.copy(file, pets / "dog" / f"a-{file.name}")
        shutil.copy(file, pets / "dog" / f"b-{file.name}")
    after = load(pets, record, take_new=True)
    assert content(after) == before
    assert "40 images are in another class than in the run's record, and left aside" in after.changes[0]


def test_new_images_are_left_aside_or_split(pets, record):
    before = content(load(pets, record))
    for number in range(20):
        noise(pets / "cat" / f"a-{number}.png")  # sorted among the others
    left = load(pets, record)
    assert content(left) == before
    assert left.changes == (
        f"20 images are in {pets}, but not in the run's record, such as cat/a-0.png: left aside. `add_images()` takes them "
        "into its splits.",
    )
    taken = load(pets, record, take_new=True)
    assert taken.changes == ()
    for part, count in {"train": 16, "validation": 2, "test": 2}.items():
        now = content(taken)[part]
        assert now[: len(before[part])] == before[part] and len(now) == len(before[part]) + count
    assert content(load(pets, taken.record)) == content(taken)


def test_one_new_image_is_for_training(pets, record):
    noise(pets / "cat" / "one.png")
    taken = load(pets, record, take_new=True)
    assert image_of(taken, "train", "cat/one.png")


def test_what_is_new_and_equals_a_recorded_image_goes_where_that_is(pets, record):
    before = load(pets, record)
    for part in ("train", "test"):
        with Image.open(pets / image_of(before, part, "cat")) as picture:
            picture.save(pets / "cat" / f"{part}-again.png", compress_level=1)
        shutil.copy(pets / image_of(before, part, "dog"), pets / "dog" / f"{part}-copy.png")
    assert len(load(pets, record).train) == len(before.train)
    taken = load(pets, record, take_new=True)
    for part in ("train", "test"):
        assert image_of(taken, part, f"cat/{part}-again") and image_of(taken, part, f"dog/{part}-copy")
    assert not set(content(taken)["train"]) & set(content(taken)["test"])


def test_images_that_are_gone(pets, record):
    before = load(pets, record)
    gone = image_of(before, "train")
    (pets / gone).unlink()
    after = load(pets, record)
    assert after.changes == (f"1 image of the run is not in {pets}, or not readable any more (1 of train), such as {gone}.",)
    kept = content(before)
    assert content(after) == kept | {"train": kept["train"][1:]}


def test_a_split_that_is_gone(pets, record):
    before = load(pets, record)
    for row in before.test.rows:
        (pets / before.pictures.files[row]).unlink()
    with pytest.raises(DataError, match="does not hold the images of this run: none of its 6 test images is there"):
        load(pets, record)


def test_other_images_altogether(tmp_path, record):
    for name in ("cat", "dog", "eel"):
        for number in range(20):
            noise(tmp_path / "others" / name / f"{number:02}.png")
    with pytest.raises(DataError, match="does not hold the images of this run"):
        load(tmp_path / "others", record)


def test_a_class_that_the_run_does_not_know(pets, record):
    before = content(load(pets, record))
    for number in range(2):
        noise(pets / "ape" / f"{number}.png")
    after = load(pets, record, take_new=True)
    assert content(after) == before and after.classes == ("cat", "dog", "eel")
    assert after.changes == ("2 images are of classes that the run does not know, 'ape': left aside.",)


def test_a_class_whose_images_are_all_gone(pets, record):
    before = content(load(pets, record))
    shutil.rmtree(pets / "cat")
    after = load(pets, record)
    assert after.classes == ("cat", "dog", "eel")
    assert content(after) == {part: [image for image in images if image[1] != "cat"] for part, images in before.items()}


def test_copies_in_given_splits_stay_aside(pets, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(pets, tmp_path / "given" / part)
        for name in ("cat", "dog", "eel"):
            noise(tmp_path / "given" / part / name / "own.png")
    before = load_dataset(str(tmp_path / "given"), size=SIZE)
    assert len(before.test) == 3
    before.record.save(tmp_path / "images.csv")
    assert (tmp_path / "images.csv").read_text().count(",aside,") == 60
    shutil.rmtree(tmp_path / "given" / "train" / "cat")
    rename_all(tmp_path / "given")
    (tmp_path / "given" / "test" / "cat").rename(tmp_path / "given" / "train" / "cat")
    after = load(tmp_path / "given", RecordedSplit.load(tmp_path / "images.csv", before.classes))
    old, new = content(before), content(after)
    assert new["test"] == old["test"] and not set(new["train"]) & set(new["test"])
    assert set(new["train"]) < set(old["train"])


def test_content_that_is_recorded_in_two_parts_is_in_the_first(pets, record):
    twice = RecordedSplit(record.classes, record.contents.copy(), record.labels.copy(), record.parts, record.names)
    train, test = (int(np.flatnonzero(record.parts == part)[0]) for part in (0, 2))
    twice.contents[test], twice.labels[test] = twice.contents[train], twice.labels[train]
    apart = twice.apart()
    assert apart.counts() == record.counts() | {"test": record.counts()["test"] - 1}
    found = load(pets, apart)
    assert not set(content(found)["train"]) & set(content(found)["test"])


def test_rows_in_another_order(tmp_path, pets, record):
    before = content(load(pets, record))
    header, *rows = (tmp_path / "images.csv").read_text().splitlines()
    (tmp_path / "images.csv").write_bytes("\r\n".join(["\ufeff" + header, *sorted(rows)]).encode())  # by a spreadsheet
    after = load(pets, RecordedSplit.load(tmp_path / "images.csv", record.classes))
    assert {part: sorted(images) for part, images in content(after).items()} == {p: sorted(i) for p, i in before.items()}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("sha256,class", "class,sha256", "its first line must be sha256,class,split,name"),
        (",train,", ",training,", "Unknown split 'training'. Did you mean 'train'?"),
        (",train,", ",", "row 2 must have 4 entries, not 3"),
        (",cat,", ",ape,", "no class of the run is called 'ape'"),
        (",cat,", "0,cat,", "of 64 hexadecimal digits"),
        ("\n", "\0" * 200_000 + "\n", "too long"),
        (",train,", ',"train,', "."),
    ],
)
def test_a_damaged_record(tmp_path, record, old, new, why):
    file = tmp_path / "images.csv"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(CheckpointError, match="no record of a run's images, or damaged") as raised:
        RecordedSplit.load(file, record.classes)
    assert why in str(raised.value)
    assert "Copy it again" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"sha256,class,split,name\n"])
def test_a_record_of_nothing(tmp_path, content):
    (tmp_path / "images.csv").write_bytes(content)
    with pytest.raises(CheckpointError, match="record of a run's images"):
        RecordedSplit.load(tmp_path / "images.csv", ("cat", "dog"))
    with pytest.raises(CheckpointError, match="There is no record of a run's images"):
        RecordedSplit.load(tmp_path / "none.csv", ("cat", "dog"))


def test_names_of_any_kind_are_recorded(tmp_path, pets):
    names = ['quoted "cat".png', "a,b.png", "two\nlines.png", "=1+1.png", "ü😀.png", "\x85.png"]
    for name, file in zip(names, sorted((pets / "cat").iterdir()), strict=False):
        file.rename(pets / "cat" / name)
    dataset = load_dataset(str(pets), size=SIZE)
    dataset.record.save(tmp_path / "images.csv")
    record = RecordedSplit.load(tmp_path / "images.csv", dataset.classes)
    assert content(load(pets, record)) == content(dataset)
    assert {"cat/a,b.png", r"cat/two\nlines.png"} <= set(record.names)


def test_what_weights_were_trained_on_is_never_judged_by(pets, record):
    trained_on = set(content(load(pets, record))["train"])
    rename_all(pets)
    for number in range(20):
        noise(pets / "cat" / f"a-{number}.png")
    unaware, aware = (load_dataset(str(pets), size=SIZE, seed=1, earlier=earlier) for earlier in (None, record))
    assert set(content(unaware)["test"]) & trained_on
    splits = content(aware)
    assert trained_on < set(splits["train"])
    assert not trained_on & {*splits["validation"], *splits["test"]}
    assert sum(map(len, splits.values())) == 80
    assert len(splits["test"]) == len(splits["validation"]) == 8
