"""`Bench`: latencies that can be compared although the machine is not always equally fast."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from edgenas.device import Execution, device_timer
from edgenas.device.targets import LatencyTarget
from edgenas.errors import EdgeNASError
from edgenas.latency.microbenchmark import REFERENCE, empty_model_bytes, model_bytes
from edgenas.latency.table import Entry
from edgenas.progress import Track, quiet
from edgenas.space import BlockSpec, SearchSpace
from edgenas.values import Length, Unfit, read
from edgenas.values.kinds import Elapsed

ROUNDS = 12
LEAST_ROUNDS, MOST_ROUNDS = 2, 50
"""What a time budget may make of it: one round has no spread, and beyond fifty the quartile stands still."""

GROUP_MODELS = 64
GROUP_BYTES = 64 * 2**20
"""What is open at once. A runtime holds a model's weights up to three times."""

QUIET = 0.25
"""The quantile of the rounds that counts. Other programs only ever slow a machine down, so the median moved with them: of 120
networks timed again in other processes it differed by 0.5 to 3.3 % (standard deviation), this by 0.5 to 1.8 %. The minimum
would believe the clock, which at times jumps."""

STATISTIC = "lower quartile over rounds of the round's minimum, relative to a reference network's in the same rounds"

DISTURBED, MOST_RETRIES = 1.05, 4
"""How much slower than known the machine may be before a group is timed again, and how often that may happen in all: a machine
that is still slower after that will not get faster by waiting. On a quiet one the reference repeats within 0.3 %."""

_EMPTY, _REFERENCE = " empty", device_timer.REFERENCE


def block_chains(blocks: Iterable[BlockSpec]) -> list[tuple[str, tuple[BlockSpec, ...]]]:
    """Single blocks, named by their keys."""
    return [(spec.key, (spec,)) for spec in blocks]


def network_chains(space: SearchSpace, genomes: np.ndarray) -> list[tuple[str, tuple[BlockSpec, ...]]]:
    """The blocks of whole networks, `(n, d)` genomes; the names tell them apart, and one space's from another's."""
    architectures = [space.decode(genome) for genome in genomes]
    return [(f"{i}:{architecture.id}", space.blocks(architecture)) for i, architecture in enumerate(architectures)]


@dataclass
class Bench:
    """Times models on a target in groups that fit in memory, all on one scale.

    Every group also holds an empty model and a small reference network. Machines slow down and recover, within seconds and
    for minutes, by half and more; so a model's time in the quiet rounds is taken relative to the reference's.

    execution: of the blocks and networks, and of the reference: what slows int8 down need not slow fp32 down.
    rounds: how many; seconds: about how long all may take, in place of `rounds`, given `models_left` beforehand.
    reference_ms: what the reference takes at the speed that latencies are stated for; None: at that of the first group.
    empty_ms, slowdown: of the last group: a session that does nothing, and how much slower than `reference_ms` it was.
    """

    target: LatencyTarget
    execution: Execution
    rounds: int = ROUNDS
    seconds: float | None = None
    models_left: int = 0
    reference_ms: float | None = None
    empty_ms: float = field(default=0.0, init=False)
    slowdown: float = field(default=1.0, init=False)
    _visit_s: float = field(default=0.006, init=False)
    _retries: int = field(default=MOST_RETRIES, init=False)

    def measure(self, models: Mapping[str, bytes]) -> dict[str, Entry]:
        """One group of model files, all open at once: milliseconds of one inference, whole."""
        timed = self._time(models)
        while self._retries and (self.seconds is None or self.seconds > 0) and self._slowness(timed) > DISTURBED:
            # A network is slowed down by another factor than the reference, so a common one helps little.
            self._retries -= 1
            timed = min(timed, self._time(models), key=self._slowness)
        self.models_left -= len(models)

        quiet_ms = {name: _quiet(values) for name, values in timed.items()}
        self.reference_ms = self.reference_ms or quiet_ms[_REFERENCE]
        self.slowdown = quiet_ms[_REFERENCE] / self.reference_ms
        self.empty_ms = quiet_ms[_EMPTY] / self.slowdown
        return {
            name: Entry(quiet_ms[name] / self.slowdown, float(np.std(timed[name])) / self.slowdown, len(timed[name]))
            for name in models
        }

    def _time(self, models: Mapping[str, bytes]) -> dict[str, list[float]]:
        rounds, start = self._affordable_rounds(), time.monotonic()
        anchored = self._anchored(models)
        timed = believed(self.target.time(anchored, self.execution, rounds=rounds), anchored, rounds)
        taken_s = time.monotonic() - start
        self._visit_s = taken_s / rounds / len(timed)
        if self.seconds is not None:
            self.seconds -= taken_s
        return timed

    def _slowness(self, timed: Mapping[str, list[float]]) -> float:
        return _quiet(timed[_REFERENCE]) / (self.reference_ms or _quiet(timed[_REFERENCE]))

    def measure_blocks(self, named: Iterable[tuple[str, tuple[BlockSpec, ...]]]) -> Iterator[dict[str, Entry]]:
        """Named chains of blocks, group by group."""
        for group in self._groups(named):
            yield self.measure(group)

    def groups(self, named: Iterable[tuple[str, tuple[BlockSpec, ...]]]) -> Iterator[dict[str, bytes]]:
        """What `measure_blocks` hands to the target, group by group."""
        return map(self._anchored, self._groups(named))

    def network_ms(
        self,
        space: SearchSpace,
        genomes: np.ndarray,
        track: Track = quiet,
        description: str = "timing whole networks",
    ) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` milliseconds of whole networks."""
        named = network_chains(space, genomes)
        groups = self.measure_blocks(track(named, description, len(named)))
        return np.array([entry.latency_ms for group in groups for entry in group.values()])

    def _groups(self, named: Iterable[tuple[str, tuple[BlockSpec, ...]]]) -> Iterator[dict[str, bytes]]:
        group: dict[str, bytes] = {}
        for name, blocks in named:
            model = model_bytes(blocks, self.execution.runtime, self.execution.precision)
            if group and (len(group) == GROUP_MODELS or sum(map(len, group.values())) + len(model) > GROUP_BYTES):
                yield group
                group = {}
            group[name] = model
        if group:
            yield group

    def _anchored(self, models: Mapping[str, bytes]) -> dict[str, bytes]:
        runtime, precision = self.execution.runtime, self.execution.precision
        return {**models, _EMPTY: empty_model_bytes(runtime), _REFERENCE: model_bytes(REFERENCE, runtime, precision)}

    def _affordable_rounds(self) -> int:
        """`rounds`, or as many as the seconds left allow for the models left, judged by the last group."""
        if self.seconds is None:
            return self.rounds
        affordable = int(self.seconds / (max(self.models_left, 1) * self._visit_s))
        return min(max(affordable, LEAST_ROUNDS), MOST_ROUNDS)


def believed(timed: Mapping[str, Sequence[float]], models: Iterable[str], rounds: int) -> dict[str, list[float]]:
    """The times of a target, whatever it is: of all models that it was asked for and of no other, of every round, each a time.

    Raises EdgeNASError.
    """
    try:
        if set(timed) != set(models):
            raise Unfit(f"it timed {len(timed)} models instead of those that it was asked for.")
        read_ms = {name: read(Annotated[list[Elapsed], Length(rounds, rounds, "times")], ms, name.strip())
                   for name, ms in timed.items()}  # fmt: skip
        for name in read_ms.keys() - {_EMPTY}:
            if _quiet(read_ms[name]) <= 0:
                raise Unfit(f"{name.strip()} took no time.")
        return read_ms
    except Unfit as refusal:
        raise EdgeNASError(f"What the device answered cannot be its latencies: {refusal} Measure again.") from None


def _quiet(times_ms: Sequence[float]) -> float:
    return float(np.quantile(times_ms, QUIET))
