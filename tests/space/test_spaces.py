"""The contract that every space keeps, one's own as well."""

import numpy as np
import pytest

from edgenas.search import Additive, Constraint, Exact, SearchProblem
from edgenas.search.testing import NETWORKS, SpaceContract
from edgenas.space import Categorical, Layout, Segment, get_space
from tests.conftest import every_genome, make_micro_space, make_universal_space


class Chain:
    """A third party's: up to three filters in a row, an architecture being the tuple of their taps."""

    name = "chain"
    gene_sizes = np.array([3, 4, 4, 4])
    gene_names = ("length", "first", "second", "third")
    layout = Layout((3, 4, 4, 4), (), (Segment(0, (1, 2, 3), ((1,), (2,), (3,))),))

    def canonical(self, genomes):
        return self.layout.canonical(genomes)

    def sample(self, rng, n):
        return self.canonical(rng.integers(0, self.gene_sizes, (n, 4)))

    def decode(self, genome):
        return tuple(int(taps) for taps in genome[1 : 2 + genome[0]])

    def encode(self, architecture):
        return np.array([len(architecture) - 1, *architecture, *[0] * (3 - len(architecture))])


SPACES = [Chain(), Categorical([3, 1, 4]), NETWORKS, make_micro_space(), make_universal_space(),
          get_space("mobilenetv3", "tiny", 10)]  # fmt: skip


class TestContract(SpaceContract):
    @pytest.fixture(params=SPACES, ids=lambda space: space.name)
    def space(self, request):
        return request.param


def test_a_space_of_ones_own_is_searched_exactly():
    space = Chain()
    worth = np.random.default_rng(0).normal(size=(3, 4))

    def accuracy(genomes):
        return np.array([sum(worth[i, taps] for i, taps in enumerate(space.decode(genome))) for genome in genomes])

    cost = Additive(lambda genomes: np.array([sum(1 + np.array(space.decode(genome))) for genome in genomes], dtype=float))
    found = Exact().search(SearchProblem(space, (Additive(accuracy), cost), (Constraint("taps", cost, 7),)))
    everything = every_genome(space)
    assert found.optimal
    assert found.accuracy[-1] == pytest.approx(accuracy(everything[cost(everything) <= 7]).max())


def test_genes_have_the_names_that_ledgers_know():
    """Those of earlier versions: an evaluation under another name would be another parameter of its Optuna study."""
    names = make_universal_space().gene_names
    assert names[:5] == ("resolution", "width", "stage1.depth", "stage1.block1.kernel", "stage1.block1.expand")
    assert "stage4.block2.start" in names
    assert make_micro_space().gene_names[:2] == ("resolution", "stage1.depth")
