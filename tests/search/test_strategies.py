"""The contract that every strategy keeps, and what some of them promise besides."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.predictor import LinkRidge
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
from edgenas.search.strategies import History, Proposal, Proxyless, SuccessiveHalving
from edgenas.search.strategies.acquisition import expected_improvement, mean, upper_confidence_bound
from edgenas.search.strategies.nsga2 import rank_and_crowding
from edgenas.search.testing import StrategyContract
from tests.conftest import every_genome
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

    def evaluate(architecture, share=1.0):
        if share == 1:
            asked.append(architecture)
        return float(problem.accuracy(space.encode(architecture)[None])[0])

    strategy = get_strategy(name) if isinstance(name, str) else name
    if ledger is None:
        ledger = Ledger(None, "k", space)
    outcome = run_strategy(problem, strategy, evaluate, ledger, evaluations=evaluations, seed=seed)
    return outcome, asked, ledger


class Hillclimb:
    """A third party's: it knows of EdgeNAS what `Strategy` says, and imports `Proposal`."""

    def start(self, problem, rng):
        self.problem, self.rng, self.best, self.highest = problem, rng, None, -np.inf

    def tell(self, genomes, accuracies, share=1.0):
        value = accuracies - self.problem.violation(genomes)
        if value.max() > self.highest:
            self.best, self.highest = genomes[value.argmax()], value.max()

    def ask(self, count):
        space = self.problem.space
        if self.best is None:
            drawn = space.sample(self.rng, 200)
            return Proposal(drawn[np.argsort(self.problem.violation(drawn), kind="stable")[:count]][:10])
        parents = np.tile(self.best, (min(count, 5), 1))
        moved = self.rng.random(parents.shape) < 0.3
        return Proposal(space.canonical(np.where(moved, self.rng.integers(0, space.gene_sizes, parents.shape), parents)))


class TestContract(StrategyContract):
    @pytest.fixture(params=[*STRATEGIES, "a third party's"])
    def make(self, request):
        return STRATEGIES.get(request.param, Hillclimb)


class TooMany(Hillclimb):
    def ask(self, count):
        return Proposal(self.problem.space.sample(self.rng, count + 1))


class NotCanonical(Hillclimb):
    def ask(self, count):
        sizes = self.problem.space.gene_sizes
        return Proposal(self.rng.integers(0, sizes, (count, len(sizes))))


class HiddenRandomness(Hillclimb):
    def ask(self, count):
        np.random.rand()
        return super().ask(count)


class CallsTheAccuracy(Hillclimb):
    def tell(self, genomes, accuracies, share=1.0):
        super().tell(genomes, self.problem.accuracy(genomes))


@pytest.mark.parametrize("faulty", [TooMany, NotCanonical, HiddenRandomness, CallsTheAccuracy])
def test_who_breaks_the_contract_fails_it(faulty):
    contract = StrategyContract()
    with pytest.raises(AssertionError):
        contract.test_proposals_are_canonical_and_worth_no_more_than_is_asked_for(faulty)
        contract.test_the_same_seed_asks_the_same_and_no_global_randomness_is_used(faulty)


def test_bayesian_measures_its_best_at_every_budget(plain_space):
    """A batch of few would miss them: it is spread evenly over the costs."""
    problem, rng = problem_of(plain_space, limit=np.inf), np.random.default_rng(0)
    known = plain_space.sample(rng, 30)
    budgets = tuple(np.quantile(problem.cost(every_genome(plain_space)), [0.31, 0.57]))
    strategy = Bayesian()
    strategy.start(replace(problem, budgets=budgets), rng)
    strategy.tell(known, problem.accuracy(known))
    asked = strategy.ask(8).genomes
    predictor = LinkRidge(plain_space)
    predictor.fit(known, problem.accuracy(known))
    everything = every_genome(plain_space)
    for budget in budgets:
        within = everything[problem.cost(everything) <= budget]
        best = within[predictor.predict(within).argmax()]
        assert (asked == best).all(axis=1).any()


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


@pytest.fixture
def fitted(plain_space):
    """A problem without limits, what was evaluated of it, and a predictor fitted to that."""
    problem, rng = problem_of(plain_space, limit=np.inf), np.random.default_rng(0)
    history = History(problem)
    genomes = plain_space.sample(rng, 25)
    history.add(genomes, problem.accuracy(genomes) + 0.02 * rng.standard_normal(25))
    predictor = LinkRidge(plain_space)
    predictor.fit(history.genomes, history.accuracy)
    return predictor, history, rng


def test_expected_improvement_is_the_mean_of_what_the_best_becomes(fitted):
    predictor, history, rng = fitted
    genomes = history.problem.space.sample(np.random.default_rng(1), 100)
    front = history.population.front
    best = [front.accuracy[front.cost <= c].max(initial=history.accuracy.min()) for c in history.problem.cost(genomes)]
    draws = predictor.score(genomes) + predictor.deviation(genomes) * rng.standard_normal((20_000, 1))
    expected = np.maximum(predictor.ceiling - np.exp(-draws), best).mean(axis=0)
    np.testing.assert_allclose(expected_improvement(predictor, history, rng)(genomes), expected, atol=5e-4)
    assert (expected > np.array(best) + 5e-3).any()


def test_the_upper_confidence_bound_adds_most_where_least_is_known(fitted):
    predictor, history, rng = fitted
    bound, plain = (acquisition(predictor, history, rng)(history.genomes) for acquisition in (upper_confidence_bound, mean))
    assert (bound > plain).all()
    often = np.tile(history.genomes[:1], (200, 1))
    predictor.fit(np.concatenate([history.genomes, often]), np.append(history.accuracy, np.full(200, history.accuracy[0])))
    deviations = predictor.deviation(history.genomes)
    assert deviations.argmin() == 0


def test_halving_spends_the_same_on_every_rung_and_keeps_the_better(plain_space):
    problem, seen = problem_of(plain_space), {}

    def evaluate(architecture, share=1.0):
        seen.setdefault(share, []).append(architecture)
        return float(problem.accuracy(np.array([architecture]))[0])

    ledger = Ledger(None, "k", plain_space)
    outcome = run_strategy(problem, SuccessiveHalving(), evaluate, ledger, evaluations=12)
    assert {share: len(asked) for share, asked in seen.items()} == {1 / 16: 64, 1 / 4: 16, 1.0: 4}
    assert set(seen[1 / 16]) > set(seen[1 / 4]) > set(seen[1.0]) == {architecture for architecture, _ in ledger.items()}
    assert (outcome.evaluated, outcome.spent) == (4, 12.0)
    first = np.array(seen[1 / 16])
    points = problem.accuracy(first), problem.cost(first)
    assert set(seen[1.0]) <= {tuple(genome) for genome in first[pareto_front(*points)].tolist()}


def test_cheap_evaluations_are_kept_apart_and_made_once(tmp_path, plain_space):
    def ledger():
        return Ledger(tmp_path / "l.log", "k", plain_space)

    def evaluate(architecture, share=1.0):
        return share / 2

    run_strategy(problem_of(plain_space), SuccessiveHalving(), evaluate, ledger(), evaluations=12)
    assert {accuracy for _, accuracy in ledger().items()} == {0.5}
    assert {accuracy for _, accuracy in ledger().of_share(1 / 16).items()} == {1 / 32}
    # The same draws again: the cheap ones are known, so that more full ones can be had for as much.
    again = run_strategy(problem_of(plain_space), SuccessiveHalving(), evaluate, ledger(), evaluations=12)
    assert again.evaluated == len(ledger()) - 4 > 4


def test_proxyless_moves_two_paths_and_leaves_the_others(plain_space):
    strategy = Proxyless(weight=0.0)
    strategy.start(problem_of(plain_space), np.random.default_rng(0))
    before = [parameters.copy() for parameters in strategy._parameters]
    strategy._step(lambda genomes: genomes[:, 0].astype(float))
    moved = [(now != then).sum() for now, then in zip(strategy._parameters, before, strict=True)]
    assert moved == [2] + [0] * 7
    for now, then in zip(strategy._parameters, before, strict=True):
        assert np.exp(now).sum() == pytest.approx(np.exp(then).sum())
    for _ in range(300):
        strategy._step(lambda genomes: genomes[:, 0].astype(float))
    assert strategy._parameters[0].argmax() == 0


def test_proxyless_descends_the_expected_latency_of_the_table():
    space = Categorical([2, 3])
    cost = Additive(lambda g: g @ np.array([1.0, 2.0]))
    problem = SearchProblem(space, (cost, cost), (Constraint("cost", cost, 1e-6),))
    strategy = Proxyless()
    strategy.start(problem, np.random.default_rng(0))
    probabilities = [np.array([0.5, 0.5]), np.array([0.2, 0.3, 0.5])]
    slopes = np.mean([np.concatenate(strategy._expected_cost_slopes(probabilities)) for _ in range(200)], axis=0)
    # Excess and violation are both cost / target here, and the expected cost is the sum of both genes' expectations.
    exact = [p * (own - p @ own) for p, own in zip(probabilities, ([0.0, 1.0], [0.0, 2.0, 4.0]), strict=True)]
    np.testing.assert_allclose(slopes * 1e-6 / 2, np.concatenate(exact), atol=0.03)


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
