import multiprocessing
import os

from edgenas.storage import is_dead, own_worker


def test_a_process_that_has_ended_is_dead_and_this_one_is_not():
    context = multiprocessing.get_context("fork")
    names = context.Queue()
    process = context.Process(target=lambda: names.put(own_worker()))
    process.start()
    name = names.get(timeout=30)
    process.join()
    assert is_dead(name)
    assert not is_dead(own_worker())
    assert str(os.getpid()) in own_worker().split(":")


def test_another_process_of_the_same_number_is_not_the_same():
    assert is_dead(own_worker() + "0")


def test_of_other_machines_and_of_nonsense_nothing_is_known():
    machine, _, begin = own_worker().rsplit(":", 2)
    for worker in (f"{machine}0:1:{begin}", f"{machine}:one:{begin}", None, 7, "", "::"):
        assert not is_dead(worker)
