"""The one file that runs on a device: opens model files, times them, runs images through them.

It needs numpy and one runtime, and works from Python 3.8 on; nothing else of EdgeNAS is imported, so it can be copied
alone. In process its functions are called; on a device `python device_timer.py JOB_DIR` reads JOB_DIR/job.json

    {"runtime": {"name": "onnxruntime", "module": MODULE, "package": PACKAGE, "provider": PROVIDER,
                 "opener": OPENER, "clock": "cpu"},            what computes: see `open_session` and `clock_for`
     "threads": 1, "rounds": 8,
     "cores": [4, 5],                                          to keep to; optional
     "models": {NAME: FILE, ...},                              what to time
     "memory": {"empty": FILE, "model": FILE},                 what to measure the memory of; optional
     "run": [{"model": FILE, "inputs": NPY, "outputs": NPY}],  what to compute, image by image
     "sustain": {"model": FILE, "seconds": 300, "by": FILE}}   what to run without a pause, by `device_sustain`

with file names relative to JOB_DIR, and writes JOB_DIR/result.json: `{"environment": {...}, "times_ms": {NAME: [...]},
"memory_bytes": NUMBER or null}`, with what was sustained as `sustained`, or `{"error": "..."}`.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import importlib
import json
import math
import os
import platform
import random
import re
import runpy
import shutil
import subprocess
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version

# onnxruntime's Linux wheels send usage data and keep an identifier in the home folder unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np

# openvino sends them by this package when it is imported, and goes without where that cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

FILL_MS = 3.0
"""How long a model runs within a round. Many short visits outlive a busy spell better than one long visit."""

OPENINGS = 3
"""How often models are opened in the course of the rounds: where their memory happens to lie moves a time by half a percent."""

REFERENCE = " reference"
"""The name of the model that also runs between visits, to tell whether the machine is disturbed."""

REFERENCE_RUNS = 3
QUIET_REFERENCE, DISTURBED = 0.05, 1.2
"""The quantile of these runs that stands for a quiet machine, and the factor from which it is not. Quiet, they took up to
1.12 times as long, whatever model ran before; where models took longer, 1.3 times or more."""

MOST_VISITS = 3
"""How many times as many visits as planned there may be. A machine that is never quiet is timed as it is."""

WARM_UP_RUNS = 2
LEAST_RUNS = 5
INPUT_SEED = 0

CPU_TIME, WALL_TIME = "cpu", "wall"

IN_32_BIT = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
"""What a 32-bit program runs on, by what the kernel calls the machine."""

WITH_HOST = "--with-host"
"""After JOB_DIR: end when standard input does."""


class Session:
    """A model file, opened: what every opener returns."""

    def run(self, array):
        """The first output for an input of the model's own shape."""
        raise NotImplementedError

    def invoke(self):
        """Run once, on an input that stays where it is, until the output is there."""
        raise NotImplementedError


class OnnxRuntimeSession(Session):
    """A model file in ONNX Runtime with one execution provider and all graph optimisations, as deployment uses it.

    runtime: as in a job. model: a path or the file's bytes.
    """

    def __init__(self, runtime, model, threads=1):
        self._ort = ort = importlib.import_module(runtime["module"])
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would steal time from whatever else the device does, and from the next model in the round.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(model, options, providers=[runtime["provider"]])
        # ONNX Runtime falls back silently from a provider that it cannot load; the provenance must not claim it.
        if self._session.get_providers()[:1] != [runtime["provider"]]:
            raise RuntimeError(f"wanted {runtime['provider']}, but ONNX Runtime uses {self._session.get_providers()}")
        self._input = self._session.get_inputs()[0]
        self._bound = None

    def run(self, array):
        """The first output for an input of the model's own shape: `(batch, channels, height, width)` for images."""
        return self._session.run(None, {self._input.name: array})[0]

    def invoke(self):
        """Run once on a random input that stays where it is. A dynamic batch is 1."""
        if self._bound is None:
            shape = [size if isinstance(size, int) else 1 for size in self._input.shape]
            self._value = self._ort.OrtValue.ortvalue_from_numpy(_random_input(shape, _numpy_type(self._input.type)))
            self._bound = self._session.io_binding()
            self._bound.bind_ortvalue_input(self._input.name, self._value)
            self._bound.bind_output(self._session.get_outputs()[0].name)
        self._session.run_with_iobinding(self._bound)


class LiteSession(Session):
    """A TFLite model file in LiteRT or tflite-runtime, with the XNNPACK delegate that both apply by themselves.

    runtime: as in a job. model: a path or the file's bytes.
    """

    def __init__(self, runtime, model, threads=1):
        interpreter = importlib.import_module(runtime["module"]).Interpreter
        source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        self._interpreter = interpreter(num_threads=threads, **source)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._interpreter.set_tensor(self._input["index"], _random_input(self._input["shape"], self._input["dtype"]))

    def run(self, array):
        """The first output for an input of the model's own shape: `(batch, height, width, channels)` for images."""
        self._interpreter.set_tensor(self._input["index"], array)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)

    def invoke(self):
        """Run once on the input that is set: a random one at first."""
        self._interpreter.invoke()


OPENERS = {"onnxruntime": OnnxRuntimeSession, "tflite": LiteSession}


def open_session(runtime, model, threads=1, folder=""):
    """A `Session`. Raises ImportError where the runtime is not installed.

    Its opener is one of `OPENERS`, or a Python file in the folder with a function of the same arguments but the last.
    """
    if runtime["opener"] in OPENERS:
        return OPENERS[runtime["opener"]](runtime, model, threads)
    opener = runpy.run_path(os.path.join(folder, runtime["opener"]))
    return opener["open_session"](runtime, model, threads)


def _random_input(shape, dtype):
    values = np.random.default_rng(INPUT_SEED).standard_normal([int(size) for size in shape])
    if np.issubdtype(dtype, np.integer):
        values = np.clip(values * 32, np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)


def _numpy_type(onnx_type):
    names = {"float": np.float32, "float16": np.float16, "uint8": np.uint8, "int8": np.int8}
    return names[onnx_type[len("tensor(") : -1]]


# ---- timing ----


def clock_for(runtime, threads):
    """The clock, in ns, that is honest for a runtime.

    Where one thread does all the work it is the thread's own CPU time, which does not run while another process has the core.
    Several threads, a GPU or an NPU compute while this thread waits: what that takes only the wall clock sees.
    """
    return time.thread_time_ns if runtime["clock"] == CPU_TIME and threads == 1 else time.perf_counter_ns


def time_models(open_all, rounds, clock, seed=0):
    """Latencies that can be compared: `{name: [ms, ...]}`, the least of each round.

    open_all: opens all models, name -> session; called for every part of the rounds. All are visited once a round, in an
        order shuffled anew, so a slow spell of the machine hits all alike and no model always follows the same neighbour.

    clock: see `clock_for`. What shares the core's arithmetic units, such as another hyperthread, shows on every clock: where a
    model is called `REFERENCE`, visits in such company are repeated, see `Watch`.
    """
    shuffler, parts, watch = random.Random(seed), min(OPENINGS, rounds), Watch(clock)
    times: dict[str, list[float]] = {}
    for part in range(parts):
        timed = _timed_rounds(open_all(), rounds // parts + (part < rounds % parts), clock, shuffler, watch)
        for name, values in timed.items():
            times.setdefault(name, []).extend(values)
    return times


def _timed_rounds(sessions, rounds, clock, shuffler, watch):
    """`{name: [ms, ...]}`, round by round; disturbed visits again, until they are not, or enough is enough."""
    visits = []
    for number in range(rounds):
        order = list(sessions)
        shuffler.shuffle(order)
        visits += [(name, number) for name in order]
    reference = sessions.get(REFERENCE)
    times, watched, spare, ahead = {}, {}, MOST_VISITS * len(visits), visits
    while ahead:
        after = watch.look(reference)
        for visit in ahead:
            before, times[visit] = after, _least_ns(sessions[visit[0]].invoke, clock) / 1e6
            after = watch.look(reference)
            # A visit that was quiet at either end was so for long enough: its least counts.
            watched[visit] = min(before, after)
        spare -= len(ahead)
        quiet = watch.quiet()
        ahead = [visit for visit in visits if watched[visit] > quiet][: max(spare, 0)]
    return {name: [times[name, number] for number in range(rounds)] for name in sessions}


class Watch:
    """Tells by the reference model whether something disturbs this core.

    On a shared machine the other hyperthread of the core, or another guest's, is idle at one moment and busy at the next. A
    network then takes 10 to 110 % longer: int8 more than fp32, few weights more than many, so no common factor mends it.
    """

    def __init__(self, clock):
        self._clock, self._seen = clock, []

    def look(self, reference):
        """What it takes now, in ns; always the same where there is no reference."""
        if reference is None:
            return 0
        self._seen.append(_least_of(REFERENCE_RUNS, reference.invoke, self._clock))
        return self._seen[-1]

    def quiet(self):
        """The most, in ns, that it may take on a quiet machine, judged by all that was seen so far."""
        return DISTURBED * np.quantile(self._seen, QUIET_REFERENCE) if self._seen else 0


def _least_of(runs, invoke, clock):
    least = None
    for _ in range(runs):
        start = clock()
        invoke()
        taken = clock() - start
        least = taken if least is None else min(least, taken)
    return least


def _least_ns(invoke, clock):
    for _ in range(WARM_UP_RUNS):
        invoke()
    end = time.perf_counter_ns() + int(FILL_MS * 1e6)
    least = _least_of(LEAST_RUNS, invoke, clock)
    while time.perf_counter_ns() < end:
        least = min(least, _least_of(1, invoke, clock))
    return least


# ---- what there is to compute on ----


def keep_to(cores):
    """This process and all threads that it begins from now on. Raises ValueError where it may not use these cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("this system keeps no program to some of its cores")
    if not set(cores) <= set(usable()):
        raise ValueError("cores %s are asked for, and %s can be used" % (listed(cores), listed(usable())))  # noqa: UP031
    os.sched_setaffinity(0, cores)


def usable():
    """The numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def most_threads(quota):
    """How many can run at once, of a process that is granted so many cores' worth of time; None: all that it may use."""
    return min(len(usable()), math.ceil(quota)) if quota else len(usable())


def require_threads(threads, about):
    """Raises ValueError where so many cannot run at once; their times would be those of waiting. about: `environment`'s."""
    if threads > about["usable_cores"] and not about["emulated"]:
        raise ValueError("%d threads are asked for, and %d can run at once" % (threads, about["usable_cores"]))  # noqa: UP031


def listed(cores):
    """`[0, 2, 3]` -> "0,2-3", as the kernel and `taskset` write it."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in runs)  # noqa: UP031


def cpu_quota(root=""):
    """How many cores' worth of time its control groups, version 1 or 2, grant this process; None: all that there are."""
    granted = []
    for line in (_read(root + "/proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # A container may see the whole path, or itself as the root: every group above is looked at, as far as there is one.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for mount in (controllers, "cpu", "cpu,cpuacct") if controllers else ("", "unified"):
            groups = [os.path.join(root + "/sys/fs/cgroup", mount, *parts[:i]) for i in range(len(parts) + 1)]
            granted += [_granted(group) for group in groups]
    return min(granted, default=math.inf) if any(map(math.isfinite, granted)) else None


def _granted(group):
    older = [_read(os.path.join(group, name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    limit = (_read(group + "/cpu.max") or "").split() or older
    numbers = [int(text) for text in limit if text and text.isdigit()]
    return numbers[0] / numbers[1] if len(numbers) == 2 and all(numbers) else math.inf


def _of_cores(file, cores):
    """What a file of cpufreq says of each of the cores that has one."""
    texts = (_read("/sys/devices/system/cpu/cpu%d/cpufreq/%s" % (core, file)) for core in cores)  # noqa: UP031
    return [text for text in texts if text]


def _frequency_limit(cores):
    """The least share of its highest frequency that a core may have just now."""
    pairs = [_of_cores("scaling_max_freq", [core]) + _of_cores("cpuinfo_max_freq", [core]) for core in cores]
    return min((int(pair[0]) / int(pair[1]) for pair in pairs if len(pair) == 2 and int(pair[1])), default=None)


def _throttled():
    """A Raspberry Pi's flags, as `vcgencmd get_throttled` explains them: bits 0 to 3 now, 16 to 19 since it was switched on."""
    texts = [_read(path) for path in glob.glob("/sys/devices/platform/soc/*/get_throttled")]
    if not texts and shutil.which("vcgencmd"):
        texts = [
            subprocess.run(["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        ]
    found = [re.search(r"(?:0x)?([0-9a-fA-F]+)\s*$", text) for text in texts if text]
    return int(found[0].group(1), 16) if found and found[0] else None


def _throttle_events():
    """How often the cores of an x86 processor were slowed down by heat since it was switched on."""
    counts = [_read(path) for path in glob.glob("/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")]
    return sum(int(count) for count in counts if count and count.isdigit()) if counts else None


# ---- provenance ----


def environment(runtime):
    """What a measured number depends on, as plain JSON. Raises ImportError where the runtime is not installed.

    runtime: as in a job. `fingerprint` names the machine: CPU model, number of cores and architecture.
    """
    module = importlib.import_module(runtime["module"])
    cpu = _cpu_model()
    cores, quota = os.cpu_count() or 1, cpu_quota()
    return {
        "runtime": runtime["name"],
        "runtime_version": _version(runtime["package"], module),
        "execution_providers": [runtime["provider"]],
        "machine": _machine(),
        "cpu": cpu,
        "cores": cores,
        "fingerprint": hashlib.sha256(f"{cpu}|{cores}|{_machine()}".encode()).hexdigest()[:8],
        "affinity": listed(usable()),
        "cpu_quota": quota,
        "usable_cores": most_threads(quota),
        "governor": ", ".join(sorted(set(_of_cores("scaling_governor", usable())))) or None,
        "frequency_limit": _frequency_limit(usable()),
        "throttled": _throttled(),
        "throttle_events": _throttle_events(),
        "temperature_c": _temperature(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "clock": "thread CPU time (1 thread), else wall clock" if runtime["clock"] == CPU_TIME else "wall clock",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "emulated": _emulated(platform.machine()),
    }


def conditions():
    """What may slow a device down while it works, as it is now."""
    frequencies = [int(text) for text in _of_cores("scaling_cur_freq", usable()) if text.isdigit()]
    return {
        "temperature_c": _temperature(),
        "frequency_mhz": min(frequencies) / 1000 if frequencies else None,
        "throttled": _throttled(),
        "throttle_events": _throttle_events(),
    }


def _version(package, module):
    """Of the package, or of the module where another package or the system has brought it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return module.__version__


def _cpu_model():
    board = _read("/proc/device-tree/model")
    names = re.findall(r"^(?:model name|Hardware)\s*:\s*(.+)$", _read("/proc/cpuinfo") or "", re.MULTILINE)
    return board or (names[0].strip() if names else platform.processor() or "unknown")


def _emulated(machine):
    """Whether qemu-user translates another machine's code: it, not Python, is the process that runs; or the kernel is told
    to start it for this very machine; or the processor is of another make. Times then say nothing about a device."""
    runs_us = _read("/proc/self/comm") or ""
    registered = os.path.exists("/proc/sys/fs/binfmt_misc/qemu-" + machine)
    foreign = machine in ("aarch64", "armv7l", "riscv64") and re.search(
        r"^vendor_id\s*:", _read("/proc/cpuinfo") or "", re.MULTILINE
    )
    return bool(runs_us.startswith("qemu-") or registered or foreign)


def _temperature():
    text = _read("/sys/class/thermal/thermal_zone0/temp")
    return int(text) / 1000 if text and text.lstrip("-").isdigit() else None


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n ")
    except OSError:
        return None


# ---- as a program ----


def run_job(folder):
    """Do what folder/job.json says and return the content of result.json."""

    def inside(name):
        return os.path.join(folder, name)

    with open(inside("job.json"), encoding="utf-8") as file:
        job = json.load(file)
    runtime, threads = job["runtime"], job.get("threads", 1)
    if job.get("cores"):
        keep_to(job["cores"])
    result = {"environment": environment(runtime)}
    if job.get("models"):
        require_threads(threads, result["environment"])
    if job.get("memory"):  # first: what has run leaves memory behind that the next need not ask for
        files = [inside(job["memory"][name]) for name in ("empty", "model")]
        result["memory_bytes"] = memory_of(*[functools.partial(open_session, runtime, file, threads, folder) for file in files])
    for task in job.get("run", []):
        session = open_session(runtime, inside(task["model"]), threads, folder)
        images = np.load(inside(task["inputs"]), allow_pickle=False)
        np.save(inside(task["outputs"]), run_images(session, images), allow_pickle=False)

    def open_all():
        return {name: open_session(runtime, inside(file), threads, folder) for name, file in job.get("models", {}).items()}

    result["times_ms"] = time_models(open_all, job.get("rounds", 1), clock_for(runtime, threads))
    if job.get("sustain"):
        task = job["sustain"]
        require_threads(threads, result["environment"])
        session = open_session(runtime, inside(task["model"]), threads, folder)
        sustain = runpy.run_path(inside(task["by"]))["sustain"]
        result["sustained"] = sustain(session.invoke, task["seconds"], conditions)
    return result


def memory_of(open_empty, open_model):
    """By how many bytes this process grows at most while it opens and runs a model; None where the system does not tell.

    An empty model is run before, so that what the runtime itself needs is there.
    """
    empty = open_empty()
    empty.invoke()
    before = _status("VmRSS")
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # from now on the peak counts
    except OSError:
        return None
    session = open_model()
    session.invoke()
    peak = _status("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _status(name):
    """Bytes, of this process, as the Linux kernel tells them."""
    found = re.search(r"^%s:\s*(\d+) kB$" % name, _read("/proc/self/status") or "", re.MULTILINE)  # noqa: UP031
    return 1024 * int(found.group(1)) if found else None


def run_images(session, images):
    """The outputs for `(n, ...)` images, each run alone as on a device: `(n, ...)`."""
    return np.concatenate([session.run(image[None]) for image in images])


def _machine():
    """What this Python is built for, in the words of `uname -m`, which tells the kernel's machine: that may have more bits."""
    name = platform.machine()
    return name if sys.maxsize > 2**32 else IN_32_BIT.get(name, name)


def main(folder):
    try:
        result = run_job(folder)
    except Exception as error:  # whatever it is, the host shows it
        result = {"error": f"{type(error).__name__}: {error}"}
    part = os.path.join(folder, "result.json.part")
    with open(part, "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(part, os.path.join(folder, "result.json"))
    return 1 if "error" in result else 0


def _end_with_host():
    """Wait for the end of standard input, which a host that started this with a pipe to it never writes to, and end.

    Past `sys.stdin`, whose lock Python would wait for in vain, and then abort, where it ends before.
    """
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[2:] == [WITH_HOST]:
        threading.Thread(target=_end_with_host, daemon=True).start()
    sys.exit(main(sys.argv[1]))
