"""A page without a browser: speaks to the server as `measure.mjs` does, and measures nothing."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgenas.device.browser import exchange as exchange_module
from edgenas.device.browser.exchange import Exchange
from edgenas.device.browser.server import serve

CLOSED = "The page is closed, or its phone asleep. Open it again, at the same address: it goes on from there."

ENVIRONMENT = {
    "platform": "Android", "platformVersion": "14.0.0", "model": "Pixel 7", "architecture": "", "bitness": "",
    "user_agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile",
    "cores": 8, "tick_ms": 0.005, "isolated": True, "runtime_version": "1.30.0",
    "adapter": {"vendor": "arm", "architecture": "valhall", "device": "", "description": "", "fallback": False},
}  # fmt: skip


@dataclass
class Visitor:
    """A browser with cookies of its own, and the page that it has open."""

    port: int
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> tuple[int, str]:
        """Status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, f"/{self.token}/{path}", body, self.headers | headers)
            response = connection.getresponse()
            if cookie := response.headers["Set-Cookie"]:
                self.headers["Cookie"] = cookie.partition(";")[0]
            return response.status, response.read().decode()
        finally:
            connection.close()

    def open(self) -> tuple[int, str]:
        status, text = self.ask("POST", "open")
        if status == 200:
            self.headers["X-Page"] = json.loads(text)["page"]
        return status, text

    def task(self) -> dict[str, Any]:
        """The next task, waited for."""
        while True:
            status, text = self.ask("GET", "task")
            if status != 204:
                assert status == 200, text
                return json.loads(text)

    def answer(self, task: dict[str, Any], **content: Any) -> tuple[int, str]:
        return self.ask("POST", "answer", {"task": task["number"]} | content)

    def obey(self, task: dict[str, Any], environment: dict[str, Any] = ENVIRONMENT) -> None:
        """Do a task at once: the time of a model is its size."""
        if task["do"] == "environment":
            answer = {"environment": environment}
        else:
            sizes = [len(self.file(task, number)) for number in range(task["models"])]
            answer = {"times_ms": [[size * 1e-5] * task["rounds"] for size in sizes]}
        assert self.answer(task, **answer)[0] == 204

    def file(self, task: dict[str, Any], number: int) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/{self.token}/files/{task['number']}/{number}", headers=self.headers)
        content = connection.getresponse().read()
        connection.close()
        return content


@dataclass
class Served:
    exchange: Exchange
    port: int
    token: str
    said: list[str]

    def visitor(self) -> Visitor:
        return Visitor(self.port, self.token)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An exchange, served over plain HTTP."""
    monkeypatch.setattr(exchange_module, "FAREWELL_S", 0.0)
    monkeypatch.setattr(exchange_module, "POLL_S", 0.2)
    for name in ("ort.mjs", "ort.wasm"):
        (tmp_path / name).write_text(name)
    said: list[str] = []
    exchange = Exchange(said.append)
    with serve(exchange, tmp_path, "127.0.0.1") as (port, token):
        yield Served(exchange, port, token, said)


def fake_adb(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = "") -> Path:
    """An `adb` on the PATH that does what a script says, and the file in which it notes what it was told."""
    (folder / "adb").write_text(f'#!/bin/sh\necho "$*" >>{folder}/log\n{script}\n')
    (folder / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "log"


@contextmanager
def in_background(work) -> Iterator[dict[str, Any]]:
    """Runs `work()` in a thread; after the block its `result` or `error` is there."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = work()
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(30)
    assert not thread.is_alive()
