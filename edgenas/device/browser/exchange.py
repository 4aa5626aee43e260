"""One task at a time, between the program that asks and the page in a browser that answers. Knows nothing of HTTP."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from edgenas.errors import EdgeNASError
from edgenas.progress import Track, quiet
from edgenas.serving import Refused

SILENCE_S = 20.0
"""A page that is open tells every two seconds that it is. After so long without a word it counts as closed."""

RETURN_S = 900.0
"""How long to wait for the page to be opened, or opened again."""

POLL_S = 5.0
"""How long a page that asks for a task is kept waiting for one."""

FAREWELL_S = 3.0
"""How long the page is given to hear that it is over."""

_LOOK_S = 0.5

_OPEN = "The page is open."
_CLOSED = "The page is closed, or its phone asleep. Open it again, at the same address: it goes on from there."


class Taken(Refused):
    """Another browser measures, or this page no longer does."""

    status = 409


class Malformed(Refused):
    """What no page of ours would send."""

    status = 400


@dataclass(frozen=True)
class Task:
    """What a page is asked to do, in plain JSON, with the files that it needs for that.

    read: from the page's answer to the result. Raises ValueError, KeyError or TypeError for an answer that is none.
    steps: how many the page will report.
    """

    content: dict[str, Any]
    files: tuple[bytes, ...]
    read: Callable[[dict[str, Any]], Any]
    steps: int = 1


class Exchange:
    """The program calls `ask` and `end`, threads that serve a browser the rest.

    The first browser that opens the page has the exchange to itself until it falls silent. It may open the page again,
    as after a reload: the page that is opened last counts. A task whose page was closed is given to the page that follows.

    say: shows a line to the person at the terminal.
    """

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._changed = threading.Condition()
        self._browser: str | None = None
        self._page: str | None = None
        self._heard = self._asked = time.monotonic()
        self._open: bool | None = None
        self._task: Task | None = None
        self._number = 0
        self._done = 0
        self._answer: Future[Any] = Future()
        self._ended = self._told = False

    # ---- the program's side ----

    def ask(self, task: Task, track: Track = quiet, description: str = "") -> Any:
        """What a page makes of a task. Raises EdgeNASError when it cannot do it, or when no page is open for too long."""
        with self._changed:
            self._task, self._done, self._answer = task, 0, Future()
            self._number += 1
            self._asked = time.monotonic()
            self._changed.notify_all()
        try:
            for _ in track(self._steps(), description, task.steps):
                pass
            return self._answer.result()
        finally:
            with self._changed:
                self._task = None

    def end(self) -> None:
        """Tell the page that it is over, if one is listening."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            if self._page is not None and time.monotonic() - self._heard < SILENCE_S:
                self._changed.wait_for(lambda: self._told, FAREWELL_S)

    def _steps(self) -> Iterator[None]:
        """Once for every step that the page reports, until it answers."""
        yielded, answered = 0, False
        while not answered:
            done, answered = self._news(yielded)
            self._watch()
            for _ in range(yielded, done):
                yield
            yielded = done

    def _news(self, known: int) -> tuple[int, bool]:
        """How many steps are done and whether the answer is there, as soon as there are more than known, or in a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._done > known or self._answer.done(), _LOOK_S)
            return self._done, self._answer.done()

    def _watch(self) -> None:
        """Say when the page falls silent and when it is back."""
        now = time.monotonic()
        if now - max(self._heard, self._asked) > RETURN_S:
            raise EdgeNASError(
                f"No page has been open for {RETURN_S / 60:.0f} minutes: run the same command again, it goes on where it "
                "stopped."
            )
        open_now = None if self._page is None else now - self._heard <= SILENCE_S
        if open_now != self._open:
            self._say(_OPEN if open_now else _CLOSED)
        self._open = open_now

    # ---- the page's side ----

    def open_page(self, browser: str | None) -> tuple[str, str]:
        """A browser opens the page: the names of the browser and of the page. Raises Taken while another browser measures.

        browser: the name that it was given when it opened the page before.
        """
        with self._changed:
            self._require_going()
            is_known = browser is not None and self._browser is not None and secrets.compare_digest(browser, self._browser)
            named = browser if is_known else None
            alive = self._page is not None and time.monotonic() - self._heard <= SILENCE_S
            if alive and named is None:
                raise Taken("EdgeNAS is already measuring on another phone. Close the page there first.")
            self._browser, self._page = named or secrets.token_urlsafe(), secrets.token_urlsafe()
            self._heard = time.monotonic()
            self._changed.notify_all()
            return self._browser, self._page

    def next_task(self, page: str) -> dict[str, Any] | None:
        """The task to do now, with its number; None when there is none so far. Raises Refused when it is all over."""
        with self._changed:
            self._require(page)
            self._changed.wait_for(lambda: self._pending or self._ended or page != self._page, POLL_S)
            self._require(page)
            task = self._pending
            return {"number": self._number} | task.content if task is not None else None

    def file(self, page: str, task: int, number: int) -> bytes:
        with self._changed:
            self._require(page)
            pending = self._pending
            if pending is None or task != self._number or not 0 <= number < len(pending.files):
                raise Malformed("There is no such file.")
            return pending.files[number]

    def report(self, page: str, task: Any, done: Any) -> None:
        """The page is alive, and has done so many steps of a task; of one that is past nothing is noted."""
        with self._changed:
            self._require(page)
            if type(task) is not int or type(done) is not int or done < 0:
                raise Malformed("This is no report of progress.")
            pending = self._pending
            if pending is not None and task == self._number:
                if done > pending.steps:
                    raise Malformed(f"{done} steps of {pending.steps} cannot be done.")
                self._done = max(self._done, done)
                self._changed.notify_all()

    def answer(self, page: str, answer: Any) -> None:
        """Raises Malformed, and changes nothing, for what is no answer to the task."""
        with self._changed:
            self._require(page)
            pending = self._pending
            if not isinstance(answer, dict) or pending is None or answer.get("task") != self._number:
                raise Malformed("This is no answer to what was asked.")
            if "error" in answer:
                self._answer.set_exception(EdgeNASError(f"The browser could not do it: {_plain(answer['error'])}"))
            else:
                try:
                    self._answer.set_result(pending.read(answer))
                except (ValueError, KeyError, TypeError, OverflowError) as error:
                    raise Malformed(f"This is no answer to what was asked: {_plain(str(error))}") from error
            self._changed.notify_all()

    @property
    def _pending(self) -> Task | None:
        """What is still to be done."""
        return None if self._answer.done() or self._ended else self._task

    def _require(self, page: str) -> None:
        self._require_going()
        if self._page is None or not secrets.compare_digest(page.encode(), self._page.encode()):
            raise Taken("EdgeNAS has gone on in another page. This one can be closed.")
        self._heard = time.monotonic()

    def _require_going(self) -> None:
        if self._ended:
            self._told = True
            self._changed.notify_all()
            raise Taken("Done. This page can be closed.")


def _plain(text: Any) -> str:
    """What a browser says, fit to be shown at a terminal."""
    return "".join(c for c in str(text) if c.isprintable())[:500]
