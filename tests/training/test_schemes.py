"""The contract of sampling schemes, and what is particular to each."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas import cost
from edgenas.training import Recipe
from edgenas.training.recipe import SCHEMES
from edgenas.training.schemes import make_scheme
from tests.conftest import make_micro_space

SPACE = make_micro_space()


def draws(scheme, phase, n=50):
    return [scheme.draw(phase, np.random.default_rng([1, step])) for step in range(n)]


@pytest.mark.parametrize("name", SCHEMES)
def test_contract(name):
    scheme = make_scheme(SPACE, Recipe(scheme=name))
    assert [phase.start for phase in scheme.phases] == sorted(phase.start for phase in scheme.phases)
    assert scheme.phases[0].start == 0
    for phase in scheme.phases:
        assert draws(scheme, phase, 5) == draws(scheme, phase, 5)
        for step in draws(scheme, phase):
            assert step
            for draw in step:
                SPACE.validate(draw.architecture)
                assert 0 <= draw.share[0] < draw.share[1] <= 1
                assert draw.weight > 0
    if len(scheme.phases) > 1:
        assert [d.architecture for d in scheme.draw(scheme.phases[0], np.random.default_rng(0))] == [SPACE.largest]
    reached = {d.architecture for step in draws(scheme, scheme.phases[-1], 600) for d in step}
    assert len(reached) > 0.9 * SPACE.count()


def test_the_sandwich_splits_the_batch_among_the_smaller_subnets():
    recipe = Recipe(random_subnets=3, subnet_weight=0.4)
    scheme = make_scheme(SPACE, recipe)
    largest, smallest, *random = scheme.draw(scheme.phases[1], np.random.default_rng(0))
    assert (largest.architecture, largest.share, largest.teacher) == (SPACE.largest, (0, 1), None)
    assert smallest.architecture == SPACE.smallest
    assert len(random) == 3
    assert sum(d.share[1] - d.share[0] for d in (smallest, *random)) == pytest.approx(1)
    assert sum(d.weight for d in (smallest, *random)) == pytest.approx(0.4)
    assert {d.teacher for d in (smallest, *random)} == {"largest"}


def test_the_largest_may_only_teach_in_most_steps():
    scheme = make_scheme(SPACE, Recipe(largest_share=0.25))
    steps = draws(scheme, scheme.phases[-1], 400)
    learned = [largest.learns for largest, *_ in steps]
    assert 70 < sum(learned) < 130
    assert all(draw.learns for _, *smaller in steps for draw in smaller)
    always = draws(make_scheme(SPACE, Recipe()), scheme.phases[-1], 20)
    assert all(draw.learns for step in always for draw in step)
    assert [[d.architecture for d in step] for step in always] == [[d.architecture for d in step] for step in steps[:20]]


def test_with_an_elastic_resolution_the_largest_sees_images_of_every_size():
    scheme = make_scheme(SPACE, Recipe(elastic_resolution=True))
    for phase in scheme.phases:
        largest = [step[0].architecture for step in draws(scheme, phase, 60)]
        assert {a.resolution for a in largest} == set(SPACE.resolutions)
        assert {replace(a, resolution=max(SPACE.resolutions)) for a in largest} == {SPACE.largest}


def test_the_sandwich_of_the_paper_shows_every_subnet_the_whole_batch():
    scheme = make_scheme(SPACE, Recipe(split_batch=False, subnet_weight=0.6))
    for draw in scheme.draw(scheme.phases[1], np.random.default_rng(0))[1:]:
        assert draw.share == (0, 1)
        assert draw.weight == pytest.approx(0.2)


def test_progressive_shrinking_frees_one_dimension_after_the_other():
    scheme = make_scheme(SPACE, Recipe(scheme="progressive-shrinking"))

    def free(phase):
        drawn = [d.architecture for step in draws(scheme, phase, 200) for d in step]
        stages = [stage for a in drawn for stage in a.stages]
        return (
            len({c.kernel for stage in stages for c in stage}) > 1,
            len({len(a.stages[0]) for a in drawn}) > 1,
            len({c.expand for a in drawn for c in a.stages[1]}) > 1,
        )

    assert [phase.name for phase in scheme.phases] == ["largest", "kernel", "depth", "expand"]
    assert [free(phase) for phase in scheme.phases[1:]] == [
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]
    assert scheme.draw(scheme.phases[0], np.random.default_rng(0))[0].architecture == SPACE.largest
    sizes = [np.mean([cost.macs(SPACE.blocks(d.architecture)) for s in draws(scheme, p) for d in s]) for p in scheme.phases]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", SCHEMES)
def test_budgets_bias_the_random_subnets(name):
    def macs(budgets):
        scheme = make_scheme(SPACE, Recipe(scheme=name, macs=budgets))
        drawn = [d.architecture for step in draws(scheme, scheme.phases[-1], 300) for d in step]
        if name == "sandwich":
            drawn = [a for a in drawn if a not in (SPACE.largest, SPACE.smallest)]
        return np.array([cost.macs(SPACE.blocks(a)) for a in drawn])

    low, high = np.quantile(macs(()), [0.2, 0.8])
    assert np.median(np.abs(np.log(macs((int(low),)) / low))) < 0.5 * np.median(np.abs(np.log(macs(()) / low)))
    both = macs((int(low), int(high)))
    near_low, near_high = (np.abs(np.log(both / budget)) < 0.1 for budget in (low, high))
    assert near_low.mean() > 0.25 and near_high.mean() > 0.25


@pytest.mark.parametrize("name", ["sandwich", "progressive-shrinking"])
def test_progressive_resolution_grows_to_the_largest(name):
    scheme = make_scheme(SPACE, Recipe(scheme=name, progressive_resolution=True))
    alone = [phase for phase in scheme.phases if phase.name == "largest"]
    drawn = [scheme.draw(phase, np.random.default_rng(0)) for phase in alone]
    assert [[d.architecture.resolution for d in step] for step in drawn] == [[12], [16]]
    assert all(step[0].architecture.stages == SPACE.largest.stages for step in drawn)
    assert np.diff([phase.start for phase in scheme.phases[:3]]) == pytest.approx(alone[1].start)
