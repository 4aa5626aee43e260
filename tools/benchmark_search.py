"""Every search strategy against its peers on the Once-for-All space; writes CSV files and a picture.

    python tools/benchmark_search.py --data ../shared/data/ofa_mbv3_imagenet --out runs/benchmark --seeds 5

Accuracy is learned from 2,223 published ImageNet accuracies by a support vector regression that no strategy uses itself; the
effect of the resolution and the block latencies are synthetic. Hypervolume is relative to the best front known. Needs
`pip install edgenas[benchmark]`; Once-for-All's own finder is compared with where `pip install --no-deps ofa` found a place.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # CPU time of one thread is what is compared

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from optuna.samplers import GPSampler
from search_peers import Linas, PymooStrategy, ofa_finder, pymoo_nsga2
from sklearn.svm import SVR

from edgenas import cost
from edgenas.files import replacing
from edgenas.predictor import LinkRidge, kendall_tau, stage_features
from edgenas.search import (
    STRATEGIES,
    Additive,
    Bayesian,
    Evolution,
    Exact,
    Ledger,
    Population,
    SearchProblem,
    get_strategy,
    hypervolume,
    run_strategy,
)
from edgenas.search.strategies import OptunaSampler, Strategy
from edgenas.space import SearchSpace, get_space
from edgenas.space.once_for_all import from_ofa

CHECKPOINTS = (50, 60, 75, 100, 120, 150, 200, 300, 400)
COLOURS, STYLES = 10, ("o-", "s--")
SHADED = 4
PEERS = {"pymoo NSGA-II": PymooStrategy, "linas": Linas, "optuna:gp": lambda: OptunaSampler(GPSampler)}
MOST_EVALUATIONS = {"optuna:gp": 100, "gp-ei": 100}
"""Strategies that take seconds for each proposal, and more the more they know."""
MOST_SEEDS = {"optuna:gp": 2}
VALIDATION_IMAGES = 10_000
"""What the noise of evaluations on a share of the images is that of."""


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
    """Engines on a predictor: CPU time, accuracy lost on average over budgets, architectures per CPU-second."""
    start = time.process_time()
    exact = Exact().search(problem)
    rows = [_cheap_row("exact", 0, exact, exact, time.process_time() - start, 0)]
    for seed in range(seeds):
        for generations in (50, 200):
            start, engine = time.process_time(), Evolution(generations=generations)
            found = engine.search(problem, np.random.default_rng(seed)).front
            looked_at = engine.children * (generations + 1)
            rows.append(_cheap_row(f"evolution {generations}", seed, exact, found, time.process_time() - start, looked_at))
        for generations in (200, 1000):
            start = time.process_time()
            found = problem.evaluate(pymoo_nsga2(problem, 100, generations, seed)).front
            seconds = time.process_time() - start
            rows.append(_cheap_row(f"pymoo NSGA-II {generations}", seed, exact, found, seconds, 100 * generations))
    return rows


def finder_rows(problem: SearchProblem, seeds: int) -> list[dict]:
    """Five budgets: Once-for-All's EvolutionFinder once for each (100 x 500, its default), the exact front once for all."""
    rows = []
    for seed in range(seeds):
        start = time.process_time()
        exact = Exact().search(problem)
        exact_s = time.process_time() - start
        budgets = np.geomspace(exact.cost[0], exact.cost[-1], 7)[1:-1]
        best = np.array([exact.accuracy[int(np.searchsorted(exact.cost, b, side="right")) - 1] for b in budgets])
        start = time.process_time()
        found = ofa_finder(problem, budgets, seed)
        if found is None:
            print("ofa is not installed: pip install --no-deps ofa", flush=True)
            break
        finder_s, gap = time.process_time() - start, 100 * float(np.mean(best - found))
        rows.append({"engine": "exact", "seed": seed, "cpu_s": exact_s, "gap_percent": 0.0, "times_exact": 1.0})
        rows.append({"engine": "OFA EvolutionFinder", "seed": seed, "cpu_s": finder_s, "gap_percent": gap,
                     "times_exact": finder_s / exact_s})  # fmt: skip
    return rows


def _cheap_row(engine: str, seed: int, exact: Population, found: Population, seconds: float, looked_at: int) -> dict:
    budgets = np.geomspace(exact.cost[0], exact.cost[-1], 22)[1:-1]
    best, own = ([front.accuracy[: int(np.searchsorted(front.cost, b, side="right"))].max(initial=0.0) for b in budgets]
                 for front in (exact, found))  # fmt: skip
    gap = 100 * float(np.mean(np.subtract(best, own)))
    return {"engine": engine, "seed": seed, "cpu_s": seconds, "gap_percent": gap, "per_s": looked_at / seconds}


def expensive_rows(problem: SearchProblem, strategies: dict, seeds: int, evaluations: int, out: Path) -> list[dict]:
    """Hypervolume in percent of the best known after so many true evaluations, and the strategy's own CPU time.

    An evaluation on a share of the images counts as that share; its accuracy has the binomial noise of that many images.
    """
    found = [Evolution(generations=150).search(problem, np.random.default_rng(seed)).genomes for seed in range(2)]
    best = problem.evaluate(np.concatenate(found)).front
    low, high = 0.9 * best.accuracy.min(), best.cost.max()
    whole, rows = hypervolume(best.accuracy, best.cost, low, high), []
    for name, make in strategies.items():
        most = min(evaluations, MOST_EVALUATIONS.get(name, evaluations))
        for seed in range(min(seeds, MOST_SEEDS.get(name, seeds))):
            noise, spent, when = np.random.default_rng(seed), 0.0, []

            def evaluate(architecture, share=1.0, noise=noise, when=when):
                nonlocal spent
                spent += share
                value = float(problem.accuracy(problem.space.encode(architecture)[None])[0])
                if share < 1:
                    return value + noise.normal() * np.sqrt(value * (1 - value) / VALIDATION_IMAGES * (1 / share - 1))
                when.append(spent)
                return value

            strategy: Strategy = make()
            if isinstance(strategy, Bayesian):
                strategy = replace(strategy, tolerance=-1.0)  # all evaluations are wanted here
            ledger = Ledger(None, f"{name}-{seed}", problem.space)
            outcome = run_strategy(problem, strategy, evaluate, ledger, evaluations=most, seed=seed)
            genomes, accuracy = ledger.arrays()
            costs = problem.cost(genomes)
            row = {"strategy": name, "seed": seed, "evaluations": most, "cpu_s": outcome.own_cpu_s}
            for n in CHECKPOINTS:
                made = int(np.searchsorted(when, n + 1e-9))
                value = 100 * hypervolume(accuracy[:made], costs[:made], low, high) / whole
                row[f"at_{n}"] = value if n <= most else float("nan")
            rows.append(row)
        write_csv(out / "expensive.csv", rows)
        print(summary([row for row in rows if row["strategy"] == name], "strategy")[0], flush=True)
    return rows


def reached(rows: list[dict], peer: str) -> list[dict]:
    """After how many evaluations the median of each strategy reaches the peer's at the end."""
    columns = [f"at_{n}" for n in CHECKPOINTS]
    medians = {
        name: np.array([np.median([row[c] for row in rows if row["strategy"] == name]) for c in columns])
        for name in dict.fromkeys(row["strategy"] for row in rows)
    }
    if peer not in medians:
        return []
    goal = np.nanmax(medians[peer])
    return [
        {"strategy": name, "reaches": peer, "hypervolume_percent": goal, "after": next(
            (n for n, value in zip(CHECKPOINTS, values, strict=True) if value >= goal), "never")}
        for name, values in medians.items()
    ]  # fmt: skip


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
    """Medians over the seeds, with the range of the best; the legend is in the order in which the lines end."""
    columns = [c for c in rows[0] if c.startswith("at_")]
    x = [int(c.removeprefix("at_")) for c in columns]
    curves = {
        name: np.array([[row[c] for c in columns] for row in rows if row["strategy"] == name], dtype=float)
        for name in dict.fromkeys(row["strategy"] for row in rows)
    }
    medians = {name: np.median(values, axis=0) for name, values in curves.items()}
    order = sorted(curves, key=lambda name: medians[name][~np.isnan(medians[name])][-1], reverse=True)
    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, name in enumerate(order):
        turn, colour = divmod(number, COLOURS)
        axes.plot(x, medians[name], STYLES[turn % len(STYLES)], color=f"C{colour}", markersize=4, label=name)
        if number < SHADED:
            axes.fill_between(x, curves[name].min(axis=0), curves[name].max(axis=0), color=f"C{colour}", alpha=0.12)
    axes.set_xscale("log")
    axes.set_xticks(x, map(str, x))
    axes.minorticks_off()
    axes.set_xlabel("true evaluations")
    axes.set_ylabel("hypervolume in % of the best known")
    figure.legend(fontsize=8, loc="outside right upper")
    axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ofa_mbv3_imagenet"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-search"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--strategies", nargs="+", default=[*STRATEGIES, *PEERS])
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
    for name, measure in {"cheap": cheap_rows, "finder": finder_rows}.items():
        if rows := measure(predicted, options.seeds):
            write_csv(options.out / f"{name}.csv", rows)
            print(*summary(rows, "engine"), sep="\n", flush=True)

    chosen = {name: PEERS.get(name) or (lambda name=name: get_strategy(name)) for name in options.strategies}
    rows = expensive_rows(problem, chosen, options.seeds, options.evaluations, options.out)
    plot(options.out / "expensive.png", rows)
    goals = [row for peer in ("linas", "nsga2", "pymoo NSGA-II", "random") for row in reached(rows, peer)]
    if goals:
        write_csv(options.out / "reached.csv", goals)
    for row in goals:
        when = "never reaches" if row["after"] == "never" else f"after {row['after']} reaches"
        print(f"{row['strategy']:20} {when} {row['reaches']}'s hypervolume ({row['hypervolume_percent']:.1f} %)")


if __name__ == "__main__":
    main()
