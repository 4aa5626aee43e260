"""Exact search against brute force on random problems: python tools/check_exact.py --problems 100000

Tiny plain spaces, random sums (half of them of small integers, so that ties occur), one to three random limits, many of them
too tight. Ends with exit status 1 at the first answer that differs or takes more than MOST_SECONDS.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from edgenas.errors import InfeasibleError
from edgenas.search import Additive, Categorical, Constraint, Exact, SearchProblem, pareto_front

MOST_SECONDS = 2.0
"""Of CPU time that a problem of at most 1,024 architectures may take."""


def random_sum(rng: np.random.Generator, sizes: np.ndarray, whole: bool) -> Additive:
    terms = (
        rng.integers(-2, 6, (len(sizes), sizes.max())).astype(float) if whole else rng.normal(size=(len(sizes), sizes.max()))
    )
    return Additive(lambda genomes: terms[np.arange(len(sizes)), genomes].sum(axis=1))


def check(seed: int) -> bool:
    """One random problem. Returns whether it has a solution; raises AssertionError where the answer differs."""
    rng = np.random.default_rng(seed)
    space, whole = Categorical(rng.integers(1, 5, rng.integers(1, 6))), bool(rng.integers(2))
    sizes = space.gene_sizes
    genomes = np.stack(np.unravel_index(np.arange(sizes.prod()), sizes), axis=1)
    sums = [random_sum(rng, sizes, whole) for _ in range(1 + rng.integers(1, 4))]
    score, measures = sums[0], sums[1:]
    values = [measure(genomes) for measure in measures]
    limits = [float(np.quantile(value, rng.random()) - (rng.random() < 0.1) * 3) for value in values]
    constraints = tuple(Constraint(f"sum {i}", m, limit) for i, (m, limit) in enumerate(zip(measures, limits, strict=True)))
    within, closest = np.ones(len(genomes), dtype=bool), None
    for value, limit in zip(values, limits, strict=True):
        if closest is None and value[within].min() > limit:
            closest = value[within].min()
        within &= value <= limit
    try:
        found = Exact(steps=4).search(SearchProblem(space, (score, measures[0]), constraints))
    except InfeasibleError as error:
        assert closest is not None, "called infeasible, but is not"
        assert np.isclose(error.closest, closest), f"closest is {closest}, not {error.closest}"
        return False
    assert closest is None, "called feasible, but is not"
    scores, costs = score(genomes)[within], values[0][within]
    assert found.optimal, "not proved"
    assert np.isclose(found.accuracy[-1], scores.max()), f"best is {scores.max()}, not {found.accuracy[-1]}"
    front = pareto_front(scores, costs)
    if len(measures) == 1:
        assert len(front) == len(found), f"front of {len(front)}, not {len(found)}"
        assert np.allclose(found.accuracy, scores[front]), "another front"
    assert np.isclose(found.cost[0], costs.min()), "another least cost"
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    options = parser.parse_args()
    feasible, slowest, slowest_seed = 0, 0.0, options.first
    for seed in range(options.first, options.first + options.problems):
        start = time.process_time()
        try:
            feasible += check(seed)
        except AssertionError as error:
            raise SystemExit(f"Problem {seed}: {error}.") from None
        seconds = time.process_time() - start
        if seconds > MOST_SECONDS:
            raise SystemExit(f"Problem {seed}: took {seconds:.2f} CPU-s.")
        if seconds > slowest:
            slowest, slowest_seed = seconds, seed
        if (seed + 1 - options.first) % 10_000 == 0:
            print(f"{seed + 1 - options.first} problems as by brute force.", flush=True)
    print(
        f"{options.problems} problems, {feasible} with a solution: all as by brute force. "
        f"The slowest, {slowest_seed}, took {slowest:.3f} CPU-s."
    )


if __name__ == "__main__":
    main()
