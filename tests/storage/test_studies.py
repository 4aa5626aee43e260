import logging
import subprocess
import sys

import optuna

from edgenas.storage import SILENT, open_storage, open_study, optuna_says


def test_optuna_says_what_it_said_before():
    before = optuna.logging.get_verbosity()
    with optuna_says(SILENT):
        assert optuna.logging.get_verbosity() == logging.ERROR
    assert optuna.logging.get_verbosity() == before


def test_a_search_prints_nothing_and_leaves_optunas_logging_as_it_was(tmp_path):
    code = """
import optuna
from edgenas.search import Ledger, get_strategy
from edgenas.search.testing import make_problem, run
from edgenas.space import Categorical
space = Categorical([3] * 4)
run(get_strategy("optuna:tpe"), make_problem(space), evaluations=12, ledger=Ledger("l.log", "k", space))
assert optuna.logging.get_verbosity() == optuna.logging.INFO
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout + done.stderr == ""


def test_a_study_is_made_once(tmp_path):
    first = open_study(open_storage(tmp_path / "l.log"), "k", direction="maximize")
    first.add_trial(optuna.create_trial(value=0.5))
    again = open_study(open_storage(tmp_path / "l.log"), "k", direction="maximize")
    assert again.best_value == 0.5
