import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas import cost
from edgenas.errors import InfeasibleError, UsageError
from edgenas.predictor import LinkRidge
from edgenas.search import Additive, Bottleneck, Categorical, Constraint, Exact, SearchProblem, pareto_front
from edgenas.search.additive import Terms
from tests.conftest import every_genome, make_micro_space, make_universal_space
from tests.search.conftest import random_sum

MICRO, UNIVERSAL = make_micro_space(), make_universal_space()
ALL = {space.name: every_genome(space) for space in (MICRO, UNIVERSAL)}


def spaces():
    plain = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(Categorical)
    return st.one_of(plain, st.just(MICRO), st.just(UNIVERSAL))


def genomes_of(space):
    return ALL[space.name] if space.name in ALL else every_genome(space)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 10**6), st.booleans(), st.floats(-0.1, 1.0))
def test_the_front_is_that_of_brute_force(space, seed, whole, tightness):
    rng = np.random.default_rng(seed)
    score, latency = (Additive(random_sum(space, rng, whole)) for _ in range(2))
    genomes = genomes_of(space)
    scores, costs = score(genomes), latency(genomes)
    limit = float(costs.min() + tightness * (np.ptp(costs) + 1))
    problem = SearchProblem(space, (score, latency), (Constraint("latency", latency, limit, "ms"),))
    within = costs <= limit
    if not within.any():
        with pytest.raises(InfeasibleError) as error:
            Exact().search(problem)
        assert error.value.closest == pytest.approx(costs.min())
        return
    found = Exact().search(problem)
    front = pareto_front(scores[within], costs[within])
    assert found.optimal
    np.testing.assert_allclose(found.cost, costs[within][front], atol=1e-9)
    np.testing.assert_allclose(found.accuracy, scores[within][front], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 10**6), st.booleans(), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=4))
def test_several_limits_at_once(space, seed, whole, tightness):
    rng = np.random.default_rng(seed)
    score, latency = (Additive(random_sum(space, rng, whole)) for _ in range(2))
    measures = [latency, *(Additive(random_sum(space, rng, whole)) for _ in tightness[1:])]
    genomes = genomes_of(space)
    values = [measure(genomes) for measure in measures]
    limits = [float(np.quantile(v, t)) for v, t in zip(values, tightness, strict=True)]
    constraints = tuple(Constraint(f"sum {i}", m, li) for i, (m, li) in enumerate(zip(measures, limits, strict=True)))
    problem = SearchProblem(space, (score, latency), constraints)
    within = np.all([v <= limit for v, limit in zip(values, limits, strict=True)], axis=0)
    if not within.any():
        with pytest.raises(InfeasibleError) as error:
            Exact(steps=4).search(problem)
        assert closest_by_brute_force(values, limits) == pytest.approx(error.value.closest)
        return
    found = Exact(steps=4).search(problem)
    scores = score(genomes)
    assert found.optimal
    assert (found.violation == 0).all()
    assert found.accuracy[-1] == pytest.approx(scores[within].max())
    assert found.cost[0] == pytest.approx(values[0][within].min())
    for accuracy, spent in zip(found.accuracy, found.cost, strict=True):
        assert accuracy == pytest.approx(scores[within & (values[0] <= spent + 1e-9)].max())


def test_the_best_at_every_budget_is_found_within_several_limits():
    rng = np.random.default_rng(1)
    score, latency, other = (Additive(random_sum(MICRO, rng)) for _ in range(3))
    genomes = ALL["micro"]
    scores, costs, others = (measure(genomes) for measure in (score, latency, other))
    limit = float(np.quantile(others, 0.5))
    within = others <= limit
    budgets = tuple(np.quantile(costs[within], [0.2, 0.45, 0.7]))
    found = Exact(steps=2).search(SearchProblem(MICRO, (score, latency), (Constraint("other", other, limit),), budgets))
    for budget in budgets:
        best = scores[within & (costs <= budget)].max()
        assert found.accuracy[found.cost <= budget].max() == pytest.approx(best)


def closest_by_brute_force(values, limits):
    within = np.ones(len(values[0]), dtype=bool)
    for value, limit in zip(values, limits, strict=True):
        if value[within].min() > limit:
            return value[within].min()
        within &= value <= limit
    raise AssertionError("feasible")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("space", [MICRO, UNIVERSAL], ids=lambda space: space.name)
def test_peak_memory_is_kept_and_still_optimal(space, share):
    rng = np.random.default_rng(0)
    score, latency = (Additive(random_sum(space, rng)) for _ in range(2))
    memory = Bottleneck(space, np.array([cost.block_peak_memory_bytes(b) for b in space.distinct_blocks], dtype=float))
    genomes = ALL[space.name]
    peaks = memory(genomes)
    assert peaks[5] == cost.peak_memory_bytes(space.blocks(space.decode(genomes[5])))
    limit = float(np.quantile(peaks, share))
    found = Exact().search(SearchProblem(space, (score, latency), (Constraint("memory", memory, limit, "bytes"),)))
    within = peaks <= limit
    front = pareto_front(score(genomes)[within], latency(genomes)[within])
    np.testing.assert_allclose(found.accuracy, score(genomes)[within][front])


def test_too_little_memory_is_explained():
    rng = np.random.default_rng(0)
    score, latency = (Additive(random_sum(MICRO, rng)) for _ in range(2))
    memory = Bottleneck(MICRO, np.array([cost.block_peak_memory_bytes(b) for b in MICRO.distinct_blocks], dtype=float))
    problem = SearchProblem(MICRO, (score, latency), (Constraint("peak memory", memory, 10.0, "bytes"),))
    with pytest.raises(InfeasibleError, match="peak memory within 10 bytes") as error:
        Exact().search(problem)
    assert error.value.closest == memory(ALL["micro"]).min()


def test_real_costs_and_a_predictor_are_sums_where_the_width_is_elastic():
    """With the costs of its blocks and a fitted predictor, the front is that of all 320 architectures."""
    rng = np.random.default_rng(0)
    macs = np.array([cost.block_macs(b) for b in UNIVERSAL.distinct_blocks], dtype=float)
    predictor = LinkRidge(UNIVERSAL)
    genomes = ALL["universal"]
    truth = 0.9 - 0.5 * np.exp(-UNIVERSAL.gather(macs, genomes) / 1e5) + rng.normal(0, 0.01, len(genomes))
    some = rng.permutation(len(genomes))[:60]
    predictor.fit(genomes[some], truth[some])
    latency, accuracy = Additive(lambda g: UNIVERSAL.gather(macs, g)), Additive(predictor.score, predictor.link)
    limit = float(np.quantile(latency(genomes), 0.5))
    found = Exact().search(SearchProblem(UNIVERSAL, (accuracy, latency), (Constraint("MACs", latency, limit),)))
    within = latency(genomes) <= limit
    front = pareto_front(accuracy(genomes)[within], latency(genomes)[within])
    np.testing.assert_allclose(found.cost, latency(genomes)[within][front])
    np.testing.assert_allclose(found.accuracy, accuracy(genomes)[within][front])
    assert len(np.unique(found.genomes[:, 1])) == 2, "both widths are worth having"


def test_terms_hold_the_whole_function():
    function = random_sum(MICRO, np.random.default_rng(1))
    layout = MICRO.layout
    terms = Terms.of(Additive(function), layout)
    np.testing.assert_allclose(terms(ALL["micro"], layout), function(ALL["micro"]))


def test_what_is_no_sum_is_refused(plain_space):
    latency = Additive(lambda g: g.sum(1).astype(float))
    with pytest.raises(ValueError, match="no sum over segments"):
        Exact().search(SearchProblem(plain_space, (Additive(lambda g: (g[:, 0] * g[:, 1]).astype(float)), latency)))
    with pytest.raises(UsageError, match="use Evolution"):
        Exact().search(SearchProblem(plain_space, (lambda g: g.sum(1), latency)))


def test_four_limits_on_a_space_too_large_to_enumerate():
    rng = np.random.default_rng(0)
    space = Categorical([4] * 12)
    terms = rng.uniform(0, 1, (5, 12, 4))
    sums = [Additive(lambda g, t=t: t[np.arange(12), g].sum(axis=1)) for t in terms]
    constraints = tuple(Constraint(f"sum {i}", s, 5.5) for i, s in enumerate(sums[1:]))
    found = Exact(steps=3).search(SearchProblem(space, (sums[0], sums[1]), constraints))
    drawn = space.sample(rng, 200_000)
    within = np.all([s(drawn) <= 5.5 for s in sums[1:]], axis=0)
    assert found.optimal
    assert found.accuracy[-1] >= sums[0](drawn)[within].max()
    assert (found.violation == 0).all()


def test_a_link_changes_no_choice(plain_space):
    rng = np.random.default_rng(3)
    function, latency = random_sum(plain_space, rng), Additive(random_sum(plain_space, rng))
    plain = Exact().search(SearchProblem(plain_space, (Additive(function), latency)))
    linked = Exact().search(SearchProblem(plain_space, (Additive(function, lambda z: 1 - np.exp(-z)), latency)))
    assert (plain.genomes == linked.genomes).all()
    np.testing.assert_allclose(linked.accuracy, 1 - np.exp(-plain.accuracy))


def test_a_users_own_table_of_accuracies_and_latencies(plain_space):
    """No supernet, no device."""
    rng = np.random.default_rng(0)
    truth, layer_ms = random_sum(plain_space, rng), rng.uniform(0.1, 1.0, (8, 3))
    measured = plain_space.sample(rng, 60)
    predictor = LinkRidge(plain_space)
    predictor.fit(measured, 0.8 - 0.1 * np.exp(-truth(measured) / 4))
    accuracy = Additive(predictor.score, predictor.link)
    latency = Additive(lambda genomes: layer_ms[np.arange(8), genomes].sum(axis=1))
    front = Exact().search(SearchProblem(plain_space, (accuracy, latency), (Constraint("latency", latency, 4.0, "ms"),)))
    everything = every_genome(plain_space)
    within = latency(everything) <= 4.0
    assert front.accuracy[-1] == pytest.approx(predictor.predict(everything[within]).max())
    assert truth(front.genomes[-1:])[0] > np.quantile(truth(everything[within]), 0.98)
