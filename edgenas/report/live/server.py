"""A page and its version over HTTP, on this machine alone, to those who have the address with the token.

Beneath `/TOKEN/` lie the page itself, and `version`, by which an open page learns that there is a newer one. A page loads
nothing else, from here or elsewhere, and runs its own script alone: the content security policy forbids the rest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import ClassVar

from edgenas.errors import UsageError
from edgenas.serving import Refused, TokenHandler, TokenServer

SCRIPT = resources(__package__).joinpath("follow.js").read_text(encoding="utf-8")
"""Of the page: it is to hold it as it is here."""

ADDRESS = "127.0.0.1"
_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


@dataclass(frozen=True)
class Shown:
    """version: of the page. notice: why there is no newer one, where there should be."""

    html: str
    version: str
    notice: str = ""


class LiveServer(TokenServer):
    """Serves what is `shown` and, when somebody asks for that, sets `asked`.

    port: 0 for a free one. Raises UsageError for one that cannot be had.
    """

    hosts = frozenset({ADDRESS, "localhost"})

    def __init__(self, shown: Shown, port: int = 0):
        try:
            super().__init__(ADDRESS, _Handler, port)
        except OSError as error:
            raise UsageError(f"Port {port} cannot be had ({error.strerror}): name another `port`, or none.") from None
        self.shown = shown
        self.asked = threading.Event()

    @property
    def address(self) -> str:
        return f"http://{ADDRESS}:{self.port}/{self.token}/"


class _Handler(TokenHandler):
    server: LiveServer
    policy: ClassVar[Mapping[str, str]] = {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'sha256-{_HASH}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def do_GET(self) -> None:
        self.admit(self._get)

    do_HEAD = do_GET

    def _get(self, path: str) -> None:
        shown = self.server.shown
        if path not in ("", "version"):
            raise Refused("There is no such page.", 404)
        self.server.asked.set()
        if path:
            about = {"version": shown.version, "notice": shown.notice}
            self.send(200, "application/json", json.dumps(about).encode())
        else:
            self.send(200, "text/html; charset=utf-8", shown.html.encode())

    def _refuse_method(self) -> None:
        self.refuse(Refused("This page is only read.", 405), {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse_method
