"""Measuring a device: every block of a space once, then whole networks that tell how blocks add up and how well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.errors import EdgeNASError
from edgenas.latency.bench import ROUNDS, STATISTIC, Bench, block_chains
from edgenas.latency.device import DeviceProfile
from edgenas.latency.microbenchmark import require_precision
from edgenas.latency.table import EMULATED, MEASURED, Calibration, Check, LatencyTable, block_features, spearman
from edgenas.latency.targets import LatencyTarget
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace

CALIBRATION_NETWORKS = 24
CHECK_NETWORKS = 30
CALIBRATION_SEED, CHECK_SEED = 101, 202


def profile(
    space: SearchSpace,
    device: DeviceProfile,
    target: LatencyTarget,
    path: Path,
    *,
    runtime: str,
    threads: int = 1,
    precision: str = "fp32",
    rounds: int = ROUNDS,
    seconds: float | None = None,
    fresh: bool = False,
    allow_emulated: bool = False,
    track: Track = quiet,
) -> LatencyTable:
    """Measure what the table at `path` does not hold yet, calibrate it for the space, check it, and return it.

    rounds: interleaved rounds per group of models. seconds: about how long timing may take, in place of `rounds`.
    fresh: forget what the table holds. allow_emulated: write down what an emulator takes, as such.

    The table is saved after every group, so an interrupted run goes on where it stopped. Raises EdgeNASError when the
    table comes from another machine or runtime version, and when the target is no such device or an emulated one.
    """
    require_precision(runtime, precision)
    provenance = target.environment(runtime) | {"threads": threads, "statistic": STATISTIC}
    device.require_arch(provenance["machine"])
    if provenance["emulated"] and not allow_emulated:
        raise EdgeNASError(f"This {device.name} is emulated: its times say nothing about a real one. "
                           "For a trial, which is marked as such, add --allow-emulated.")  # fmt: skip
    table = _open_table(device.name, Path(path), (runtime, threads, precision), provenance, fresh)
    missing = table.missing(space)
    if table.covers(space):
        return table
    networks = planned_networks(space)
    models = len(missing) + sum(map(len, networks))
    bench = Bench(target, runtime, threads, rounds, precision, seconds, models, table.reference_ms)

    # An entry that is new may change what the sum of the others was fitted to.
    table.calibrations.pop(space.fingerprint, None)
    blocks = block_chains(missing)
    for group in bench.measure_blocks(track(blocks, f"timing blocks on {device.name}", len(blocks))):
        table.reference_ms = bench.reference_ms
        # Alone, every block carries the time of a session that does nothing.
        alone = {key: replace(e, latency_ms=max(0.0, e.latency_ms - bench.empty_ms)) for key, e in group.items()}
        table.entries |= alone
        table.save(path)

    measured_ms = bench.network_ms(space, np.concatenate(networks), track, f"timing whole networks on {device.name}")
    fitted = len(networks[0])
    table.calibrations[space.fingerprint] = calibrate(table, space, networks[0], measured_ms[:fitted])
    checked = check(table.predict(space, networks[1]), measured_ms[fitted:])
    table.calibrations[space.fingerprint] = replace(
        table.calibrations[space.fingerprint], check=checked, relative_interval=checked.error_quantile
    )
    table.save(path)
    return table


def planned_networks(space: SearchSpace) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of genomes: the networks that the calibration is fitted to, and those that check it. Always the same."""
    return _calibration_genomes(space), space.sample(np.random.default_rng(CHECK_SEED), CHECK_NETWORKS)


def calibrate(table: LatencyTable, space: SearchSpace, genomes: np.ndarray, measured_ms: np.ndarray) -> Calibration:
    """Fit overhead, scale and cost of weights to measured networks: `(n, d)` genomes and `(n,)` ms.

    Least squares of relative errors. Of 130 networks on x86-64 (ONNX Runtime, 20-28 px), one scale alone left a mean error
    of 4.4 % (worst 14 %), overhead and scale 4.5 %, all three 1.4 % (worst 6 %): isolation flatters blocks with many weights.
    """
    latency_ms, parameters = block_features(table.entries, space)
    sums = space.gather(latency_ms, genomes), space.gather(parameters, genomes)
    columns = np.stack([np.ones(len(genomes)), *sums], axis=1)
    # Where weights seem to cost less than nothing, that is noise: the fit goes without them.
    for kept in ([0, 1, 2], [0, 1], [1]):
        solution = np.linalg.lstsq(columns[:, kept] / measured_ms[:, None], np.ones(len(genomes)), rcond=None)[0]
        coefficients = np.zeros(3)
        coefficients[kept] = solution
        if coefficients[1] > 0 and coefficients[2] >= 0:
            break
    error = np.abs(columns @ coefficients / measured_ms - 1)
    overhead, scale, weights = map(float, coefficients)
    return Calibration(overhead, scale, weights, _conformal(error), len(genomes))


def check(predicted_ms: np.ndarray, measured_ms: np.ndarray) -> Check:
    """Compare `(n,)` predictions with `(n,)` measurements, both in ms."""
    error = np.abs(predicted_ms / measured_ms - 1)
    return Check(len(error), float(error.mean()), float(error.max()), _conformal(error), spearman(predicted_ms, measured_ms))


def _conformal(errors: np.ndarray, confidence: float = 0.9) -> float:
    """The split-conformal quantile: the k-th least of n errors, k = ceil((n + 1) * confidence)."""
    k = int(np.ceil((len(errors) + 1) * confidence))
    return float(np.sort(errors)[min(k, len(errors)) - 1])


def _calibration_genomes(space: SearchSpace) -> np.ndarray:
    """`(n, d)`: random networks, and at every resolution the smallest and largest, so that the fit never extrapolates."""
    ends = [space.encode(space.architecture(r, pick, pick)) for r in _spread(space.resolutions, 3) for pick in (min, max)]
    sampled = space.sample(np.random.default_rng(CALIBRATION_SEED), CALIBRATION_NETWORKS - len(ends))
    return np.concatenate([np.stack(ends), sampled])


def _spread(values: tuple[int, ...], n: int) -> list[int]:
    """At most `n` of the values, evenly spread, first and last among them."""
    return [values[i] for i in sorted({int(i) for i in np.linspace(0, len(values) - 1, n)})]


def _open_table(
    device: str, path: Path, key: tuple[str, int, str], provenance: dict[str, Any], fresh: bool
) -> LatencyTable:  # fmt: skip
    """The table at `path`, or a new one. Raises EdgeNASError when what is measured now would not fit in it.

    key: runtime, threads, precision.
    """
    kind = EMULATED if provenance["emulated"] else MEASURED
    if fresh or not path.exists():
        return LatencyTable(device, *key, kind=kind, provenance=provenance)
    table = LatencyTable.load(path)
    runtime = key[0]
    if (table.runtime, table.threads, table.precision, table.kind) != (*key, kind):
        raise EdgeNASError(f"{path} holds {table.kind} {table.precision} latencies of {table.runtime} with {table.threads} "
                           "thread(s): choose another file, or measure everything again with --fresh.")  # fmt: skip
    for name, words in (("fingerprint", "another machine"), ("runtime_version", f"another version of {runtime}")):
        if table.provenance.get(name) != provenance[name]:
            raise EdgeNASError(f"{path} was measured on {words} ({table.provenance.get(name)}, now {provenance[name]}): "
                               "measure everything again with --fresh, or name this device differently.")  # fmt: skip
    return table
