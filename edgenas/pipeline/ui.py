"""A run's page while others are at work on the run: served on this machine, and made anew when there is something new.

The run is only read, and without a lock: whoever trains, measures or searches is not disturbed, and nothing is written into it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from edgenas.data import Dataset
from edgenas.device import DEVICES, load_device
from edgenas.errors import EdgeNASError
from edgenas.extras import require
from edgenas.latency import LatencyTable, peek_table
from edgenas.metric import Metric
from edgenas.pipeline.devices import comparable
from edgenas.pipeline.evaluations import known_evaluations
from edgenas.pipeline.gathering import Place, gather, images_of, place_of, points, with_drawings, with_images
from edgenas.progress import Track, quiet
from edgenas.report.live import SCRIPT, LiveServer, Shown
from edgenas.report.page import Content, Live, UnderWay, render_page
from edgenas.report.progress import on_exports, on_profiles, on_search, on_training
from edgenas.run import Run
from edgenas.search import load_records, unfinished
from edgenas.values import Within, checked
from edgenas.values.kinds import GivenPath, GivenText

LEAST_PAUSE_S, PAUSES = 10.0, 10.0
"""After a page was made there is no other for so long, and for so many times as long as it took."""
LOOK_S = 1.0
AT_WORK_S = 900.0
"""A latency table that has not changed for so long is not being measured."""
NICENESS = 10

MADE_OF = ("config.toml", "metrics.jsonl", "commands.log", "supernet.safetensors", "search", "finetune", "export", "baselines")
"""Files of a run, and folders of files, that its page is made of."""
OF_NO_CONCERN = ("checkpoint.safetensors", "tensorboard")
"""What is in such folders, too."""

NO_IMAGES_YET = "They are looked at once a network is verified: for what may mislead in them, and for its worst mistakes."

Port = Annotated[int, Within(0, 65_535)]


class LivePage:
    """The page of the run in a folder, as `server` serves it. See `live_page`."""

    def __init__(
        self, folder: Path, port: int = 0, data: str | Dataset | None = None, track: Track = quiet,
        in_words: Callable[[str], str] = str,
    ):  # fmt: skip
        self._folder = folder
        self._data, self._track, self._in_words = data, track, in_words
        self._photos: tuple[Any, Content] = None, Content()
        self.server = LiveServer(self._made(), port)

    @property
    def address(self) -> str:
        return self.server.address

    def follow(self) -> None:
        """Make the page anew whenever there is something new and somebody asks, until Ctrl-C."""
        with suppress(AttributeError, OSError):
            os.nice(NICENESS)  # what trains, measures and searches goes first
        while True:
            if self.server.asked.wait(LOOK_S):
                self.server.asked.clear()
                time.sleep(self.renew())

    def renew(self) -> float:
        """Make the page anew if there is something new, and say for how many seconds not to do that again.

        What is damaged, or in the middle of a change, leaves the page as it was, with a sentence that says so.
        """
        begin, shown = time.monotonic(), self.server.shown
        try:
            if state_of(self._folder) == shown.version:
                self.server.shown = replace(shown, notice="")
                return 0.0
            self.server.shown = self._made()
        except Exception as error:  # whatever it makes of files that do not fit together
            why = self._in_words(str(error)) if isinstance(error, EdgeNASError | OSError) else repr(error)
            self.server.shown = replace(shown, notice=f"This page is as it was: what there is now cannot be read. {why}")
        return max(LEAST_PAUSE_S, PAUSES * (time.monotonic() - begin))

    def _made(self) -> Shown:
        state = state_of(self._folder)  # what changes from now on is for the next page
        run = Run.peek(self._folder)
        return Shown(render_page(run, self._content(run), Live(SCRIPT, state)), state)

    def _content(self, run: Run) -> Content:
        progress = [*on_training(run), *on_profiles(run, _tables_at_work())]
        if not run.weights.exists():
            return Content(progress=progress, without_images=NO_IMAGES_YET)
        records = load_records(run.path / "search")
        tables, lacking = _tables(run, map(place_of, records))
        compared = [] if lacking else comparable(run, records)
        content = with_drawings(gather(run, records, compared), run, compared, tables)
        under_way, searching = _under_way(run)
        progress += [*searching, *on_exports(run)]
        progress += [f"What was found for {where} is not drawn. {self._in_words(why)}" for where, why in lacking.items()]
        return self._with_images(run, replace(content, progress=progress, under_way=under_way))

    def _with_images(self, run: Run, content: Content) -> Content:
        """Decoded and classified once for every network that is the best."""
        if content.best is None:
            return replace(content, without_images=NO_IMAGES_YET)
        about = content.best, run.config["data"]
        if self._photos[0] != about:
            self._photos = about, with_images(content, images_of(run, self._data, self._track), self._track)
        shown = self._photos[1]
        return replace(content, mistakes=shown.mistakes, data=shown.data, without_images=self._in_words(shown.without_images))


@checked
@contextmanager
def live_page(
    run: GivenPath, *, port: Port = 0, data: GivenText | Dataset | None = None, track: Track = quiet,
    in_words: Callable[[str], str] = str,
) -> Iterator[LivePage]:  # fmt: skip
    """Make the page of the run in a folder, and serve it on this machine until the block ends.

    port: 0 for a free one. data: where the run's images are now, or they. in_words: what a message of the library is where the
    page is shown.
    Raises UsageError where there is no run, and EdgeNASError where it is damaged, or without the extra `report`.
    """
    require("report", "The page")
    page = LivePage(run, port, data, track, in_words)
    with page.server, page.server.in_background():
        yield page


def latest(folder: Path = Path("runs")) -> Path:
    """The run in `folder` where something was done last. Raises UsageError where there is none."""
    found = [config.parent for config in folder.glob("*/config.toml")]
    if not found:
        return Run.latest(folder).path  # which says how to make one
    return max(found, key=lambda run: max(changed for _, changed, _ in _stamps(_files(run))))


def state_of(folder: Path) -> str:
    """Another one whenever a file that a run's page is made of has changed."""
    return hashlib.sha256(repr(_stamps([*_files(folder), *_table_files()])).encode()).hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    """What the page of a run is made of."""
    found = [folder / name for name in MADE_OF]
    for part in found[:]:
        for where, folders, files in os.walk(part):
            folders[:] = [name for name in folders if name not in OF_NO_CONCERN]
            found += [Path(where, name) for name in files if name not in OF_NO_CONCERN and not name.startswith(".")]
    return found


def _table_files() -> list[Path]:
    return sorted(DEVICES.glob("*/*.json"))


def _stamps(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, time of the last change in ns, and size, of those that are there."""
    stamps = []
    for path in files:
        with suppress(FileNotFoundError):
            stat = path.stat()
            stamps.append((str(path), stat.st_mtime_ns, stat.st_size))
    return sorted(stamps)


def _tables_at_work() -> list[LatencyTable]:
    """Those in the working folder to which something was added lately: they are saved after every group of blocks."""
    changed = [(path, path.stat().st_mtime) for path in _table_files()]
    tables = []
    for path, then in changed:
        if time.time() - then < AT_WORK_S:
            with suppress(EdgeNASError):  # of whatever device: where it matters, that is said
                tables.append(_read_table(path, then))
    return tables


@lru_cache(maxsize=256)
def _read_table(path: Path, changed: float) -> LatencyTable:
    """Once for every change."""
    return LatencyTable.load(path)


def _tables(run: Run, places: Iterable[Place]) -> tuple[dict[Place, LatencyTable], dict[str, str]]:
    """Those that hold now, since others may be on the way; and for the other places why there is none."""
    tables, lacking = {}, {}
    for device, execution in dict.fromkeys(places):
        try:
            tables[device, execution] = peek_table(load_device(device), run.space, execution, allow_emulated=True)
        except EdgeNASError as error:
            lacking[f"{device} ({execution})"] = str(error)
    return tables, lacking


def _under_way(run: Run) -> tuple[list[UnderWay], list[str]]:
    """What a search that has not ended has evaluated, and a sentence on that."""
    attempt = unfinished(run.path / "search")
    if attempt is None or attempt.sought is None:
        return [], []
    sought = attempt.sought
    tables, _ = _tables(run, [(sought.device, execution) for execution in sought.executions])
    metric = Metric.named(sought.metric, run.classes)
    known = {how: known_evaluations(run, metric, how.precision) for how in sought.executions}
    drawn = [UnderWay(sought, how, table.kind, points(run, table, known[how])) for (_, how), table in tables.items()]
    return [each for each in drawn if len(each.evaluated)], [on_search(sought, len(known[sought.executions[0]]))]
