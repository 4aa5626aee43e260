import numpy as np
import pytest

from edgenas import cost
from edgenas.predictor import stage_features
from edgenas.search.additive import Additive
from edgenas.search.evolution import Evolution
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import Constraint, SearchProblem, skewed_sample
from edgenas.space import get_space


def problem_of(space, budget):
    costs = np.array([cost.block_macs(spec) for spec in space.distinct_blocks]) / 1e6 + 0.01
    weights = np.random.default_rng(0).random(stage_features(space, space.sample(np.random.default_rng(0), 1)).shape[1])
    latency = Additive(lambda g: space.gather(costs, g))
    return SearchProblem(space, (lambda g: stage_features(space, g) @ weights, latency), (Constraint("MACs", latency, budget),))


def test_a_small_space_is_solved_exactly(micro_space, all_micro_genomes):
    whole = problem_of(micro_space, np.inf)
    latency, accuracy = whole.cost(all_micro_genomes), whole.accuracy(all_micro_genomes)
    for budget in np.quantile(latency, [0.05, 0.3, 0.7, 1.0]):
        found = Evolution(generations=20, children=200).search(problem_of(micro_space, budget), np.random.default_rng(0))
        feasible = latency <= budget
        assert found.accuracy.max() == pytest.approx(accuracy[feasible].max())
        front = pareto_front(found.accuracy, found.cost)
        true_front = pareto_front(accuracy[feasible], latency[feasible])
        np.testing.assert_allclose(found.cost[front], latency[feasible][true_front])


def test_the_budget_is_kept_and_evolution_beats_chance():
    space = get_space("mobilenetv3", "tiny", 10)
    problem = problem_of(space, 6.0)
    found = Evolution(generations=40, children=300).search(problem, np.random.default_rng(0))
    assert (found.cost <= 6.0).all()
    random = skewed_sample(space, np.random.default_rng(1), 40 * 300)
    chance = problem.accuracy(random)[problem.cost(random) <= 6.0].max()
    assert found.accuracy.max() > chance


def test_an_impossible_budget_ends_all_the_same_near_the_fastest(micro_space, all_micro_genomes):
    problem = problem_of(micro_space, 1e-9)
    found = Evolution(generations=10, children=100).search(problem, np.random.default_rng(0))
    assert found.cost.min() == problem.cost(all_micro_genomes).min()


def test_the_same_seed_finds_the_same():
    space = get_space("mobilenetv3", "tiny", 10)
    runs = [Evolution(generations=5, children=100).search(problem_of(space, 5.0), np.random.default_rng(7)) for _ in range(2)]
    assert (runs[0].genomes == runs[1].genomes).all()


def test_skewed_samples_cover_the_range():
    space = get_space("mobilenetv3", "tiny", 10)
    problem = problem_of(space, np.inf)
    skewed = problem.cost(skewed_sample(space, np.random.default_rng(0), 300))
    uniform = problem.cost(space.sample(np.random.default_rng(0), 300))
    ends = problem.cost(np.stack([space.encode(space.smallest), space.encode(space.largest)]))
    assert np.ptp(skewed) > 0.85 * np.ptp(ends) > np.ptp(uniform)
