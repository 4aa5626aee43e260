"""A search in int8 against a search in float32 whose winners are quantised afterwards, at equal int8 latency.

    edgenas profile --device cpu --precision int8 --run runs/photos
    python tools/benchmark_int8_search.py runs/photos --latency 0.5 1.0 --evaluations 40 --out runs/benchmark-int8

Both begin with what the run knows of its subnets in float32, make as many new evaluations, and keep the same budgets by the
int8 table; they differ in whose accuracy they maximise. Winners are compared as int8 networks on test images, without
fine-tuning. No subnet is evaluated twice, by whichever search: interrupted, the next call goes on.

    edgenas profile --device cpu --run runs/photos
    python tools/benchmark_int8_search.py runs/photos --latency 1.0 2.0 --by fp32

There the budgets are those of float32 files: the search in float32 keeps them by the float32 table, as without any thought of
int8, and the search in int8 has as its budgets what those winners take in int8.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from edgenas.bars import track
from edgenas.device import load_device
from edgenas.latency import LatencyTable, load_table
from edgenas.metric import ACCURACY, Answers
from edgenas.pipeline.evaluations import run_ledger
from edgenas.run import Run
from edgenas.search import Ledger, SearchResult, search
from edgenas.search.ledger import weights_key
from edgenas.space import Architecture
from edgenas.training import Evaluator, load_images, load_supernet

PRECISIONS = ("fp32", "int8")
TEST = "test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--latency", type=float, nargs="+", required=True, help="budgets, in ms")
    parser.add_argument("--by", choices=PRECISIONS, default="int8", help="of whose files the budgets are")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--confidence", type=float, default=0.0, help="0: budgets hold for the prediction")
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-int8"))
    options = parser.parse_args()
    run, profile = Run.open(options.run), load_device(options.device)
    tables = {name: load_table(profile, run.space, profile.execution(precision=name)) for name in {"int8", options.by}}
    evaluator = Evaluator(load_supernet(run), load_images(run, None, track))
    options.out.mkdir(parents=True, exist_ok=True)
    evaluated = Evaluated(run, evaluator, options.out)
    rows = []
    for seed in range(options.seeds):
        own_ms = options.latency
        for maximised in PRECISIONS:
            table = tables["int8" if maximised == "int8" else options.by]
            found = searched(run, evaluated, table, own_ms, options, maximised, seed)
            int8_ms = [tables["int8"].predict_one(run.space, result.best.architecture) for result in found]
            for budget, result, taken_ms in zip(options.latency, found, int8_ms, strict=True):
                about = {"maximised": maximised, "seed": seed, "budget_ms": budget, "int8_ms": round(taken_ms, 4)}
                rows.append(about | row_of(evaluated, result))
                print(rows[-1], flush=True)
            if options.by == "fp32":
                own_ms = [taken_ms * (1 + 1e-9) for taken_ms in int8_ms]
        with (options.out / "winners.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


class Evaluated:
    """Every subnet's answers, each computed once: to the validation images in both precisions, to the test images in int8."""

    def __init__(self, run: Run, evaluator: Evaluator, folder: Path):
        self.evaluator = evaluator
        storage = folder / "evaluations.log"
        self._ledgers = {name: Ledger(storage, weights_key(run.weights, name), run.space) for name in (*PRECISIONS, TEST)}

    def answers(self, architecture: Architecture, wanted: tuple[str, ...] = (*PRECISIONS, TEST)) -> dict[str, Answers]:
        missing = [name for name in wanted if architecture not in self._ledgers[name]]
        network = self.evaluator.network(architecture) if missing else None
        calibration = self.evaluator.calibration(network) if {"int8", TEST} & set(missing) else None
        for name in missing:
            split = self.evaluator.dataset.test if name == TEST else self.evaluator.dataset.validation
            found = self.evaluator.answers(network, split, calibration=None if name == "fp32" else calibration)
            self._ledgers[name].evaluate(architecture, lambda _, found=found: found)
        return {name: self._ledgers[name].answers(architecture) for name in wanted}


def searched(
    run: Run, evaluated: Evaluated, table: LatencyTable, budgets_ms: list[float], options: argparse.Namespace, maximised: str,
    seed: int,
) -> list[SearchResult]:  # fmt: skip
    """What a search finds that maximises the accuracy in one precision."""
    floats, integers = Ledger(None, "fp32", run.space), Ledger(None, "int8", run.space)
    floats.absorb(run_ledger(run))

    def in_floats(architecture: Architecture, *, share: float = 1.0) -> Answers:
        return evaluated.answers(architecture, ("fp32",))["fp32"]

    def in_integers(architecture: Architecture, *, share: float = 1.0) -> Answers:
        found = evaluated.answers(architecture)
        floats.evaluate(architecture, lambda _: found["fp32"])
        return found["int8"]

    ledger, evaluate, beside = (floats, in_floats, None) if maximised == "fp32" else (integers, in_integers, floats)
    return search(
        run.space, table, evaluate, ledger, budgets_ms, confidence=options.confidence, beside=beside,
        images=len(evaluated.evaluator.dataset.validation), evaluations=options.evaluations, seed=seed, track=track,
    )  # fmt: skip


def row_of(evaluated: Evaluated, result: SearchResult) -> dict:
    """A winner as an int8 network: on validation images and on test images, in percent with 95 % intervals."""
    best = result.best
    row = {"id": best.architecture.id, "evaluated": result.outcome.evaluated, "tau": round(result.predictor.tau, 3)}
    answers = evaluated.answers(best.architecture)
    shown = {"fp32_validation": answers["fp32"], "int8_validation": answers["int8"], "int8_test": answers[TEST]}
    for name, given in shown.items():
        score = ACCURACY.score(given.tally)
        row |= {name: round(100 * score.value, 2), f"{name}_low": round(100 * score.low, 2),
                f"{name}_high": round(100 * score.high, 2)}  # fmt: skip
    return row


if __name__ == "__main__":
    main()
