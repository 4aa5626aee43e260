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
from edgenas.device.benchmark_model import PLAIN, PROFILED, PROGRAM, command, is_whole, least_ms, read_profile, why_not_whole
from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.device.runtimes import PHONE, get_runtime
from edgenas.device.sustained import Sustained
from edgenas.device.targets import Examined
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import now, scratch
from edgenas.graph import tflite_output
from edgenas.progress import Track, quiet
from edgenas.values import Matches, Unfit, read

FOLDER = "/data/local/tmp"
SECONDS, RUNS = 0.02, 10
"""That a model runs for, at least, in each round, after as long to warm up."""

_Serial = Annotated[str, Matches(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", "one that `adb devices` lists")]
MODEL, AT_ONCE = "model.tflite", 64
"""The model whose outputs count, and how many images are on the phone at a time."""

# What an older program does not know, it passes over.
_RUN = """
cd {folder} && rm -f outputs && i=0
while test $i -lt {count}; do
  {runs} >said 2>&1 || {{ cat said; exit 1; }}
  test -s $i.out || {{ echo "it keeps no outputs: take a newer benchmark_model"; exit 1; }}
  cat $i.out >>outputs && rm $i.in $i.out || exit 1
  i=$((i + 1))
done
"""

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
        self._push(dict(zip(files, models.values(), strict=True)))
        shuffler, times = random.Random(0), {name: list[float]() for name in names}
        for _ in (track or self.track)(range(rounds), f"rounds on the phone, {execution.runtime}", rounds):
            order = list(range(len(names)))
            shuffler.shuffle(order)
            for number in order:
                said = self._benchmark(files[number], execution)
                times[names[number]].append(least_ms(said))
                # The empty model, of one operator on one value, may be left to the CPU: it is not worth a delegate's while.
                if names[number].strip() != "empty":
                    self._require_whole(files[number], execution, said)
        return times

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        """Each image by a process of its own: the program takes one, and keeps what it gives for it."""
        self._push({MODEL: model})
        return self._outputs(model, images, execution)

    def _outputs(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        """Of a model that is there."""
        like = tflite_output(model)
        options = f"--input_layer=image --input_layer_shape={','.join(map(str, images[:1].shape))}"
        runs = command(MODEL, execution, "--warmup_runs=0 --warmup_min_secs=0 --num_runs=1 --min_secs=0", options,
                       "--input_layer_value_files=image:$i.in --output_filepath=$i.out")  # fmt: skip
        outputs = []
        for first in self.track(range(0, len(images), AT_ONCE), "images on the phone", -(-len(images) // AT_ONCE)):
            some = images[first : first + AT_ONCE]
            self._push({f"{i}.in": image.tobytes() for i, image in enumerate(some)})
            self._shell(_RUN.format(folder=self.folder, count=len(some), runs=runs))
            outputs.append(self._pull("outputs", like.dtype).reshape(len(some), *like.shape[1:]))
        return np.concatenate(outputs)

    def examine(self, model: bytes, images: np.ndarray, empty: bytes, execution: Execution) -> Examined:
        """What `run` does, and a profile of the model. It is not told what memory it takes.

        Raises EdgeNASError as `time` does.
        """
        self._push({MODEL: model})
        said = self._benchmark(MODEL, execution, PROFILED)
        self._require_whole(MODEL, execution, said)
        return Examined(self._outputs(model, images, execution), self.environment(execution.runtime), None, read_profile(said))

    def sustain(self, model: bytes, execution: Execution, seconds: float, track: Track = quiet) -> Sustained:
        raise EdgeNASError(f"{PROGRAM} does not tell how times change while a phone gets warm: leave out `sustained`.")

    def _benchmark(self, file: str, execution: Execution, *options: str) -> str:
        long = f"--warmup_runs=2 --warmup_min_secs={SECONDS} --num_runs={RUNS} --min_secs={SECONDS}"
        said = self._shell(f"cd {self.folder} && {command(file, execution, long, *options)} 2>&1")
        least_ms(said)  # older phones do not tell that a command failed
        return said

    def _require_whole(self, file: str, execution: Execution, said: str) -> None:
        if not is_whole(said, execution):
            raise EdgeNASError(why_not_whole(said, self._benchmark(file, execution, PROFILED, PLAIN)))

    def _push(self, files: Mapping[str, bytes]) -> None:
        with scratch("phone") as folder:
            for file, content in files.items():
                (folder / file).write_bytes(content)
            adb("push", *(str(folder / file) for file in files), f"{self.folder}/", serial=self.serial, patience_s=None)

    def _pull(self, file: str, dtype: np.dtype) -> np.ndarray:
        with scratch("phone") as folder:
            adb("pull", f"{self.folder}/{file}", str(folder / file), serial=self.serial, patience_s=None)
            return np.frombuffer((folder / file).read_bytes(), dtype)

    def _shell(self, script: str) -> str:
        return adb("shell", script, serial=self.serial, patience_s=None)


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
        adb("push", str(binary), f"{folder}/{PROGRAM}", serial=serial, patience_s=None)
        adb("shell", f"chmod 755 {folder}/{PROGRAM}", serial=serial)
        build = hashlib.sha256(binary.read_bytes()).hexdigest()[:8]
        yield PhoneTarget(serial, folder, f"{PROGRAM} {build}", track)
    finally:
        adb("shell", f"rm -rf {shlex.quote(folder)}", serial=serial)
