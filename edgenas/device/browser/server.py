"""The page and its exchange over HTTP, or HTTPS with a certificate of our own.

Everything lies beneath `/TOKEN/`: the page itself, `measure.mjs`, the two files of ONNX Runtime Web, `open`, which gives a page
the exchange, and for the page that has it `task`, `files/TASK/NUMBER`, `progress` and `answer`. Without the token there is
nothing. Pages load nothing from elsewhere and send nothing elsewhere: the content security policy forbids it.
"""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from edgenas.device.browser.exchange import Exchange, Malformed
from edgenas.serving import Refused, TokenHandler, TokenServer
from edgenas.values import decoded_json

MOST_UPLOAD_BYTES = 4 * 2**20

PAGE = Path(__file__).parent / "page"

_POLICY = {
    # An isolated page has a clock that ticks every 5 us, in place of 100, and WebAssembly threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
    ),
}
_TYPES = {".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".wasm": "application/wasm"}


@contextmanager
def serve(
    exchange: Exchange, runtime_files: Path, address: str, certificate: ssl.SSLContext | None = None
) -> Iterator[tuple[int, str]]:
    """Serve the page at an address of this machine, and at no other; yield the port and the token.

    runtime_files: the folder with `ort.mjs` and `ort.wasm`. Pages are told when the `with` block ends.
    """
    with _Server(exchange, runtime_files, address, certificate) as server, server.in_background():
        try:
            yield server.port, server.token
        finally:
            exchange.end()


class _Server(TokenServer):
    def __init__(self, exchange: Exchange, runtime_files: Path, address: str, certificate: ssl.SSLContext | None):
        super().__init__(address, _Handler, certificate=certificate)
        self.exchange = exchange
        self.static = {
            "": PAGE / "measure.html",
            "measure.mjs": PAGE / "measure.mjs",
            "ort.mjs": runtime_files / "ort.mjs",
            "ort.wasm": runtime_files / "ort.wasm",
        }


class _Handler(TokenHandler):
    server: _Server
    policy = _POLICY

    def do_GET(self) -> None:
        self.admit(self._get)

    def do_POST(self) -> None:
        self.admit(self._post)

    # ---- methods ----

    def _get(self, path: str) -> None:
        exchange = self.server.exchange
        if path in self.server.static:
            self._send_file(self.server.static[path])
        elif path == "task":
            task = exchange.next_task(self._page())
            self.send(200, "application/json", json.dumps(task).encode()) if task else self.send(204)
        elif path.startswith("files/"):
            self.send(200, "application/octet-stream", exchange.file(self._page(), *_two_numbers(path)))
        else:
            raise Refused("There is no such page.", 404)

    def _post(self, path: str) -> None:
        if path == "open":
            self._open()
            return
        if path == "progress":
            content = self._content()
            if not isinstance(content, dict):
                raise Malformed("This is no report of progress.")
            self.server.exchange.report(self._page(), content.get("task"), content.get("done"))
        elif path == "answer":
            self.server.exchange.answer(self._page(), self._content())
        else:
            raise Refused("There is no such page.", 404)
        self.send(204)

    def _page(self) -> str:
        return self.headers.get("X-Page", "")

    def _content(self) -> Any:
        """What was uploaded, as JSON. It is not read when it is too much."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused("An upload must say how long it is.", 411)
        if len(length) > 12 or int(length) > MOST_UPLOAD_BYTES:
            raise Refused(f"An upload may have {MOST_UPLOAD_BYTES} bytes at most.", 413)
        try:
            return decoded_json(self.rfile.read(int(length)))
        except ValueError as error:
            raise Malformed("This is no JSON.") from error

    # ---- answers ----

    def _open(self) -> None:
        # A page asks for it by script, so that a messenger's preview of the address does not take it.
        browser, page = self.server.exchange.open_page(self._cookie())
        attributes = f"Path=/{self.server.token}/; Max-Age=86400; HttpOnly; SameSite=Strict"
        cookie = f"browser={browser}; {attributes}{'; Secure' * self.server.secure}"
        self.send(200, "application/json", json.dumps({"page": page}).encode(), {"Set-Cookie": cookie})

    def _cookie(self) -> str | None:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get("browser")
        except CookieError:
            return None
        return morsel.value if morsel and morsel.value.isascii() else None

    def _send_file(self, path: Path) -> None:
        self.start(200, _TYPES[path.suffix], path.stat().st_size)
        with path.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)


def _two_numbers(path: str) -> tuple[int, int]:
    parts = path.split("/")[1:]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise Refused("There is no such file.", 404)
    return int(parts[0]), int(parts[1])
