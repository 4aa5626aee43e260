import errno

import pytest

from edgenas.errors import EdgeNASError
from edgenas.files import cache_dir, read_json, replacing, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(EdgeNASError, match="disk is full"), replacing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_path_through_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((EdgeNASError, FileExistsError)):
        write_text(tmp_path / "file" / "inner", "text")


def test_json_reads_back_and_damage_is_named(tmp_path):
    path = tmp_path / "data.json"
    write_json(path, {"a": [1, 2.5]})
    assert read_json(path, "thing") == {"a": [1, 2.5]}
    path.write_text('{"a": [1,')
    with pytest.raises(EdgeNASError, match="no thing: it is damaged"):
        read_json(path, "thing")
    with pytest.raises(EdgeNASError, match="no thing at"):
        read_json(tmp_path / "absent", "thing")


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("EDGENAS_CACHE")
    assert cache_dir().parts[-2:] == (".cache", "edgenas")
