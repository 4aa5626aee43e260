import multiprocessing
import sys
import time
from contextlib import nullcontext

import numpy as np
import optuna
import pytest

from edgenas.errors import EdgeNASError
from edgenas.search import Additive, Categorical, Ledger, SearchProblem, run_strategy
from edgenas.search.strategies import Random
from tests.databases import mysql, postgresql


def test_what_was_evaluated_is_kept_and_not_evaluated_again(tmp_path, plain_space):
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)
    architecture = (0, 1, 2, 0, 1, 2, 0, 1)
    assert ledger.evaluate(architecture, lambda a: 0.5) == 0.5
    assert ledger.evaluate(architecture, pytest.fail) == 0.5
    again = Ledger(tmp_path / "l.log", "weights", plain_space)
    assert again.items() == [(architecture, 0.5)]
    assert again.evaluate(architecture, pytest.fail) == 0.5
    assert len(Ledger(tmp_path / "l.log", "other weights", plain_space)) == 0


def test_what_a_search_had_evaluated_is_known_once_it_is_asked_for_again(tmp_path, plain_space):
    first, second = (0,) * 8, (1,) * 8
    before = Ledger(tmp_path / "l.log", "weights", plain_space, search="mine")
    for architecture in (first, second):
        before.evaluate(architecture, lambda a: 0.5)
    again = Ledger(tmp_path / "l.log", "weights", plain_space, search="mine")
    assert (len(again), again.recalled) == (0, 2)
    assert again.evaluate(second, pytest.fail) == 0.5
    assert again.recall(first) == 0.5 and again.recall((2,) * 8) is None
    again.refresh()
    assert again.items() == [(second, 0.5), (first, 0.5)] and not again.recalled
    assert len(Ledger(tmp_path / "l.log", "weights", plain_space, search="another's")) == 2


def test_evaluations_of_other_searches_since_it_began_are_counted(tmp_path, plain_space):
    mine, other = (Ledger(tmp_path / "l.log", "weights", plain_space, search=name) for name in ("mine", "other"))
    other.evaluate((0,) * 8, lambda a: 0.5)
    mine.refresh()
    assert mine.others == 0
    mine.evaluate((1,) * 8, lambda a: 0.5)
    other.evaluate((2,) * 8, lambda a: 0.5)
    mine.refresh()
    assert mine.others == 1
    assert other.others == 0


def test_an_interrupted_evaluation_may_be_made_again(tmp_path, plain_space):
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)

    def interrupted(architecture):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.evaluate((0,) * 8, interrupted)
    assert Ledger(tmp_path / "l.log", "weights", plain_space).evaluate((0,) * 8, lambda a: 0.25) == 0.25


def test_what_another_worker_has_in_hand_is_left_to_it(tmp_path, plain_space):
    first, second = (Ledger(tmp_path / "l.log", "weights", plain_space) for _ in range(2))

    def evaluate(architecture):
        assert second.evaluate(architecture, pytest.fail) is None
        return 0.5

    assert first.evaluate((1,) * 8, evaluate) == 0.5
    assert second.evaluate((1,) * 8, pytest.fail) == 0.5


def test_a_long_evaluation_keeps_its_claim(tmp_path, plain_space, monkeypatch):
    monkeypatch.setattr("edgenas.search.ledger.HEARTBEAT_S", 0.05)
    monkeypatch.setattr("edgenas.search.ledger.LEASE_S", 0.5)
    first, second = (Ledger(tmp_path / "l.log", "weights", plain_space) for _ in range(2))

    def evaluate(architecture):
        time.sleep(1.2)
        assert second.evaluate(architecture, pytest.fail) is None
        return 0.5

    assert first.evaluate((1,) * 8, evaluate) == 0.5


def hang(path, claimed):
    def evaluate(architecture):
        claimed.set()
        time.sleep(60)

    Ledger(path, "weights", Categorical([3] * 8)).evaluate((1,) * 8, evaluate)


def test_a_killed_worker_loses_its_claim(tmp_path, plain_space, monkeypatch):
    monkeypatch.setattr("edgenas.search.ledger.LEASE_S", 1.5)
    context = multiprocessing.get_context("fork")
    claimed = context.Event()
    worker = context.Process(target=hang, args=(tmp_path / "l.log", claimed))
    worker.start()
    assert claimed.wait(30)
    worker.kill()
    worker.join()
    ledger, start = Ledger(tmp_path / "l.log", "weights", plain_space), time.monotonic()
    assert ledger.wait_for((1,) * 8, lambda a: 0.5) == 0.5
    assert time.monotonic() - start < 10
    assert Ledger(tmp_path / "l.log", "weights", plain_space).items() == [((1,) * 8, 0.5)]


def test_a_killed_worker_of_this_machine_loses_its_claim_at_once(tmp_path, plain_space):
    context = multiprocessing.get_context("fork")
    claimed = context.Event()
    worker = context.Process(target=hang, args=(tmp_path / "l.log", claimed))
    worker.start()
    assert claimed.wait(30)
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)
    assert ledger.evaluate((1,) * 8, pytest.fail) is None
    worker.kill()
    worker.join()
    assert ledger.evaluate((1,) * 8, lambda a: 0.5) == 0.5


def test_another_worker_that_is_waited_for_is_told(tmp_path, plain_space, monkeypatch, caplog):
    monkeypatch.setattr("edgenas.search.ledger.NOTICE_S", 0.1)
    monkeypatch.setattr("edgenas.search.ledger.LEASE_S", 1.0)
    Ledger(tmp_path / "l.log", "weights", plain_space)._claim((1,) * 8)
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)
    assert ledger.wait_for((1,) * 8, lambda a: 0.5) == 0.5
    assert "Waiting for another search" in caplog.text


def test_a_heartbeat_from_the_future_is_none(tmp_path, plain_space):
    first = Ledger(tmp_path / "l.log", "weights", plain_space)
    number = first._claim((1,) * 8)
    trial_id = first._storage.get_trial_id_from_study_id_trial_number(0, number)
    first._storage.set_trial_user_attr(trial_id, "heartbeat", 1e18)
    assert Ledger(tmp_path / "l.log", "weights", plain_space).evaluate((1,) * 8, lambda a: 0.5) == 0.5


@pytest.mark.parametrize("accuracy", [7.5, -0.1, float("nan"), float("inf")])
def test_what_no_accuracy_can_be_is_refused(tmp_path, plain_space, accuracy):
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)
    with pytest.raises(EdgeNASError, match=r"accuracies are in 0\.\.1"):
        ledger.evaluate((1,) * 8, lambda a: accuracy)
    assert len(ledger) == 0
    assert Ledger(tmp_path / "l.log", "weights", plain_space).evaluate((1,) * 8, lambda a: 0.5) == 0.5


@pytest.mark.parametrize(
    ("accuracy", "genome", "message"),
    [(7.5, [1] * 8, r"accuracies are in 0\.\.1"), (0.5, [9] * 8, "damaged"), (0.5, "me", "damaged"), (0.5, None, "damaged")],
)
def test_what_others_wrote_is_not_believed(tmp_path, plain_space, accuracy, genome, message):
    ledger = Ledger(tmp_path / "l.log", "weights", plain_space)
    attributes = {} if genome is None else {"genome": genome}
    ledger._study.add_trial(optuna.create_trial(value=accuracy, user_attrs=attributes))
    with pytest.raises(EdgeNASError, match=message):
        Ledger(tmp_path / "l.log", "weights", plain_space)


def test_optuna_opens_it(tmp_path, micro_space):
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.db'}", "weights", micro_space)
    ledger.evaluate(micro_space.largest, lambda a: 0.75)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'l.db'}")
    study = optuna.load_study(study_name="weights", storage=storage)
    assert study.best_value == 0.75
    assert study.best_params["stage2.block1.kernel"] == 2
    assert study.best_trial.user_attrs["architecture"] == str(micro_space.largest)
    storage.engine.dispose()


def test_one_ledger_takes_over_what_another_knows(tmp_path, plain_space):
    own, shared = Ledger(tmp_path / "own.log", "weights", plain_space), Ledger(None, "weights", plain_space)
    own.evaluate((0,) * 8, lambda a: 0.25)
    own.evaluate((1,) * 8, lambda a: 0.5)
    shared.evaluate((1,) * 8, lambda a: 0.75)
    shared.absorb(own)
    assert dict(shared.items()) == {(0,) * 8: 0.25, (1,) * 8: 0.75}


def test_a_storage_that_cannot_be_opened_is_one_clear_error(plain_space):
    with pytest.raises(EdgeNASError, match="Check `storage`"):
        Ledger("nonsense://nowhere", "weights", plain_space)
    with pytest.raises(EdgeNASError, match="Check `storage`"):
        Ledger("sqlite:////nowhere/at/all.db", "weights", plain_space)


def test_a_missing_driver_is_named(plain_space, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(EdgeNASError, match=r"edgenas\[postgresql\]"):
        Ledger("postgresql://user@host/edgenas", "weights", plain_space)


def work(storage, seed, counter, evaluations):
    space = Categorical([2] * 9)

    def evaluate(architecture):
        with counter.get_lock():
            counter[int("".join(map(str, architecture)), 2)] += 1
        time.sleep(0.002)
        return float(np.mean(architecture))

    problem = SearchProblem(space, (evaluate, Additive(lambda g: g.sum(1).astype(float))))
    run_strategy(problem, Random(), evaluate, Ledger(storage, "weights", space), evaluations=evaluations, seed=seed)


STORAGES = {
    "journal": lambda folder: nullcontext(f"{folder}/l.log"),
    "SQLite": lambda folder: nullcontext(f"sqlite:///{folder}/l.db"),
    "PostgreSQL": lambda folder: postgresql(),
    "MySQL": lambda folder: mysql(),
}


@pytest.fixture
def storage(request, tmp_path):
    with STORAGES[request.param](tmp_path) as storage:
        yield storage


@pytest.mark.parametrize(
    ("storage", "each"), [("journal", 100), ("SQLite", 15), ("PostgreSQL", 30), ("MySQL", 30)], indirect=["storage"]
)
def test_two_workers_on_one_storage_lose_nothing_and_repeat_nothing(storage, each):
    context = multiprocessing.get_context("fork")
    counter = context.Array("i", 512)
    # The same seed: both propose the same architectures, in the same order.
    workers = [context.Process(target=work, args=(storage, 0, counter, each)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert max(counter) == 1
    ledger = Ledger(storage, "weights", Categorical([2] * 9))
    assert len(ledger) == sum(counter) == 2 * each
    assert all(accuracy == np.mean(architecture) for architecture, accuracy in ledger.items())
