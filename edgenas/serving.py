"""Pages for those who have their address: everything lies beneath `/TOKEN/`, and without the token there is nothing."""

from __future__ import annotations

import secrets
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, ClassVar

MOST_STRANGERS, STRANGER_S = 32, 10.0
"""Connections that have not shown the token yet: so many are kept, those that came last, and none for longer. A browser shows
it with its first request."""
MOST_GUESTS, GUEST_S = 64, 60.0
"""Those that have."""

HEADERS = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Of every answer."""


class Refused(Exception):
    """A request that is not granted: the sentence is for the person who looks at the page. status: of HTTP."""

    status = 403

    def __init__(self, sentence: str, status: int | None = None):
        super().__init__(sentence)
        self.status = self.status if status is None else status


class TokenServer(ThreadingTCPServer):
    """Listens at one address of this machine, and at no other, with a new token.

    port: 0 for a free one. certificate: for HTTPS.
    """

    hosts: frozenset[str] = frozenset()
    """Names by which it may be called; none: by any. A page of somebody else's, whose name was made to lead here, calls it by
    that (DNS rebinding)."""

    daemon_threads = True
    request_queue_size = 32
    # A port that is named may be one that was served until a moment ago. On Windows it would be shared with whoever has it.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, address: str, handler: type[TokenHandler], port: int = 0, certificate: ssl.SSLContext | None = None):
        super().__init__((address, port), handler)
        self._doors = threading.Lock()
        self._strangers: dict[socket.socket, None] = {}
        self._guests: set[socket.socket] = set()
        self.token = secrets.token_urlsafe(16)
        self.secure = certificate is not None
        if certificate is not None:
            # The handshake waits for the first read, in the connection's own thread.
            self.socket = certificate.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()

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


class TokenHandler(BaseHTTPRequestHandler):
    """Answers requests that show the token, by a method that is given the path beneath it. Others are refused in a sentence."""

    server: TokenServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "EdgeNAS", ""
    timeout = STRANGER_S
    policy: ClassVar[Mapping[str, str]] = {}
    """Headers of every answer, besides `HEADERS`."""

    def admit(self, method: Callable[[str], None]) -> None:
        try:
            host = self.headers.get("Host", "").lower()
            if self.server.hosts and (host.rpartition(":")[0] or host) not in self.server.hosts:
                raise Refused("This page is not there under that name. Open the address that the terminal shows.", 421)
            token, slash, path = self.path.partition("?")[0].removeprefix("/").partition("/")
            if not (secrets.compare_digest(token.encode(), self.server.token.encode()) and slash):
                raise Refused("This address is not valid. Open the one that the terminal shows, whole.")
            if not self.server.welcome(self.request):
                raise Refused("Too many pages are open. Close the others.", 503)
            self.request.settimeout(GUEST_S)
            method(path)
        except Refused as refusal:
            self.refuse(refusal)

    def send(self, status: int, kind: str = "", content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.start(status, kind, len(content), headers)
        if self.command != "HEAD":
            self.wfile.write(content)

    def start(self, status: int, kind: str, length: int, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **self.policy, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def refuse(self, refusal: Refused, headers: Mapping[str, str] | None = None) -> None:
        # What was uploaded may still be on its way: the connection ends with it unread.
        self.close_connection = True
        headers = {"Connection": "close", **(headers or {})}
        self.send(refusal.status, "text/plain; charset=utf-8", str(refusal).encode(), headers)

    def log_message(self, format: str, *arguments: Any) -> None:
        """The terminal belongs to the progress bar."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        # Of the socket itself: the thread that serves it may be in the middle of a TLS handshake, which then ends.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
