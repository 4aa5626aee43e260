import numpy as np
import pytest

from edgenas.data import KnownClasses, load_dataset
from edgenas.errors import DataError
from tests.data.images import write_folder

KNOWN = KnownClasses(("tench", "goldfish", "shark", "ray"), {"n01": "tench", "n02": "goldfish"})


def test_folders_are_classes_by_name_synonym_or_index(tmp_path):
    folder = write_folder(tmp_path / "val", {"n02": 10, "ray": 10, "0": 10})
    data = load_dataset(str(folder), size=4, known=KNOWN)
    assert data.classes == KNOWN.names
    assert data.folders == {"0": "tench", "n02": "goldfish", "ray": "ray"}
    assert np.bincount(data.test.labels, minlength=4).tolist() == [4, 4, 0, 4]
    assert np.bincount(data.train.labels, minlength=4).tolist() == [2, 2, 0, 2]
    again = load_dataset(str(folder), size=4, known=KnownClasses(data.classes, data.folders))
    assert np.array_equal(again.test.labels, data.test.labels)
    assert np.array_equal(again.test.rows, data.test.rows)


def test_classes_that_are_not_given_are_those_of_the_folders(tmp_path):
    assert load_dataset(str(write_folder(tmp_path / "own", {"a": 10, "b": 10})), size=4).folders == {}


@pytest.mark.parametrize(("counts", "words"), [
    ({"tench": 5, "cat": 5, "9": 5}, "'9', 'cat' in .* are none of the 4 classes"),
    ({"tench": 5, "n01": 5, "ray": 5}, "'n01', 'tench' in .* mean the same class"),
])  # fmt: skip
def test_folders_that_are_no_classes_or_one_twice(tmp_path, counts, words):
    with pytest.raises(DataError, match=words):
        load_dataset(str(write_folder(tmp_path / "val", counts)), size=4, known=KNOWN)
