"""A Python that has imported everything, and forks a child for every command: start-up takes longer than what is tried.

`python -m tests.faults.warm` reads one line of JSON for every command and answers with another. How commands are ended is in
the request: at a moment, or just before one of the calls that change files, which are counted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR
CALLS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "fcntl.flock", "subprocess.Popen",
         "tempfile.mkstemp", "tempfile.mkdtemp", "shutil.rmtree"}  # fmt: skip
"""Python tells these to an audit hook before it makes them; opening a file to write and `os.fsync` count as well."""
LIMIT_S = 120


def watch_calls(end: Callable[[int], None]) -> Callable[[], float]:
    """Calls `end` with 1, 2, ... before every call that writes, renames, removes or locks files. Returns how long was slept."""
    count, slept = 0, [0.0]

    def counted() -> None:
        nonlocal count
        count += 1
        end(count)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CALLS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            counted()
        elif event == "time.sleep":
            slept[0] += float(arguments[0])

    fsync = os.fsync

    def counted_fsync(handle: int) -> None:
        counted()
        fsync(handle)

    os.fsync = counted_fsync
    sys.addaudithook(hook)
    return lambda: slept[0]


def child(request: dict[str, Any]) -> None:
    """A command, as a shell starts it in a session of its own. Does not return."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, name in ((0, os.devnull), (1, request["output"]), (2, request["output"])):
        handle = os.open(name, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, stream)
        os.close(handle)

    calls, at = 0, request.get("call")

    def end(number: int) -> None:
        nonlocal calls
        calls = number
        if number == at:
            os.kill(os.getpid(), request["signal"])

    slept_s = watch_calls(end)
    from edgenas.cli import main

    code = 1
    try:
        main(request["arguments"])
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    if at is None:
        Path(f"{request['output']}.calls").write_text(json.dumps({"calls": calls, "slept_s": slept_s()}))
    os._exit(code)


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Start a command, end it as is asked, and wait for it. A group gets what a terminal sends, a process what `kill` does."""
    begin = time.monotonic()
    process = os.fork()
    if process == 0:
        child(request)
    after = request.get("after_s")
    status, is_sent = 0, after is None
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        seconds = time.monotonic() - begin
        if done:
            break
        if not is_sent and seconds >= after:
            is_sent = True
            end = os.killpg if request["signal"] == signal.SIGINT else os.kill
            end(process, request["signal"])
        if seconds > LIMIT_S:
            os.killpg(process, signal.SIGKILL)
        time.sleep(0.002)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "group": process}


def imported() -> None:
    """What commands import, and a timer whose times follow from the models alone, so that they are always the same."""
    from edgenas.cli import COMMANDS

    for module, _ in COMMANDS.values():
        import_module(module)
    import ai_edge_litert.interpreter
    import matplotlib.pyplot
    import onnxruntime

    from edgenas.device import targets
    from edgenas.latency import bench, profile

    profile.SESSIONS, profile.SESSION_NETWORKS, bench.GROUP_MODELS = 1, 6, 32
    truly = targets.JobTarget.time

    def timed(self: Any, models: dict[str, bytes], execution: Any, *, rounds: int = 8, **options: Any) -> Any:
        truly(self, dict(islice(models.items(), 2)), execution, rounds=1, **options)
        return {name: [len(model) * 1e-5] * rounds for name, model in models.items()}

    targets.JobTarget.time = timed  # type: ignore[method-assign]
    _ = ai_edge_litert, matplotlib.pyplot, onnxruntime


if __name__ == "__main__":
    imported()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
