"""Who gets a live page: those on this machine who have its address, and nobody by a trick."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator
from email.message import Message

import pytest

from edgenas.errors import UsageError
from edgenas.report.live import SCRIPT, LiveServer, Shown


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with LiveServer(Shown("<!doctype html>ü", "1a", "")) as server, server.in_background():
        yield server


def ask(server: LiveServer, path: str | None = "", method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    """path: beneath the token; None: at the root, without it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, "/" if path is None else f"/{server.token}/{path}", headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def test_the_page_and_its_version(server: LiveServer) -> None:
    assert server.address == f"http://127.0.0.1:{server.port}/{server.token}/" and server.server_address[0] == "127.0.0.1"
    assert not server.asked.is_set()
    status, headers, content = ask(server)
    assert (status, content.decode()) == (200, "<!doctype html>ü")
    assert server.asked.is_set()
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert headers["X-Content-Type-Options"] == "nosniff"
    server.shown = Shown("<!doctype html>", "2b", "Half of it is there.")
    assert json.loads(ask(server, "version")[2]) == {"version": "2b", "notice": "Half of it is there."}


def test_it_runs_its_own_script_alone(server: LiveServer) -> None:
    policy = dict(part.strip().split(" ", 1) for part in ask(server)[1]["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
    assert policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "</" not in SCRIPT


def test_a_head_has_no_body(server: LiveServer) -> None:
    status, headers, content = ask(server, method="HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", str(len("<!doctype html>ü".encode())))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_it_is_only_read(server: LiveServer, method: str) -> None:
    status, headers, content = ask(server, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD") and b"only read" in content
    assert not server.asked.is_set()


@pytest.mark.parametrize("path", [None, "../", "../x/version", "report.json"])
def test_there_is_nothing_else(server: LiveServer, path: str | None) -> None:
    status, headers, content = ask(server, path)
    assert status in (403, 404) and headers["Content-Type"].startswith("text/plain") and b"html" not in content
    assert not server.asked.is_set()


def test_without_the_whole_token_there_is_nothing(server: LiveServer) -> None:
    whole = server.token
    for token in ("", whole[:-1], whole + "x", whole.swapcase()):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", f"/{token}/version")
        assert connection.getresponse().status == 403
        connection.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1]:80"])
def test_a_name_that_was_made_to_lead_here_leads_nowhere(server: LiveServer, host: str) -> None:
    assert ask(server, Host=host)[0] == 421


def test_through_a_tunnel_its_port_is_another(server: LiveServer) -> None:
    for host in ("127.0.0.1:9000", "localhost:9000", "LOCALHOST", "127.0.0.1"):
        assert ask(server, Host=host)[0] == 200


def test_a_port_that_is_taken_is_said(server: LiveServer) -> None:
    with pytest.raises(UsageError, match=f"Port {server.port} cannot be had"):
        LiveServer(Shown("", ""), server.port)
