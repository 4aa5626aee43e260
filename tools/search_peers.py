"""The peers of `benchmark_search.py`: pymoo's NSGA-II, LINAS, and Once-for-All's EvolutionFinder."""

from __future__ import annotations

import contextlib
import io
import random

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from pymoo.problems.static import StaticProblem
from sklearn.svm import SVR

from edgenas.search import Additive, SearchProblem
from edgenas.search.additive import Terms
from edgenas.search.strategies import History, Proposal
from edgenas.search.strategies.base import distinct_unknown


class RandomReset(Mutation):
    """Each gene drawn anew with probability 1 / genes; pymoo has none for integers."""

    def _do(self, problem, X, random_state=None, **kwargs):
        rng = random_state if random_state is not None else np.random.default_rng()
        drawn = np.stack([rng.integers(problem.xl, problem.xu + 1) for _ in range(len(X))])
        return np.where(rng.random(X.shape) < 1 / X.shape[1], drawn, X)


class _Vectorised(Problem):
    def __init__(self, problem: SearchProblem):
        self.searched = problem
        sizes = problem.space.gene_sizes
        super().__init__(n_var=len(sizes), n_obj=2, xl=0, xu=sizes - 1, vtype=int)

    def _evaluate(self, x, out, *args, **kwargs):
        genomes = self.searched.space.canonical(x.astype(int))
        out["F"] = np.stack([-self.searched.accuracy(genomes), self.searched.cost(genomes)], axis=1)


def _nsga2(population: int) -> NSGA2:
    return NSGA2(
        pop_size=population, sampling=IntegerRandomSampling(), crossover=UniformCrossover(),
        mutation=RandomReset(), eliminate_duplicates=True,
    )  # fmt: skip


def pymoo_nsga2(problem: SearchProblem, population: int, generations: int, seed: int) -> np.ndarray:
    """The final population of pymoo's NSGA-II, `(n, d)` genomes."""
    result = minimize(_Vectorised(problem), _nsga2(population), ("n_gen", generations), seed=seed, verbose=False)
    return problem.space.canonical(result.pop.get("X").astype(int))


class PymooStrategy:
    """pymoo's NSGA-II by ask and tell, generations of 20."""

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self.problem, self.known = problem, History(problem)
        self.algorithm = _nsga2(20)
        self.algorithm.setup(_Vectorised(problem), termination=("n_gen", 10_000), seed=int(rng.integers(2**31)), verbose=False)
        self.open = None

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self.known.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        if self.open is not None:
            genomes = self.problem.space.canonical(self.open.get("X").astype(int))
            value = dict(zip(map(bytes, self.known.genomes.astype(int)), self.known.accuracy, strict=True))
            accuracy = np.array([value[bytes(genome)] for genome in genomes])
            objectives = np.stack([-accuracy, self.problem.cost(genomes)], axis=1)
            Evaluator().eval(StaticProblem(self.algorithm.problem, F=objectives), self.open)
            self.algorithm.tell(infills=self.open)
        self.open = self.algorithm.ask()
        return Proposal(self.problem.space.canonical(self.open.get("X").astype(int)))


class Linas:
    """LINAS of DyNAS-T (Cummings et al., 2022, arXiv:2205.10358), from its paper: 50 random architectures, then NSGA-II on an
    SVR over one-hot genes proposes 50 more, and so on."""

    batch = 50

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self.problem, self.rng, self.history = problem, rng, History(problem)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self.history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        space, sizes = self.problem.space, self.problem.space.gene_sizes
        if len(self.history) < self.batch:
            return Proposal(space.sample(self.rng, min(count, self.batch)))

        def one_hot(genomes: np.ndarray) -> np.ndarray:
            return np.concatenate([np.eye(size)[genomes[:, i]] for i, size in enumerate(sizes)], axis=1)

        known = self.history.accuracy
        mean, scale = known.mean(), known.std()
        model = SVR(C=10, epsilon=0.01).fit(one_hot(self.history.genomes), (known - mean) / scale)
        predicted = self.problem.with_accuracy(lambda genomes: mean + scale * model.predict(one_hot(genomes)))
        found = pymoo_nsga2(predicted, 50, 50, int(self.rng.integers(2**31)))
        proposed = np.concatenate([found, space.sample(self.rng, count)])
        return Proposal(distinct_unknown(self.history, proposed, min(count, self.batch)))


# ---- Once-for-All ----


class _Encoder:
    """The methods of ofa's MobileNetArchEncoder that its finder uses, which cannot be imported without torchvision; in gene
    values in place of kernel sizes and expand ratios."""

    def __init__(self, resolutions: int):
        self.resolutions = range(resolutions)

    def random_sample_arch(self) -> dict:
        three = range(3)
        return {"ks": random.choices(three, k=20), "e": random.choices(three, k=20), "d": random.choices(three, k=5),
                "image_size": random.choice(self.resolutions)}  # fmt: skip

    def mutate_resolution(self, arch: dict, probability: float) -> None:
        if random.random() < probability:
            arch["image_size"] = random.choice(self.resolutions)

    def mutate_arch(self, arch: dict, probability: float) -> None:
        for i in range(20):
            if random.random() < probability:
                arch["ks"][i], arch["e"][i] = random.randrange(3), random.randrange(3)
        for i in range(5):
            if random.random() < probability:
                arch["d"][i] = random.randrange(3)


class _Latency:
    """A latency table as fast as plain Python allows: one look-up for every block, like ofa's own."""

    def __init__(self, problem: SearchProblem):
        assert isinstance(problem.cost, Additive)
        layout = problem.space.layout
        terms = Terms.of(problem.cost, layout)
        self.depths = [segment.depths for segment in layout.segments]
        self.base, self.depth, self.choice = terms.base.tolist(), terms.depth.tolist(), terms.choice.tolist()

    def get_efficiency(self, arch: dict) -> float:
        r, kernels, expands = arch["image_size"], arch["ks"], arch["e"]
        total, depth, choice = self.base[r], self.depth[r], self.choice[r]
        for s, j in enumerate(arch["d"]):
            total += depth[s][j]
            for u in range(self.depths[s][j]):
                total += choice[s][u][3 * kernels[4 * s + u] + expands[4 * s + u]]
        return total


class _Accuracy:
    def __init__(self, problem: SearchProblem):
        self.problem = problem
        self.arch_encoder = _Encoder(int(problem.space.gene_sizes[0]))

    def predict_acc(self, archs: list[dict]) -> np.ndarray:
        genomes = np.zeros((len(archs), 46), dtype=int)
        genomes[:, 0] = [arch["image_size"] for arch in archs]
        stages = genomes[:, 1:].reshape(len(archs), 5, 9)
        stages[:, :, 0] = [arch["d"] for arch in archs]
        stages[:, :, 1::2] = np.reshape([arch["ks"] for arch in archs], (-1, 5, 4))
        stages[:, :, 2::2] = np.reshape([arch["e"] for arch in archs], (-1, 5, 4))
        return self.problem.accuracy(self.problem.space.canonical(genomes))


def ofa_finder(problem: SearchProblem, budgets: np.ndarray, seed: int) -> np.ndarray | None:
    """`(b,)` best accuracies within the budgets that ofa's own EvolutionFinder finds, one search for each; None without ofa."""
    try:
        from ofa.nas.search_algorithm import EvolutionFinder
    except ImportError:
        return None
    random.seed(seed)
    np.random.seed(seed)
    finder = EvolutionFinder(_Latency(problem), _Accuracy(problem))
    with contextlib.redirect_stdout(io.StringIO()):
        return np.array([finder.run_evolution_search(float(budget))[1][0] for budget in budgets])
