"""The default search against NSGA-II and random on a trained run: hypervolume by true evaluations, and measured latencies.

    edgenas profile --device cpu --run runs/photos
    python tools/benchmark_search_supernet.py runs/photos --out runs/benchmark-supernet

Every strategy is told its own evaluations alone, but all are made through one ledger, so that no subnet is evaluated twice.
Hypervolume is relative to the front of everything that any of them evaluated, so it is final after the last seed; the CSV files
are written after every one. The winners are timed in a process of their own; exit status 1 says that one broke its budget.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from benchmark_search import plot, summary, write_csv

from edgenas.bars import track
from edgenas.device import load_device, python_target
from edgenas.latency import Bench, LatencyTable, load_table
from edgenas.pipeline.quickstart import three_budgets
from edgenas.run import Run
from edgenas.search import Additive, Bayesian, Ledger, SearchProblem, get_strategy, hypervolume, run_strategy
from edgenas.search.ledger import weights_key
from edgenas.search.search import latency_constraint
from edgenas.space import SearchSpace
from edgenas.training import Evaluator, load_images, load_supernet

CHECKPOINTS = (10, 15, 20, 25, 30, 40, 50, 60, 75, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-supernet"))
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="+", default=["bayesian", "nsga2", "random"])
    options = parser.parse_args()
    run = Run.open(options.run)
    space, table = run.space, load_table(load_device(options.device), run.space)
    evaluator = Evaluator(load_supernet(run), load_images(run, None, track))
    budgets = three_budgets(space, table)
    limit = latency_constraint(space, table, budgets[-1])
    latency = limit.measure
    problem = SearchProblem(space, (lambda g: np.zeros(len(g)), latency), (limit,), budgets)
    shared = Ledger(options.out / "evaluations.log", weights_key(run.weights), space)

    made, broken = [], 0
    for seed in range(options.seeds):
        for name in options.strategies:
            strategy = Bayesian(tolerance=-1.0) if name == "bayesian" else get_strategy(name)
            ledger = Ledger(None, "own", space)
            outcome = run_strategy(
                problem, strategy, lambda a: shared.evaluate(a, evaluator.accuracy), ledger,
                evaluations=options.evaluations, seed=seed, track=track,
            )  # fmt: skip
            made.append((name, seed, *ledger.arrays(), outcome))
            print(f"{name}, seed {seed}: {outcome.evaluated} evaluations, {len(shared)} of all strategies; own CPU "
                  f"{outcome.own_cpu_s:.2f} s, evaluations' {outcome.evaluation_cpu_s:.1f} s", flush=True)  # fmt: skip
        rows = hypervolume_rows(made, latency, budgets[-1])
        write_csv(options.out / "hypervolume.csv", rows)
        plot(options.out / "hypervolume.png", rows)
        print(*summary(rows, "strategy"), sep="\n", flush=True)
        rows = winner_rows(made, latency, budgets, table, space)
        write_csv(options.out / "winners.csv", rows)
        broken = sum(row["measured_ms"] > row["budget_ms"] for row in rows)
        slack = np.array([row["measured_ms"] / row["budget_ms"] for row in rows])
        print(
            f"{broken} of {len(rows)} budgets broken: measured latency is {slack.min():.2f} to {slack.max():.2f} of it.",
            flush=True,
        )
    raise SystemExit(1 if broken else 0)


def hypervolume_rows(made: list[tuple], latency: Additive, highest_ms: float) -> list[dict]:
    """In percent of that of everything evaluated, after so many evaluations."""
    genomes, accuracy = (np.concatenate([search[column] for search in made]) for column in (2, 3))
    low = accuracy.min()
    whole, rows = hypervolume(accuracy, latency(genomes), low, highest_ms), []
    for name, seed, genomes, accuracy, outcome in made:
        row = {"strategy": name, "seed": seed, "own_cpu_s": outcome.own_cpu_s, "evaluations_cpu_s": outcome.evaluation_cpu_s}
        for n in [n for n in CHECKPOINTS if n <= len(genomes)]:
            row[f"at_{n}"] = 100 * hypervolume(accuracy[:n], latency(genomes[:n]), low, highest_ms) / whole
        rows.append(row)
    return rows


def winner_rows(
    made: list[tuple], latency: Additive, budgets: tuple[float, ...], table: LatencyTable, space: SearchSpace
) -> list[dict]:
    """The most accurate subnet of each search within each budget, predicted and timed."""
    winners = _winners(made, latency, budgets)
    bench = Bench(python_target(), table.execution, reference_ms=table.reference_ms)
    distinct, place = np.unique([genome for *_, genome in winners], axis=0, return_inverse=True)
    measured_ms = bench.network_ms(space, distinct, track)[place]
    return [
        {"strategy": name, "seed": seed, "budget_ms": budget, "architecture": str(space.decode(genome)),
         "validation_accuracy": best, "predicted_ms": table.predict_one(space, space.decode(genome)), "measured_ms": ms}
        for (name, seed, budget, best, genome), ms in zip(winners, measured_ms, strict=True)
    ]  # fmt: skip


def _winners(made: list[tuple], latency: Additive, budgets: tuple[float, ...]) -> list[tuple]:
    """For each search and budget: strategy, seed, budget in ms, accuracy and genome of the most accurate within it."""
    winners = []
    for name, seed, genomes, accuracy, _ in made:
        for budget in budgets:
            within = np.flatnonzero(latency(genomes) <= budget)
            if len(within):
                best = within[accuracy[within].argmax()]
                winners.append((name, seed, budget, float(accuracy[best]), genomes[best]))
    return winners


if __name__ == "__main__":
    main()
