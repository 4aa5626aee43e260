"""The page and its exchange over HTTP, or HTTPS with a certificate of our own.

Everything lies beneath `/TOKEN/`: the page itself, `measure.mjs`, the two files of ONNX Runtime Web, `open`, which gives a page
the exchange, and for the page that has it `task`, `files/TASK/NUMBER`, `progress` and `answer`. Without the token there is
nothing. Pages load nothing from elsewhere and send nothing elsewhere: the content security policy forbids it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from edgenas.device.browser.exchange import Exchange, Malformed, Refused, Taken
from edgenas.values import decoded_json

MOST_UPLOAD_BYTES = 4 * 2**20

MOST_STRANGERS, STRANGER_S = 32, 10.0
"""Connections that have not shown the token yet: so many are kept, those that came last, and none for longer. A browser shows
it with its first request."""
MOST_GUESTS, GUEST_S = 64, 60.0
"""Those that have."""

PAGE = Path(__file__).parent / "page"

_HEADERS = {
    # An isolated page has a clock that ticks every 5 us, in place of 100, and WebAssembly threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_TYPES = {".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".wasm": "application/wasm"}


@contextmanager
def serve(
    exchange: Exchange, runtime_files: Path, address: str, certificate: ssl.SSLContext | None = None
) -> Iterator[tuple[int, str]]:
    """Serve the page at an address of this machine, and at no other; yield the port and the token.

    runtime_files: the folder with `ort.mjs` and `ort.wasm`. Pages are told when the `with` block ends.
    """
    with _Server(exchange, runtime_files, address, certificate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1], server.token
        finally:
            exchange.end()
            server.shutdown()
            thread.join()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, exchange: Exchange, runtime_files: Path, address: str, certificate: ssl.SSLContext | None):
        super().__init__((address, 0), _Handler)
        self._doors = threading.Lock()
        self._strangers: dict[socket.socket, None] = {}
        self._guests: set[socket.socket] = set()
        self.exchange = exchange
        self.token = secrets.token_urlsafe(16)
        self.secure = certificate is not None
        self.static = {
            "": PAGE / "measure.html",
            "measure.mjs": PAGE / "measure.mjs",
            "ort.mjs": runtime_files / "ort.mjs",
            "ort.wasm": runtime_files / "ort.wasm",
        }
        if certificate is not None:
            # The handshake waits for the first read, in the connection's own thread.
            self.socket = certificate.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Where there are too many strangers, the one that has been silent for the longest is shown out."""
        with self._doors:
            self._strangers[request] = None
            leaves = next(iter(self._strangers)) if len(self._strangers) > MOST_STRANGERS else None
            if leaves is not None:
                del self._strangers[leaves]
        if leaves is not None:
            _hang_up(leaves)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._doors:
            self._strangers.pop(request, None)
            self._guests.discard(request)
        super().shutdown_request(request)

    def welcome(self, request: socket.socket) -> bool:
        """A connection has shown the token. Whether there is room for it."""
        with self._doors:
            if request not in self._guests and len(self._guests) < MOST_GUESTS:
                self._strangers.pop(request, None)
                self._guests.add(request)
            return request in self._guests

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers drop connections, and probe certificates; neither is anybody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "EdgeNAS", ""
    timeout = STRANGER_S

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        try:
            token, slash, path = self.path.partition("?")[0].removeprefix("/").partition("/")
            if not (secrets.compare_digest(token.encode(), self.server.token.encode()) and slash):
                raise _Status(403, "This address is not valid. Open the one that the terminal shows, whole.")
            if not self.server.welcome(self.request):
                raise _Status(503, "Too many pages are open. Close the others.")
            self.request.settimeout(GUEST_S)
            method(path)
        except _Status as refusal:
            self._refuse(refusal.status, str(refusal))
        except Taken as refusal:
            self._refuse(409, str(refusal))
        except Malformed as refusal:
            self._refuse(400, str(refusal))

    # ---- methods ----

    def _get(self, path: str) -> None:
        exchange = self.server.exchange
        if path in self.server.static:
            self._send_file(self.server.static[path])
        elif path == "task":
            task = exchange.next_task(self._page())
            self._send(200, "application/json", json.dumps(task).encode()) if task else self._send(204)
        elif path.startswith("files/"):
            self._send(200, "application/octet-stream", exchange.file(self._page(), *_two_numbers(path)))
        else:
            raise _Status(404, "There is no such page.")

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
            raise _Status(404, "There is no such page.")
        self._send(204)

    def _page(self) -> str:
        return self.headers.get("X-Page", "")

    def _content(self) -> Any:
        """What was uploaded, as JSON. It is not read when it is too much."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Status(411, "An upload must say how long it is.")
        if len(length) > 12 or int(length) > MOST_UPLOAD_BYTES:
            raise _Status(413, f"An upload may have {MOST_UPLOAD_BYTES} bytes at most.")
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
        self._send(200, "application/json", json.dumps({"page": page}).encode(), {"Set-Cookie": cookie})

    def _cookie(self) -> str | None:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get("browser")
        except CookieError:
            return None
        return morsel.value if morsel and morsel.value.isascii() else None

    def _send_file(self, path: Path) -> None:
        self._start(200, _TYPES[path.suffix], path.stat().st_size)
        with path.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)

    def _send(self, status: int, kind: str = "", content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self._start(status, kind, len(content), headers)
        self.wfile.write(content)

    def _start(self, status: int, kind: str, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | (headers or {})).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _refuse(self, status: int, sentence: str) -> None:
        # What was uploaded may still be on its way: the connection ends with it unread.
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", sentence.encode(), {"Connection": "close"})

    def log_message(self, format: str, *arguments: Any) -> None:
        """The terminal belongs to the progress bar."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        # Of the socket itself: the thread that serves it may be in the middle of a TLS handshake, which then ends.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Status(Refused):
    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def _two_numbers(path: str) -> tuple[int, int]:
    parts = path.split("/")[1:]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise _Status(404, "There is no such file.")
    return int(parts[0]), int(parts[1])
