import errno
import fcntl
import json
import os
import subprocess
import sys
import tempfile

import pytest

from edgenas import files
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import append_line, cache_dir, now, replacing, scratch, sweep, to_json, write_text


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


def test_what_a_killed_process_left_is_swept_and_what_is_at_work_is_not(tmp_path):
    for name in (".a.txt.abc_1234", ".b.txt.abcdefgh"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".a.txt.notes").write_text("mine")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / ".a.txt.abc_1234").exists()
        sweep(tmp_path)
        assert temporary.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", ".a.txt.notes"}
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_killed_process_leaves_a_file_that_the_next_one_sweeps(tmp_path):
    code = (
        "import os, sys, signal; from pathlib import Path; from edgenas.files import replacing\n"
        "with replacing(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")])
    assert len(list(tmp_path.iterdir())) == 1
    write_text(tmp_path / "file", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_for_a_moment_is_gone_after_it_and_swept_after_a_killed_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / ".edgenas-job.0123abcd"
    left.mkdir()
    (left / "job.json").write_text("{}")
    other = tmp_path / ".others-job.0123abcd"
    other.mkdir()
    with scratch("job") as first:
        (first / "job.json").write_text("{}")
        with scratch("job"):
            assert (first / "job.json").exists()
    assert list(tmp_path.iterdir()) == [other]


def test_of_two_that_sweep_neither_loses_what_the_other_begins(tmp_path, monkeypatch):
    """A folder may be swept between being made, being opened and being locked."""
    before_opening, before_locking, kept = (tmp_path / f".x.{number:08}" for number in range(3))
    rest, lock = iter([before_opening, before_locking, kept]), fcntl.flock

    def make():
        path = next(rest)
        if path != before_opening:
            path.mkdir()
        return path

    def flock(handle, how):
        if before_locking.exists():
            before_locking.rmdir()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    path, handle = files._own(make)
    os.close(handle)
    assert path == kept and path.exists()


def test_many_processes_may_sweep_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from edgenas.files import scratch\n"
        "for _ in range(300):\n"
        "    with scratch('job', Path(sys.argv[1])) as folder: (folder / 'a').write_text('')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_line_is_added_behind_the_last_whole_one(tmp_path):
    path = tmp_path / "lines"
    append_line(path, "1")
    path.write_text(path.read_text() + "2\n3 and ha")
    append_line(path, "4")
    assert path.read_text() == "1\n2\n4\n"


def test_the_time_of_files_can_be_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert now() == "1970-01-02T00:00:00+00:00"
    for wrong in ("yesterday", "9" * 40):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH must be a number of seconds"):
            now()


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("EDGENAS_CACHE")
    assert cache_dir().parts[-2:] == (".cache", "edgenas")


def test_json_has_a_row_of_numbers_on_a_line_and_says_what_json_says():
    data = {
        "confusion": [[1, 2], [3, 4]], "names": ["a", "b\u00e9"], "empty": [], "none": {}, 3: None, 
        "mixed": [1, "a", [2.5, True]], "nested": [{"a": [1e-9]}, {}],
    }  # fmt: skip
    text = to_json(data)
    assert json.loads(text) == json.loads(json.dumps(data))
    assert "\n  [1, 2],\n  [3, 4]\n" in text and '\n  "a",\n' in text
    assert to_json(5) == "5" and to_json([]) == "[]" and to_json((1, 2)) == "[1, 2]"
    large = to_json({"confusion": [[0] * 1000] * 1000})
    assert len(large) < 3.1e6 and large.count("\n") < 1010
