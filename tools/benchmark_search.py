"""Every search strategy against its peers on the Once-for-All space; writes CSV files and a picture.

    python tools/benchmark_search.py --data ../shared/data/ofa_mbv3_imagenet --out runs/benchmark --seeds 5

Accuracy is learned from 2,223 published ImageNet accuracies by a support vector regression that no strategy uses itself; the
effect of the resolution and the block latencies are synthetic. Hypervolume is relative to the best front known. Needs
`pip install edgenas[benchmark]`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # CPU time of one thread is what is compared

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from sklearn.svm import SVR

from edgenas import cost
from edgenas.files import replacing
from edgenas.predictor import LinkRidge, kendall_tau, stage_features
from edgenas.search import (
    STRATEGIES,
    Additive,
    Evolution,
    Exact,
    Ledger,
    Population,
    SearchProblem,
    get_strategy,
    hypervolume,
    run_strategy,
)
from edgenas.search.strategies import History, Strategy
from edgenas.search.strategies.base import distinct_unknown
from edgenas.space import SearchSpace, get_space
from edgenas.space.once_for_all import from_ofa

CHECKPOINTS = (50, 100, 200, 400)


def published(data: Path, space: SearchSpace) -> tuple[np.ndarray, np.ndarray]:
    """`(n, d)` genomes and `(n,)` top-1 accuracies in 0..1, each architecture once."""
    accuracy = {}
    with (data / "ofa_mbv3w10_top1_macs_params_i7latency.csv").open() as file:
        for row in csv.DictReader(file):
            architecture = from_ofa(int(row["r"]), *(json.loads(row[name]) for name in ("d", "ks", "e")))
            accuracy[architecture] = float(row["imagenet_top1"]) / 100
    return np.array([space.encode(a) for a in accuracy]), np.array(list(accuracy.values()))


def make_problem(space: SearchSpace, genomes: np.ndarray, accuracies: np.ndarray) -> SearchProblem:
    """The true accuracy that strategies find out about one architecture at a time, and an additive latency."""
    raw = stage_features(space, genomes)
    at_224, mean, scale = raw[0, :2], raw.mean(0), np.where(raw.std(0) > 0, raw.std(0), 1.0)
    model = SVR(C=10, epsilon=0.02, gamma=0.01).fit((raw - mean) / scale, -np.log(0.79 - accuracies))
    smaller = 0.6 * np.log(np.array(space.resolutions) / 224)

    def accuracy(some: np.ndarray) -> np.ndarray:
        features = stage_features(space, some)
        features[:, :2] = at_224
        return 0.79 - np.exp(-(model.predict((features - mean) / scale) + smaller[some[:, 0]]))

    noise = np.random.default_rng(0).uniform(0.8, 1.2, len(space.distinct_blocks))
    latency_ms = (np.array([cost.block_macs(spec) for spec in space.distinct_blocks]) / 2e7 + 0.1) * noise
    return SearchProblem(space, (accuracy, Additive(lambda some: 1 + space.gather(latency_ms, some))))


# ---- peers ----


class RandomReset(Mutation):
    """Each gene drawn anew with probability 1 / genes; pymoo has none for integers."""

    def _do(self, problem, X, random_state=None, **kwargs):
        rng = random_state if random_state is not None else np.random.default_rng()
        drawn = np.stack([rng.integers(problem.xl, problem.xu + 1) for _ in range(len(X))])
        return np.where(rng.random(X.shape) < 1 / X.shape[1], drawn, X)


def pymoo_nsga2(problem: SearchProblem, population: int, generations: int, seed: int, begin: np.ndarray | None = None):
    """The final population of pymoo's NSGA-II, `(n, d)` genomes."""
    space = problem.space

    class Vectorised(Problem):
        def __init__(self):
            super().__init__(n_var=len(space.gene_sizes), n_obj=2, xl=0, xu=space.gene_sizes - 1, vtype=int)

        def _evaluate(self, x, out, *args, **kwargs):
            genomes = space.canonical(x.astype(int))
            out["F"] = np.stack([-problem.accuracy(genomes), problem.cost(genomes)], axis=1)

    algorithm = PymooNSGA2(
        pop_size=population, sampling=IntegerRandomSampling() if begin is None else begin, crossover=UniformCrossover(),
        mutation=RandomReset(), eliminate_duplicates=True,
    )  # fmt: skip
    result = minimize(Vectorised(), algorithm, ("n_gen", generations), seed=seed, verbose=False)
    return space.canonical(result.pop.get("X").astype(int))


class Linas:
    """LINAS of DyNAS-T (Cummings et al., 2022, arXiv:2205.10358), from its paper: 50 random architectures, then NSGA-II on an
    SVR over one-hot genes proposes 50 more, and so on."""

    batch = 50

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self.problem, self.rng, self.history = problem, rng, History(problem)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray) -> None:
        self.history.add(genomes, accuracies)

    def ask(self, count: int) -> np.ndarray:
        space, sizes = self.problem.space, self.problem.space.gene_sizes
        if len(self.history) < self.batch:
            return space.sample(self.rng, min(count, self.batch))

        def one_hot(genomes: np.ndarray) -> np.ndarray:
            return np.concatenate([np.eye(size)[genomes[:, i]] for i, size in enumerate(sizes)], axis=1)

        known = self.history.accuracy
        mean, scale = known.mean(), known.std()
        model = SVR(C=10, epsilon=0.01).fit(one_hot(self.history.genomes), (known - mean) / scale)
        predicted = self.problem.with_accuracy(lambda genomes: mean + scale * model.predict(one_hot(genomes)))
        found = pymoo_nsga2(predicted, 50, 50, int(self.rng.integers(2**31)))
        return distinct_unknown(self.history, np.concatenate([found, space.sample(self.rng, count)]), min(count, self.batch))


# ---- experiments ----


def predictor_rows(space: SearchSpace, genomes: np.ndarray, accuracies: np.ndarray, seeds: int) -> list[dict]:
    """Link-ridge on N published accuracies, tested on all the others."""
    rows = []
    for samples in (50, 100, 200, 400):
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(genomes))
            train, test = order[:samples], order[samples:]
            predictor = LinkRidge(space)
            predictor.fit(genomes[train], accuracies[train])
            predicted = predictor.predict(genomes[test])
            error = 100 * float(np.abs(predicted - accuracies[test]).mean())
            rows.append(
                {"samples": samples, "seed": seed, "tau": kendall_tau(predicted, accuracies[test]), "error_percent": error}
            )
    return rows


def cheap_rows(problem: SearchProblem, seeds: int) -> list[dict]:
    """Engines on a predictor: CPU time of the front, accuracy lost on average over its budgets, architectures per second."""
    start = time.process_time()
    exact = Exact().search(problem)
    rows = [_cheap_row("exact", 0, exact, exact, time.process_time() - start, 0)]
    for seed in range(seeds):
        for generations in (50, 200):
            start, engine = time.process_time(), Evolution(generations=generations)
            found = engine.search(problem, np.random.default_rng(seed)).front
            looked_at = engine.children * (generations + 1)
            rows.append(_cheap_row(f"evolution {generations}", seed, exact, found, time.process_time() - start, looked_at))
        start = time.process_time()
        found = problem.evaluate(pymoo_nsga2(problem, 100, 200, seed)).front
        rows.append(_cheap_row("pymoo NSGA-II 200", seed, exact, found, time.process_time() - start, 100 * 200))
    return rows


def _cheap_row(engine: str, seed: int, exact: Population, found: Population, seconds: float, looked_at: int) -> dict:
    budgets = np.geomspace(exact.cost[0], exact.cost[-1], 22)[1:-1]
    best, own = ([front.accuracy[: int(np.searchsorted(front.cost, b, side="right"))].max(initial=0.0) for b in budgets]
                 for front in (exact, found))  # fmt: skip
    gap = 100 * float(np.mean(np.subtract(best, own)))
    return {"engine": engine, "seed": seed, "cpu_s": seconds, "gap_percent": gap, "per_s": looked_at / seconds}


def expensive_rows(problem: SearchProblem, strategies: dict, seeds: int, evaluations: int) -> list[dict]:
    """Hypervolume in percent of the best known after so many true evaluations, and the strategy's own CPU time."""
    found = [Evolution(generations=150).search(problem, np.random.default_rng(seed)).genomes for seed in range(2)]
    best = problem.evaluate(np.concatenate(found)).front
    low, high = 0.9 * best.accuracy.min(), best.cost.max()
    whole, rows = hypervolume(best.accuracy, best.cost, low, high), []
    for name, make in strategies.items():
        for seed in range(seeds):
            ledger, spent = Ledger(None, f"{name}-{seed}", problem.space), 0.0

            def evaluate(architecture):
                nonlocal spent
                begin = time.process_time()
                value = float(problem.accuracy(problem.space.encode(architecture)[None])[0])
                spent += time.process_time() - begin
                return value

            start = time.process_time()
            strategy: Strategy = make()
            if hasattr(strategy, "tolerance"):
                strategy.tolerance = -1.0  # all evaluations are wanted here
            run_strategy(problem, strategy, evaluate, ledger, evaluations=evaluations, seed=seed)
            seconds = time.process_time() - start - spent
            genomes, accuracy = ledger.arrays()
            costs = problem.cost(genomes)
            row = {"strategy": name, "seed": seed, "cpu_s": seconds}
            for n in [n for n in CHECKPOINTS if n <= evaluations]:
                row[f"at_{n}"] = 100 * hypervolume(accuracy[:n], costs[:n], low, high) / whole
            rows.append(row)
        print(summary([row for row in rows if row["strategy"] == name], "strategy")[0], flush=True)
    return rows


# ---- output ----


def summary(rows: list[dict], key: str) -> list[str]:
    """One line for every value of `key`: median, and range, over the seeds."""
    lines = []
    for name in dict.fromkeys(row[key] for row in rows):
        same = [row for row in rows if row[key] == name]
        cells = [str(name).ljust(20)]
        for column in [c for c in same[0] if c not in (key, "seed")]:
            values = [row[column] for row in same]
            cells.append(f"{column} {np.median(values):.4g} ({min(values):.4g} - {max(values):.4g})")
        lines.append("  ".join(cells))
    return lines


def write_csv(path: Path, rows: list[dict]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def plot(path: Path, rows: list[dict]) -> None:
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in dict.fromkeys(row["strategy"] for row in rows):
        columns = [c for c in rows[0] if c.startswith("at_")]
        values = np.array([[row[c] for c in columns] for row in rows if row["strategy"] == name])
        x = [int(c.removeprefix("at_")) for c in columns]
        axes.plot(x, np.median(values, axis=0), "o-", ms=4, label=name)
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), alpha=0.12)
    axes.set_xscale("log")
    axes.set_xlabel("true evaluations")
    axes.set_ylabel("hypervolume in % of the best known")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ofa_mbv3_imagenet"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-search"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--strategies", nargs="+", default=[*STRATEGIES, "linas"])
    options = parser.parse_args()
    space = get_space("mobilenetv3", "imagenet", 1000)
    genomes, accuracies = published(options.data, space)
    problem = make_problem(space, genomes, accuracies)

    rows = predictor_rows(space, genomes, accuracies, options.seeds)
    write_csv(options.out / "predictor.csv", rows)
    print(*summary(rows, "samples"), sep="\n")

    order = np.random.default_rng(0).permutation(len(genomes))[:100]
    predictor = LinkRidge(space)
    predictor.fit(genomes[order], accuracies[order])
    smaller = 0.6 * np.log(np.array(space.resolutions) / 224)
    predicted = problem.with_accuracy(Additive(lambda g: predictor.score(g) + smaller[g[:, 0]], predictor.link))
    rows = cheap_rows(predicted, options.seeds)
    write_csv(options.out / "cheap.csv", rows)
    print(*summary(rows, "engine"), sep="\n", flush=True)

    chosen = {name: Linas if name == "linas" else (lambda name=name: get_strategy(name)) for name in options.strategies}
    rows = expensive_rows(problem, chosen, options.seeds, options.evaluations)
    write_csv(options.out / "expensive.csv", rows)
    plot(options.out / "expensive.png", rows)


if __name__ == "__main__":
    main()
