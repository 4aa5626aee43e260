"""What a server on the network must withstand: strangers, second phones, uploads that are too large or none of ours."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgenas import serving
from edgenas.device import Execution
from edgenas.device.browser import exchange as exchange_module
from edgenas.device.browser.certificate import self_signed
from edgenas.device.browser.exchange import Exchange, Task
from edgenas.device.browser.server import MOST_UPLOAD_BYTES, _Handler, serve
from edgenas.device.browser.target import BrowserTarget
from edgenas.errors import EdgeNASError
from edgenas.serving import MOST_STRANGERS
from tests.conftest import wait_until
from tests.device.browser.conftest import CLOSED, Served, Visitor, in_background

TASK = Task({"do": "double", "value": 21}, (b"file",), lambda answer: answer["value"] * 2, steps=3)


def test_a_page_is_isolated_and_talks_to_nobody_else(served: Served) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/{served.token}/") as response:
        headers, html = response.headers, response.read().decode()
    assert "measure.mjs" in html and "http" not in html.replace("<!doctype html>", "")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert served.visitor().ask("GET", "ort.wasm") == (200, "ort.wasm")
    assert served.visitor().ask("GET", "../server.py")[0] == 404


def test_a_task_there_and_back(served: Served) -> None:
    steps = []

    def track(items, description, total=None):
        for item in items:
            steps.append(description)
            yield item

    visitor = served.visitor()
    assert visitor.open()[0] == 200
    with in_background(lambda: served.exchange.ask(TASK, track, "doubling")) as outcome:
        task = visitor.task()
        assert (task["do"], task["value"]) == ("double", 21)
        assert visitor.file(task, 0) == b"file"
        assert visitor.ask("GET", f"files/{task['number']}/1")[0] == 400
        for done in (1, 3):
            assert visitor.ask("POST", "progress", {"task": task["number"], "done": done})[0] == 204
        assert visitor.answer(task, value=21)[0] == 204
    assert outcome["result"] == 42
    assert steps == ["doubling"] * 3
    assert served.said == ["The page is open."]


def test_what_a_page_cannot_do_is_one_sentence(served: Served) -> None:
    visitor = served.visitor()
    visitor.open()
    with in_background(lambda: served.exchange.ask(TASK)) as outcome:
        visitor.answer(visitor.task(), error="out of\x1b[31m memory\n" + "!" * 9999)
    assert isinstance(outcome["error"], EdgeNASError)
    assert str(outcome["error"]).startswith("The browser could not do it: out of[31m memory!!!")
    assert len(str(outcome["error"])) < 600


def test_silent_strangers_are_shown_out_and_leave_room(served: Served) -> None:
    """A thousand of them once took all file handles."""
    threads = threading.active_count()
    strangers = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(300)]
    try:
        visitor = served.visitor()
        assert visitor.open()[0] == 200
        wait_until(lambda: threading.active_count() <= threads + MOST_STRANGERS + 2)
        strangers[0].settimeout(10)
        assert strangers[0].recv(1) == b"", "the first that came is still there"
        assert visitor.ask("GET", "ort.wasm") == (200, "ort.wasm")
    finally:
        for stranger in strangers:
            stranger.close()


def test_a_stranger_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", served.port)) as stranger:
        stranger.settimeout(10)
        assert stranger.recv(1) == b""


def test_guests_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_GUESTS", 2)
    request = f"GET /{served.token}/ort.wasm HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    guests = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3)]
    answers = []
    for guest in guests:
        guest.sendall(request)
        answers.append(guest.recv(12))
    assert answers == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503"]
    for guest in guests:
        guest.close()
    wait_until(lambda: served.visitor().ask("GET", "ort.wasm")[0] == 200)


@pytest.mark.parametrize("token", ["", "x" * 22, "%C3%BC"])
def test_a_wrong_token_changes_nothing(served: Served, token: str) -> None:
    visitor = served.visitor()
    visitor.open()
    with in_background(lambda: served.exchange.ask(TASK)) as outcome:
        task = visitor.task()
        stranger = Visitor(served.port, token, dict(visitor.headers))
        for method, path, content in (
            ("GET", "", None), ("GET", "task", None), ("GET", "ort.wasm", None), ("POST", "open", None),
            ("POST", "progress", {"task": task["number"], "done": 1}), ("POST", "answer", {"task": task["number"], "value": 1}),
        ):  # fmt: skip
            assert stranger.ask(method, path, content)[0] == 403, path
        assert visitor.answer(task, value=21)[0] == 204
    assert outcome["result"] == 42


def test_a_second_phone_does_not_disturb_the_first(served: Served) -> None:
    first, second = served.visitor(), served.visitor()
    first.open()
    with in_background(lambda: served.exchange.ask(TASK)) as outcome:
        task = first.task()
        assert second.open() == (409, "EdgeNAS is already measuring on another phone. Close the page there first.")
        assert second.ask("GET", "task")[0] == 409
        assert second.answer(task, value=1)[0] == 409
        assert first.answer(task, value=21)[0] == 204
    assert outcome["result"] == 42


def test_a_page_that_is_opened_again_takes_over_and_the_older_one_is_told(served: Served) -> None:
    visitor = served.visitor()
    visitor.open()
    older = dict(visitor.headers)
    assert visitor.open()[0] == 200
    with in_background(lambda: served.exchange.ask(TASK)) as outcome:
        task = visitor.task()
        assert visitor.ask("GET", "task", **older) == (409, "EdgeNAS has gone on in another page. This one can be closed.")
        visitor.answer(task, value=1)
    assert outcome["result"] == 2


def test_a_page_closed_half_way_hands_its_task_to_the_next(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "SILENCE_S", 0.3)
    first, second = served.visitor(), served.visitor()
    first.open()
    with in_background(lambda: served.exchange.ask(TASK)) as outcome:
        task = first.task()
        wait_until(lambda: served.said[-1:] == [CLOSED], seconds=20)
        assert second.open()[0] == 200, "the first has fallen silent"
        assert second.task() == task
        assert first.answer(task, value=1)[0] == 409
        assert second.answer(task, value=21)[0] == 204
    assert outcome["result"] == 42


def test_nobody_waits_for_ever(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "RETURN_S", 0.2)
    with pytest.raises(EdgeNASError, match=r"No page has been open .* run the same command again"):
        served.exchange.ask(TASK)


def test_pages_are_told_that_it_is_over(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "FAREWELL_S", 20.0)
    visitor = served.visitor()
    visitor.open()
    with in_background(lambda: visitor.ask("GET", "task")) as outcome:
        served.exchange.end()
    assert outcome["result"] == (409, "Done. This page can be closed.")


def raw(served: Served, request: str) -> str:
    """The first line of what is answered."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(request.replace("TOKEN", served.token).replace("\n", "\r\n").encode())
        with connection.makefile() as answer:
            return answer.readline().strip()


def test_a_token_that_is_no_text(served: Served) -> None:
    assert " 403 " in raw(served, "GET /ü/ HTTP/1.1\nHost: x\n\n")


# ---- uploads ----


@pytest.mark.parametrize("length", [str(MOST_UPLOAD_BYTES + 1), "9" * 30])
def test_an_oversized_upload_is_refused_before_it_is_read(served: Served, length: str) -> None:
    answer = raw(served, f"POST /TOKEN/answer HTTP/1.1\nHost: x\nContent-Length: {length}\n\n")
    assert answer.startswith("HTTP/1.1 413 ")  # and its words, which Python 3.13 has others for


def test_an_upload_that_does_not_say_how_long_it_is(served: Served) -> None:
    assert " 411 " in raw(served, "POST /TOKEN/answer HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
    assert " 411 " in raw(served, "POST /TOKEN/answer HTTP/1.1\nHost: x\nContent-Length: -1\n\n")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_an_upload_that_is_no_json(served: Served, text: str) -> None:
    assert " 400 " in raw(served, f"POST /TOKEN/answer HTTP/1.1\nHost: x\nContent-Length: {len(text)}\n\n{text}")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"times_ms": None},
        {"times_ms": [[1.0, 1.0]]},
        {"times_ms": [[1.0, 1.0], [1.0]]},
        {"times_ms": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]},
        {"times_ms": [[1.0, 1.0], [1.0, 0.0]]},
        {"times_ms": [[1.0, 1.0], [1.0, -1.0]]},
        {"times_ms": [[1.0, 1.0], [1.0, float("nan")]]},
        {"times_ms": [[1.0, 1.0], [1.0, float("inf")]]},
        {"times_ms": [[1.0, 1.0], [1.0, "1"]]},
        {"times_ms": [[1.0, 1.0], [1.0, True]]},
        {"times_ms": {"a": [1.0, 1.0], "b": [1.0, 1.0]}},
    ],
)
def test_malformed_times_are_refused_and_change_nothing(served: Served, answer: dict) -> None:
    visitor, target = served.visitor(), BrowserTarget(served.exchange)
    visitor.open()
    with in_background(lambda: target.time({"a": b"1", "b": b"2"}, Execution("onnxruntime-web-wasm"), rounds=2)) as outcome:
        task = visitor.task()
        assert visitor.answer(task, **answer)[0] == 400
        assert visitor.answer({"number": task["number"] + 1}, times_ms=[[1, 1], [1, 1]])[0] == 400
        assert visitor.answer(task, times_ms=[[1.5, 2], [3, 4]])[0] == 204
        assert visitor.answer(task, times_ms=[[9, 9], [9, 9]])[0] == 400, "it has been answered"
    assert outcome["result"] == {"a": [1.5, 2.0], "b": [3.0, 4.0]}


@pytest.mark.parametrize("progress", [None, [], {}, {"task": 1, "done": -1}, {"task": 1, "done": 1e9}, {"task": 1, "done": 4}])
def test_malformed_progress(served: Served, progress: object) -> None:
    visitor = served.visitor()
    visitor.open()
    with in_background(lambda: served.exchange.ask(TASK)):
        task = visitor.task()
        assert visitor.ask("POST", "progress", progress or "null")[0] == 400
        visitor.answer(task, value=1)


# ---- HTTPS ----


def fetch(port: int, token: str) -> int:
    """The status of the page, over HTTPS that trusts its certificate, if that is for 127.0.0.1."""
    trusted = ssl.create_default_context(cadata=ssl.get_server_certificate(("127.0.0.1", port)))
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/{token}/", context=trusted, timeout=5) as response:
        return response.status


def test_the_certificate_is_for_one_address(tmp_path: Path) -> None:
    with serve(Exchange(print), tmp_path, "127.0.0.1", self_signed("127.0.0.1")) as (port, token):
        assert fetch(port, token) == 200
    with (
        serve(Exchange(print), tmp_path, "127.0.0.1", self_signed("192.0.2.7")) as (port, token),
        pytest.raises(urllib.error.URLError, match=r"certificate is not valid for '127\.0\.0\.1'"),
    ):
        fetch(port, token)


def test_a_visitor_who_says_nothing_blocks_nobody(tmp_path: Path) -> None:
    with (
        serve(Exchange(print), tmp_path, "127.0.0.1", self_signed("127.0.0.1")) as (port, token),
        socket.create_connection(("127.0.0.1", port)),
    ):
        assert fetch(port, token) == 200
