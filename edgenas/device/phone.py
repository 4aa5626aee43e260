"""An Android phone that times TFLite files itself, by LiteRT's own program, `benchmark_model`, which whoever measures brings.

Google builds it for Android at https://ai.google.dev/edge/litert/models/measurement. It is copied into a folder of the phone's
that any program may run from, with the models; afterwards nothing is left there.
"""

from __future__ import annotations

import hashlib
import random
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from edgenas.device.adb import adb
from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.device.runtimes import PHONE, get_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import now, scratch
from edgenas.progress import Track, quiet
from edgenas.values import Matches, Unfit, cores_of, read

FOLDER = "/data/local/tmp"
SECONDS, RUNS = 0.02, 10
"""That a model runs for, at least, in each round, after as long to warm up."""

_Serial = Annotated[str, Matches(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", "one that `adb devices` lists")]
_DELEGATES = {
    "litert": "--use_xnnpack=true",
    "litert-gpu": "--use_gpu=true --gpu_precision_loss_allowed={half}",
    "litert-nnapi": "--use_nnapi=true --nnapi_allow_fp16={half}",
}
"""By runtime: the options with which the program applies it; half: whether it may compute in float16."""
_WHOLE = "will be completely executed by the delegate"

_ABOUT = """
for name in ro.product.manufacturer ro.product.model ro.soc.model ro.build.version.release ro.product.cpu.abi; do
  echo "$name=$(getprop $name)"
done
echo "machine=$(uname -m)"
echo "cores=$(grep -c ^processor /proc/cpuinfo)"
echo "temperature=$(cat /sys/class/thermal/thermal_zone0/temp 2>/dev/null)"
echo "load=$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)"
echo "governor=$(cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor 2>/dev/null | sort -u | tr '\\n' ',')"
"""


@dataclass(frozen=True)
class PhoneTarget:
    """serial: of the phone, where there are several. folder: there, with the program in it. program: names its build."""

    serial: str
    folder: str
    program: str
    track: Track = quiet

    def environment(self, runtime: str) -> Provenance:
        told = dict(line.split("=", 1) for line in self._shell(_ABOUT).splitlines() if "=" in line)
        phone = " ".join(told.get(f"ro.product.{part}", "") for part in ("manufacturer", "model")).strip()
        cpu = ", ".join(filter(None, [phone, told.get("ro.soc.model", "")])) or "unknown"
        cores, machine = _number(told.get("cores")), told.get("machine") or told.get("ro.product.cpu.abi")
        temperature, load = _number(told.get("temperature")), _number(told.get("load"))
        return Provenance(
            runtime=runtime,
            runtime_version=self.program,
            execution_providers=(get_runtime(runtime, PHONE).provider,),
            machine=machine,
            cpu=cpu,
            cores=None if cores is None else int(cores),
            fingerprint=hashlib.sha256(f"{cpu}|{cores}|{machine}".encode()).hexdigest()[:8],
            governor=told.get("governor", "").strip(",").replace(",", ", ") or None,
            temperature_c=None if temperature is None else temperature / 1000,
            load_average=load,
            clock="wall clock",
            date=now(),
            system=f"Android {told.get('ro.build.version.release', '')}".strip(),
        )

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track | None = None
    ) -> dict[str, list[float]]:
        """Each model's least of every round, in which all are visited, in an order shuffled anew, each by a process of its own.

        Raises EdgeNASError where the program fails, and where a delegate leaves operators to the CPU.
        """
        names, files = list(models), [f"{number}.tflite" for number in range(len(models))]
        with scratch("phone") as folder:
            for file, content in zip(files, models.values(), strict=True):
                (folder / file).write_bytes(content)
            adb("push", *(str(folder / file) for file in files), f"{self.folder}/", serial=self.serial, patience_s=None)
        shuffler, times = random.Random(0), {name: list[float]() for name in names}
        for _ in (track or self.track)(range(rounds), f"rounds on the phone, {execution.runtime}", rounds):
            order = list(range(len(names)))
            shuffler.shuffle(order)
            for number in order:
                said = self._shell(self._command(files[number], execution))
                times[names[number]].append(least_ms(said, _must_be_whole(execution, names[number])))
        return times

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        raise EdgeNASError("benchmark_model times models, and does not run them on images: verify here, in `runtime` litert.")

    def _command(self, file: str, execution: Execution) -> str:
        half = str(execution.precision == "fp16").lower()
        cores = "" if execution.cores is None else f"taskset {sum(1 << core for core in cores_of(execution.cores)):x} "
        return (
            f"cd {self.folder} && {cores}./benchmark_model --graph={file} --num_threads={execution.threads} "
            f"--warmup_runs=2 --warmup_min_secs={SECONDS} --num_runs={RUNS} --min_secs={SECONDS} "
            f"{_DELEGATES[execution.runtime].format(half=half)} 2>&1"
        )

    def _shell(self, script: str) -> str:
        return adb("shell", script, serial=self.serial, patience_s=None)


def least_ms(said: str, must_be_whole: bool) -> float:
    """The least that one inference took, by what the program printed. Raises EdgeNASError where it printed no such thing.

    must_be_whole: it was to apply a delegate to all operators.
    """
    least = re.findall(r"\bcount=\d+ .*\bmin=([\d.e+]+)", said)  # of the warm-up, then of what counts
    alone = re.findall(r"\bcount=1 curr=([\d.e+]+)", said)
    if not (least or alone) or "Inference timings in us" not in said:
        last = " ".join(said.strip().splitlines()[-1:])
        raise EdgeNASError(f"The phone's benchmark_model did not say how long a model took: {last[:300]}.")
    if must_be_whole and _WHOLE not in said:
        found = re.findall(r"(?:only be partially|not be) executed by the delegate[^\n]*", said)
        raise EdgeNASError(
            f"The delegate does not compute all of the model ({found[0] if found else 'it does not say that it does'}), and "
            "times of what the CPU computes as well would be called its own: choose `runtime` litert."
        )
    return float((least or alone)[-1]) / 1000


def _must_be_whole(execution: Execution, name: str) -> bool:
    """The empty model, of one operator on one value, a delegate may leave to the CPU: it is not worth its while."""
    return execution.runtime != "litert" and name.strip() != "empty"


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"-?\d+(\.\d+)?", text) else None


@contextmanager
def phone_target(way: str, runtime: str, binary: Path | None, track: Track = quiet) -> Iterator[PhoneTarget]:
    """The phone at `adb` or `adb:SERIAL` as a target, with the user's benchmark program on it while the block lasts.

    binary: the program. Raises UsageError without one, for another `way`, and for a runtime that it does not have, and
    EdgeNASError where there is no phone, or it cannot run the program.
    """
    get_runtime(runtime, PHONE)
    kind, _, serial = way.partition(":")
    if kind != "adb":
        raise UsageError(f"{way} is no way to reach a phone: write adb, or adb:SERIAL.")
    if serial:
        try:
            read(_Serial, serial, "a serial number")
        except Unfit as refusal:
            raise UsageError(str(refusal)) from None
    if binary is None:
        raise UsageError(
            "A phone is measured by LiteRT's own program: name it with `binary` benchmark_model. Google has it for Android at "
            "https://ai.google.dev/edge/litert/models/measurement"
        )
    if not binary.is_file():
        raise UsageError(f"There is no program {binary}.")
    folder = adb("shell", f"mktemp -d {FOLDER}/edgenas.XXXXXX", serial=serial).strip()
    if not re.fullmatch(rf"{FOLDER}/edgenas\.\w+", folder):
        raise EdgeNASError(f"The phone gave no folder, but {folder[:100]!r}.")
    try:
        adb("push", str(binary), f"{folder}/benchmark_model", serial=serial, patience_s=None)
        adb("shell", f"chmod 755 {folder}/benchmark_model", serial=serial)
        build = hashlib.sha256(binary.read_bytes()).hexdigest()[:8]
        yield PhoneTarget(serial, folder, f"benchmark_model {build}", track)
    finally:
        adb("shell", f"rm -rf {shlex.quote(folder)}", serial=serial)
