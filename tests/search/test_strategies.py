"""The contract that every strategy keeps, and what some of them promise besides."""

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.search import (
    STRATEGIES,
    Additive,
    Bayesian,
    Categorical,
    Constraint,
    Evolution,
    Ledger,
    SearchProblem,
    get_strategy,
    hypervolume,
    pareto_front,
    run_strategy,
)
from edgenas.search.strategies.nsga2 import rank_and_crowding
from tests.conftest import every_genome, make_universal_space
from tests.search.conftest import random_sum

LIMIT = 0.6


def problem_of(space, limit=LIMIT):
    sums = Additive(lambda g: 0.1 + (g * np.linspace(0.5, 1.5, g.shape[1])).sum(1) / (space.gene_sizes - 1).sum())
    truth = random_sum(space, np.random.default_rng(4))
    values = truth(every_genome(space))

    def accuracy(genomes):
        return 0.9 - 0.4 * np.exp(-2 * (truth(genomes) - values.min()) / np.ptp(values))

    return SearchProblem(space, (accuracy, sums), (Constraint("cost", sums, limit),))


def run(name, space, evaluations=40, seed=0, limit=LIMIT, ledger=None):
    """The outcome, what was evaluated in order, and the ledger."""
    problem, asked = problem_of(space, limit), []

    def evaluate(architecture):
        asked.append(architecture)
        return float(problem.accuracy(space.encode(architecture)[None])[0])

    strategy = get_strategy(name) if isinstance(name, str) else name
    if ledger is None:
        ledger = Ledger(None, "k", space)
    outcome = run_strategy(problem, strategy, evaluate, ledger, evaluations=evaluations, seed=seed)
    return outcome, asked, ledger


@pytest.fixture(params=["plain", "networks"])
def space(request, micro_space, plain_space):
    return {"plain": plain_space, "networks": micro_space}[request.param]


@pytest.mark.parametrize("name", STRATEGIES)
class TestContract:
    def test_no_more_is_evaluated_than_allowed_and_nothing_twice(self, name, space):
        outcome, asked, ledger = run(name, space)
        assert 0 < outcome.evaluated == len(asked) == len(set(asked)) == len(ledger) <= 40

    def test_the_same_seed_asks_the_same(self, name, space):
        first, second = (run(name, space, evaluations=30, seed=3)[1] for i in range(2))
        assert first == second

    def test_something_feasible_is_found(self, name, space):
        ledger = run(name, space)[2]
        assert (problem_of(space).violation(ledger.arrays()[0]) == 0).any()

    def test_what_is_known_already_costs_nothing(self, name, space):
        ledger = run(name, space, evaluations=30)[2]
        known = len(ledger)
        outcome, asked, _ = run(name, space, evaluations=10, seed=1, ledger=ledger)
        assert outcome.evaluated == len(asked) == len(ledger) - known

    def test_a_space_smaller_than_the_evaluations_ends(self, name):
        outcome, asked, _ = run(name, Categorical([2, 2]), limit=9.0)
        assert len(set(asked)) == outcome.evaluated <= 4


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_elastic_width_is_searched_like_any_gene(name):
    _, asked, _ = run(name, make_universal_space(), evaluations=25)
    assert {architecture.width for architecture in asked} == {0.5, 1.0}


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'bayesian'"):
        get_strategy("baysian")


def share_of_the_front(name, space, evaluations):
    problem = problem_of(space)
    genomes, accuracy = run(name, space, evaluations)[2].arrays()
    everything = problem.evaluate(every_genome(space))
    low, high = everything.accuracy.min(), LIMIT
    found = problem.violation(genomes) <= 0
    best = everything.front
    return hypervolume(accuracy[found], problem.cost(genomes[found]), low, high) / hypervolume(
        best.accuracy, best.cost, low, high
    )


def test_bayesian_nears_the_true_front_where_random_does_not(plain_space):
    assert share_of_the_front("bayesian", plain_space, 80) > 0.99
    assert share_of_the_front("random", plain_space, 80) < 0.93


def test_bayesian_ends_when_its_front_no_longer_moves(plain_space):
    outcome, _, _ = run("bayesian", plain_space, evaluations=2000)
    assert outcome.stopped == "nothing better is predicted"
    assert outcome.evaluated < 300


def test_bayesian_searches_what_is_not_separable(plain_space):
    problem = problem_of(plain_space)
    separable = problem.cost

    def cost(genomes):
        return separable(genomes) * (1 + 0.1 * (genomes[:, 0] == genomes[:, 1]))

    def evaluate(architecture):
        return float(problem.accuracy(np.array([architecture]))[0])

    problem = SearchProblem(plain_space, (problem.accuracy, cost), (Constraint("cost", cost, LIMIT),))
    ledger = Ledger(None, "k", plain_space)
    strategy = Bayesian(evolution=Evolution(generations=20, children=100))
    run_strategy(problem, strategy, evaluate, ledger, evaluations=60)
    genomes, accuracy = ledger.arrays()
    best = problem.evaluate(every_genome(plain_space)).front.accuracy.max()
    assert accuracy[problem.violation(genomes) <= 0].max() > best - 0.01


def test_the_time_limit_is_kept(plain_space):
    problem = problem_of(plain_space)
    ledger = Ledger(None, "k", plain_space)
    outcome = run_strategy(problem, get_strategy("random"), lambda a: 0.5, ledger, evaluations=1000, seconds=0.3)
    assert outcome.stopped == "the time is up"
    assert 0 < outcome.evaluated < 1000


def test_nsga2_ranks_by_domination_and_puts_what_is_feasible_first():
    points = np.array([[0.0, 3.0], [1.0, 1.0], [3.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    rank, crowding = rank_and_crowding(points, np.array([0, 0, 0, 0, 0.5]))
    assert rank.tolist() == [0, 0, 0, 1, 2]
    assert np.isinf(crowding[[0, 2]]).all()
    assert crowding[1] == pytest.approx(2.0)
    assert set(pareto_front(-points[:4, 0], points[:4, 1])) == {0, 1, 2}
