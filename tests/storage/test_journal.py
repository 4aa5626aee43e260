"""The journal of evaluations outlives its writers, whenever they die, and keeps what can be read of it."""

import json
import logging
import multiprocessing
import os
import signal
import time

import optuna
import pytest

from edgenas.errors import EdgeNASError
from edgenas.search import Ledger
from edgenas.space import Categorical
from edgenas.storage import copy_journal, open_study

SPACE = Categorical([3] * 8)
RELATIVE = "run/search/evaluations.log"
FORK = multiprocessing.get_context("fork")
SOON_S = 5


def evaluated(*genes):
    """What a ledger knows after these were evaluated in turn, of 8 genes each."""
    return {(gene,) * 8: gene / 10 for gene in genes}


def evaluate(path, *genes):
    ledger = Ledger(path, "weights", SPACE)
    for gene in genes:
        ledger.evaluate((gene,) * 8, lambda architecture: architecture[0] / 10)
    return dict(ledger.items())


def evaluated_of(storage):
    return dict(Ledger(storage, "weights", SPACE).items())


def die_while_writing(path, is_inside):
    def hang(descriptor):
        is_inside.set()
        time.sleep(60)

    ledger = Ledger(path, "weights", SPACE)
    os.fsync = hang  # the last that is done before a lock is released
    ledger.evaluate((1,) * 8, lambda architecture: 0.1)


def ends(function, *arguments):
    """Whether it does, soon, in a process of its own."""
    process = FORK.Process(target=function, args=arguments)
    process.start()
    process.join(SOON_S)
    process.kill()
    process.join()
    return process.exitcode == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_writer_that_dies_inside_the_lock_stops_nobody(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    assert evaluate(RELATIVE, 0) == evaluated(0)
    is_inside = FORK.Event()
    writer = FORK.Process(target=die_while_writing, args=(RELATIVE, is_inside))
    writer.start()
    assert is_inside.wait(30)
    os.kill(writer.pid, how)
    writer.join()
    assert ends(evaluate, RELATIVE, 1, 2)
    assert evaluate(RELATIVE) == evaluated(0, 1, 2)


def test_a_lock_that_an_earlier_version_left_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate(RELATIVE, 0)
    (tmp_path / f"{RELATIVE}.lock").symlink_to(RELATIVE)
    assert ends(evaluate, RELATIVE, 1)


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_cut_and_the_rest_is_kept(tmp_path, cut):
    path = tmp_path / "evaluations.log"
    assert ends(evaluate, path, 0, 1)  # by a worker that is gone
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert evaluate(path) == evaluated(0)
    assert evaluate(path, 1, 2) == evaluated(0, 1, 2)
    assert evaluate(path) == evaluated(0, 1, 2)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_line_torn_while_a_ledger_is_open_is_cut_before_the_next(tmp_path):
    path = tmp_path / "evaluations.log"
    ledger = Ledger(path, "weights", SPACE)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "x')
    ledger.evaluate((2,) * 8, lambda architecture: 0.2)
    assert evaluate(path) == evaluated(2)


def test_what_follows_a_damaged_line_is_put_aside(tmp_path, caplog):
    """As earlier versions left it: the next record was appended to the torn line, and others behind it."""
    path = tmp_path / "evaluations.log"
    assert ends(evaluate, path, 0, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = lines[-1][:-20] + lines[0] + lines[0]
    path.write_bytes(b"".join(lines[:-1]) + damaged)
    with caplog.at_level(logging.WARNING, "edgenas"):
        assert evaluate(path, 2) == evaluated(0, 2)
    assert f"from line {len(lines)} on" in caplog.text
    assert (tmp_path / "evaluations.log.damaged").read_bytes() == damaged
    assert evaluate(path) == evaluated(0, 2)


@pytest.mark.parametrize("line", [b"5\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"\0\n"])
def test_lines_that_are_no_records_are_put_aside(tmp_path, line):
    path = tmp_path / "evaluations.log"
    evaluate(path, 0)
    with path.open("ab") as file:
        file.write(line)
    assert evaluate(path, 1) == evaluated(0, 1)
    assert (tmp_path / "evaluations.log.damaged").read_bytes() == line


def test_records_that_fit_nothing_are_one_clear_error(tmp_path):
    path = tmp_path / "evaluations.log"
    path.write_text('{"op_code": 4, "worker_id": "x", "study_id": "seven"}\n{"op_code": 0}\n')
    with pytest.raises(EdgeNASError, match="damaged"):
        Ledger(path, "weights", SPACE)


def test_a_lock_that_is_held_is_told_and_not_waited_for_for_ever(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("edgenas.storage.journal.NOTICE_S", 0.2)
    monkeypatch.setattr("edgenas.storage.journal.PATIENCE_S", 1.0)
    path, is_inside = tmp_path / "evaluations.log", FORK.Event()
    evaluate(path, 0)
    writer = FORK.Process(target=die_while_writing, args=(path, is_inside))
    writer.start()
    try:
        assert is_inside.wait(30)
        with caplog.at_level(logging.WARNING, "edgenas"), pytest.raises(EdgeNASError, match="another process"):
            evaluate(path, 2)
        assert "waiting" in caplog.text.lower()
    finally:
        writer.kill()
        writer.join()


def test_a_ledger_that_is_only_read_is_not_written_to(tmp_path):
    path = tmp_path / "evaluations.log"
    evaluate(path, 0)
    before = path.read_bytes()
    evaluate(path)
    assert path.read_bytes() == before


def test_optunas_own_backend_reads_and_writes_the_same_file(tmp_path):
    path = tmp_path / "evaluations.log"
    evaluate(path, 0)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="weights", storage=storage)
    assert study.best_value == 0.0
    study.set_user_attr("note", "by optuna-dashboard")
    assert evaluate(path, 1) == evaluated(0, 1)


def test_a_copy_leaves_the_file_alone_and_knows_what_is_whole(tmp_path, caplog):
    path = tmp_path / "evaluations.log"
    assert evaluated_of(copy_journal(path)) == {} and not path.exists()
    evaluate(path, 0, 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4')  # is being written
    before = path.read_bytes()
    copy = copy_journal(path)
    assert evaluated_of(copy) == evaluated(0, 1)
    study = open_study(copy, "of the copy")
    study.tell(study.ask(), 1.0)
    assert path.read_bytes() == before and not caplog.records


def test_a_copy_of_a_damaged_one_says_so(tmp_path, caplog):
    path = tmp_path / "evaluations.log"
    evaluate(path, 0)
    whole = path.read_bytes()
    path.write_bytes(whole + b"damaged\n" + whole)
    assert evaluated_of(copy_journal(path)) == evaluated(0)
    assert f"line {len(whole.splitlines()) + 1}" in caplog.text
