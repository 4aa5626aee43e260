"""The contract of strategies and of spaces as tests, for those of EdgeNAS and for one's own.

from edgenas.search.testing import StrategyContract

class TestMine(StrategyContract):
    @pytest.fixture
    def make(self):
        return MyStrategy
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
from optuna.storages import BaseStorage

from edgenas.search.additive import Additive
from edgenas.search.ledger import Ledger
from edgenas.search.problem import Constraint, SearchProblem
from edgenas.search.run import Outcome, run_strategy
from edgenas.search.strategies import Proposal, Strategy
from edgenas.space import Categorical, FixedBlock, SearchSpace, Space, Stage
from edgenas.space.genome import A
from edgenas.storage import open_storage

LIMIT = 0.6
"""Of the cost in `make_problem`, whose costs are between 0.1 and about 1.1."""

NETWORKS = SearchSpace(
    name="networks",
    resolutions=(12, 16),
    widths=(0.5, 1.0),
    stem=(FixedBlock("conv", 8, stride=2),),
    stages=(
        Stage(8, 2, "relu", False, (1, 2), (3, 5), (2, 3)),
        Stage(16, 1, "relu", False, (1, 2), (3,), (2, 4)),
    ),
    head=(FixedBlock("head", 3),),
)
"""With an elastic width and depths: the genes of blocks that a depth drops do not count."""


def make_problem(space: Space[A], limit: float = LIMIT) -> SearchProblem[A]:
    """One whose accuracy no strategy may call, and what it would be is `truth(space)`."""
    steps = np.linspace(0.5, 1.5, len(space.gene_sizes))
    cost = Additive(lambda genomes: 0.1 + (genomes * steps).sum(1) / (space.gene_sizes - 1).sum())
    return SearchProblem(space, (_forbidden, cost), (Constraint("cost", cost, limit),), budgets=(0.4, limit))


def truth(space: Space) -> Callable[[np.ndarray], np.ndarray]:
    """`(n, d)` canonical genomes -> `(n,)` accuracies in 0..1: a saturating sum of what the genes' values are worth."""
    rng = np.random.default_rng(4)
    worth = [rng.uniform(0, 1, size) for size in space.gene_sizes]
    return lambda genomes: 0.9 - 0.4 * np.exp(-3 * np.mean([w[g] for w, g in zip(worth, genomes.T, strict=True)], axis=0))


def run(
    strategy: Strategy, problem: SearchProblem[A], evaluations: int = 40, seed: int = 0, ledger: Ledger[A] | None = None,
    most: float = np.inf,
) -> tuple[Outcome, list[A], Ledger[A]]:  # fmt: skip
    """The outcome, what was evaluated in full, in order, and the ledger. Interrupted after `most` evaluations, of any share."""
    space, accuracy = problem.space, truth(problem.space)
    asked: list[A] = []
    made = itertools.count()

    def evaluate(architecture: A, /, *, share: float = 1.0) -> float:
        if next(made) >= most:
            raise KeyboardInterrupt
        if share == 1:
            asked.append(architecture)
        return float(accuracy(space.encode(architecture)[None])[0])

    ledger = Ledger(None, "k", space) if ledger is None else ledger
    return run_strategy(problem, strategy, evaluate, ledger, evaluations=evaluations, seed=seed), asked, ledger


class StrategyContract:
    """What `Strategy` says, as tests. `make`, a fixture, is a function that makes the strategy."""

    def test_proposals_are_canonical_and_worth_no_more_than_is_asked_for(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            for count, proposal in _dialogue(make(), make_problem(space), counts=[1, 7, 25, 3, 25, 25, 12, 1]):
                assert proposal.genomes.shape[1:] == space.gene_sizes.shape
                assert ((proposal.genomes >= 0) & (proposal.genomes < space.gene_sizes)).all()
                assert (proposal.genomes == space.canonical(proposal.genomes)).all()
                assert 0 < proposal.share <= 1
                assert len(proposal) * proposal.share <= count + 1e-9

    def test_no_more_is_evaluated_than_allowed_and_nothing_twice(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            outcome, asked, ledger = run(make(), make_problem(space))
            assert 0 < outcome.evaluated == len(asked) == len(set(asked)) == len(ledger)
            assert outcome.evaluated <= outcome.spent <= 40

    def test_the_same_seed_asks_the_same_and_no_global_randomness_is_used(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            before = _global_randomness()
            first, second = (run(make(), make_problem(space), evaluations=30, seed=3)[1] for _ in range(2))
            assert first == second
            assert _global_randomness() == before

    def test_a_strategy_that_is_started_again_begins_anew(self, make: Callable[[], Strategy]) -> None:
        problem, strategy = make_problem(Categorical([3] * 8)), make()
        first, second = (run(strategy, problem, evaluations=30, seed=3)[1] for _ in range(2))
        assert first == second

    def test_something_feasible_is_found(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            problem = make_problem(space)
            ledger = run(make(), problem)[2]
            assert (problem.violation(ledger.arrays()[0]) == 0).any()

    def test_what_is_known_already_costs_nothing(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            problem = make_problem(space)
            ledger = run(make(), problem, evaluations=30)[2]
            known = len(ledger)
            outcome, asked, _ = run(make(), problem, evaluations=10, seed=1, ledger=ledger)
            assert outcome.evaluated == len(asked) == len(ledger) - known

    def test_one_that_is_interrupted_and_goes_on_ends_as_if_it_had_not_been(self, make: Callable[[], Strategy]) -> None:
        for space in _spaces():
            problem = make_problem(space)

            def ledger(storage: BaseStorage, space: Space = space) -> Ledger:
                return Ledger(storage, "k", space, search="its id")

            def known_before(space: Space = space, problem: SearchProblem = problem) -> BaseStorage:
                storage = open_storage(None)
                run(make(), problem, evaluations=12, seed=9, ledger=Ledger(storage, "k", space, search="an earlier one"))
                return storage

            whole = run(make(), problem, evaluations=20, seed=3, ledger=ledger(known_before()))
            storage = known_before()
            for most in (4, 9):
                with suppress(KeyboardInterrupt):
                    run(make(), problem, evaluations=20, seed=3, ledger=ledger(storage), most=most)
            again = run(make(), problem, evaluations=20, seed=3, ledger=ledger(storage))
            assert again[2].items() == whole[2].items()
            assert (again[0].evaluated, again[0].spent, again[0].stopped) == (
                whole[0].evaluated, whole[0].spent, whole[0].stopped
            )  # fmt: skip
            assert set(again[1]) <= set(whole[1])

    def test_a_space_smaller_than_the_evaluations_ends(self, make: Callable[[], Strategy]) -> None:
        outcome, asked, _ = run(make(), make_problem(Categorical([2, 2]), limit=9.0))
        assert len(set(asked)) == outcome.evaluated <= 4

    def test_problems_without_limits_or_budgets_are_searched(self, make: Callable[[], Strategy]) -> None:
        problem = replace(make_problem(Categorical([3] * 8)), constraints=(), budgets=())
        assert run(make(), problem, evaluations=30)[0].evaluated > 0

    def test_an_elastic_width_is_searched_like_any_gene(self, make: Callable[[], Strategy]) -> None:
        asked = run(make(), make_problem(NETWORKS), evaluations=25)[1]
        assert {architecture.width for architecture in asked} == {0.5, 1.0}


class SpaceContract:
    """What `Space` says, as tests. `space`, a fixture, is the space, small enough that a hundred samples repeat no gene."""

    def test_every_gene_has_a_name_of_its_own(self, space: Space) -> None:
        assert len(set(space.gene_names)) == len(space.gene_names) == len(space.gene_sizes)

    def test_the_layout_is_of_these_genes_and_names_each_once(self, space: Space) -> None:
        layout = space.layout
        assert layout.gene_sizes == tuple(space.gene_sizes)
        columns = list(layout.branch_columns)
        for segment in layout.segments:
            columns += [column for slot in segment.slots for column in slot]
            columns += [] if segment.depth_column is None else [segment.depth_column]
            assert max(segment.depths) <= len(segment.slots)
            assert len(segment.depths) == (1 if segment.depth_column is None else layout.gene_sizes[segment.depth_column])
        assert sorted(columns) == list(range(len(space.gene_sizes)))

    def test_samples_are_canonical_and_the_same_for_the_same_seed(self, space: Space) -> None:
        first, second = (space.sample(np.random.default_rng(0), 100) for _ in range(2))
        assert (first == second).all()
        assert (first == space.canonical(first)).all()
        assert ((first >= 0) & (first < space.gene_sizes)).all()

    def test_genomes_of_one_architecture_are_one_in_canonical_form(self, space: Space) -> None:
        drawn = np.random.default_rng(0).integers(0, space.gene_sizes, (100, len(space.gene_sizes)))
        before = drawn.copy()
        canonical = space.canonical(drawn)
        assert (drawn == before).all()
        assert (canonical == space.layout.canonical(drawn)).all()
        for genome, same in zip(drawn, canonical, strict=True):
            architecture = space.decode(genome)
            assert architecture == space.decode(same)
            assert hash(architecture) == hash(space.decode(same))
            assert (space.encode(architecture) == same).all()


def _spaces() -> tuple[Space, ...]:
    return Categorical([3] * 8), NETWORKS


def _dialogue(strategy: Strategy, problem: SearchProblem, counts: list[int]) -> Iterator[tuple[int, Proposal]]:
    """Ask and answer, with strangers told in between."""
    accuracy, strangers = truth(problem.space), np.random.default_rng(9)
    strategy.start(problem, np.random.default_rng(0))
    for count in counts:
        proposal = strategy.ask(count)
        yield count, proposal
        if not len(proposal):
            return
        strategy.tell(proposal.genomes, accuracy(proposal.genomes), proposal.share)
        others = problem.space.sample(strangers, 2)
        strategy.tell(others, accuracy(others))


def _global_randomness() -> tuple:
    numpys = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numpys["pos"], numpys["key"].tobytes()


def _forbidden(genomes: np.ndarray) -> np.ndarray:
    raise AssertionError("a strategy does not call the accuracy that it is to find out")
