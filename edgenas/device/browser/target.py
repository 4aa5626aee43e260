"""`BrowserTarget`: models are timed and run by a page that a phone has opened."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import numpy as np

from edgenas.device.browser.adb import reversed_port
from edgenas.device.browser.exchange import Exchange, Task
from edgenas.device.browser.onnxruntime_web import onnxruntime_web
from edgenas.device.browser.provenance import provenance
from edgenas.device.browser.server import serve
from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.device.runtimes import BROWSER, get_runtime
from edgenas.errors import UsageError
from edgenas.extras import require
from edgenas.progress import Track, quiet
from edgenas.values import Length, read
from edgenas.values.kinds import Milliseconds

IMAGES_AT_ONCE = 64
"""So that what comes back stays far below `server.MOST_UPLOAD_BYTES`."""


class BrowserTarget:
    """A browser, through an `Exchange` with the page that it has open.

    track: shows the rounds of a timing that is given no other.
    """

    def __init__(self, exchange: Exchange, track: Track = quiet):
        self._exchange, self._track = exchange, track

    def environment(self, runtime: str) -> Provenance:
        """As of every target; see `provenance`."""
        empty = get_runtime(runtime, BROWSER).model_format.empty()

        def read(answer: dict[str, Any]) -> Provenance:
            return provenance(runtime, answer["environment"])

        return self._exchange.ask(_task("environment", Execution(runtime), [empty], read))

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track | None = None
    ) -> dict[str, list[float]]:
        def believed(answer: dict[str, Any]) -> dict[str, list[float]]:
            times: Any = Annotated[list[Milliseconds], Length(rounds, rounds, "times")]
            rows = read(Annotated[list[times], Length(len(models), len(models))], answer["times_ms"], "times_ms")
            return dict(zip(models, rows, strict=True))

        task = _task("time", execution, models.values(), believed, rounds=rounds, models=len(models))
        return self._exchange.ask(task, track or self._track, "rounds in the browser")

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        parts = [images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE)]
        return np.concatenate([self._run(model, part, execution) for part in parts])

    def _run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        def read(answer: dict[str, Any]) -> np.ndarray:
            outputs = np.array(answer["outputs"], dtype=np.float32)
            return outputs.reshape(len(images), *map(int, answer["shape"]))

        files = [model, images.astype("<f4").tobytes()]
        return self._exchange.ask(_task("run", execution, files, read, images=len(images)))


@contextmanager
def browser_target(
    way: str, runtime: str, say: Callable[[str], None], track: Track = quiet
) -> Iterator[BrowserTarget]:  # fmt: skip
    """A page for a phone to open, as a target: "browser" serves it over HTTPS to the local network, "browser:adb" to a phone
    on a USB cable.

    say: shows the person at the terminal what to do. Raises UsageError for another `way` or a runtime that no browser has, and
    EdgeNASError without the extra `browser`, when ONNX Runtime Web cannot be downloaded or adb finds no phone.
    """
    if way not in ("browser", "browser:adb"):
        raise UsageError(f"{way} is no way to reach a browser: write browser, or browser:adb for a phone on a USB cable.")
    get_runtime(runtime, BROWSER)
    require("browser", "Measuring in a browser")
    from edgenas.device.browser.certificate import lan_address, self_signed

    files, exchange = onnxruntime_web(track), Exchange(say)
    if way == "browser":
        address = lan_address()
        with serve(exchange, files, address, self_signed(address)) as (port, token):
            say(f"{_invitation(f'https://{address}:{port}/{token}/')}\nThe phone must be in this network. Its browser will "
                "warn of a certificate that it does not know: this machine has just made it, so choose to go on.")  # fmt: skip
            yield BrowserTarget(exchange, track)
    else:
        with serve(exchange, files, "127.0.0.1") as (port, token), reversed_port(port):
            say(_invitation(f"http://localhost:{port}/{token}/"))
            yield BrowserTarget(exchange, track)


def _invitation(url: str) -> str:
    import segno

    code = io.StringIO()
    segno.make(url, error="l").terminal(code, border=2, compact=True)
    return f"{code.getvalue()}Open this page on the phone, in Chrome 121 or newer: {url}"


def _task(do: str, execution: Execution, files: Iterable[bytes], read: Callable[[dict[str, Any]], Any], **numbers: int) -> Task:
    """Raises UsageError for a runtime that no browser has."""
    provider = get_runtime(execution.runtime, BROWSER).provider
    title = f"Measuring on the {'GPU' if provider == 'webgpu' else 'CPU'}"
    content = {"do": do, "title": title, "provider": provider, "threads": execution.threads} | numbers
    return Task(content, tuple(files), read, steps=numbers.get("rounds", numbers.get("images", 1)))
