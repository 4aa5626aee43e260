"""What of a folder's content is images for training, and what is left aside."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from edgenas.data.formats import suffixes, why_not
from edgenas.data.sources.source import LeftOut

SYSTEM_FOLDERS = {"@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
"""Of NAS boxes, Windows and Linux: thumbnails and what was deleted."""
SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Content:
    """folders: relative, with a slash at the end. images: names of files below them."""

    folders: tuple[str, ...]
    images: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_below_hidden(path: str) -> bool:
    """Whether it, or a folder that it is in, is hidden."""
    return "/." in f"/{path}" or "/__MACOSX/" in f"/{path}/"


def sort_out(folders: Iterable[str], files: Collection[str]) -> Content:
    """What is no class and no image is left out and counted: the system's own, EdgeNAS's own, and what is no image."""
    folders = sorted(folders)
    read = suffixes()
    own = own_folders(folders, files, read)
    left: dict[str, list[str]] = {}
    images = []
    for name in sorted(files):
        if inside := next((folder for folder in own if name.startswith(folder)), None):
            if name.lower().endswith(read):
                left.setdefault(f"in {inside}, which EdgeNAS wrote itself", []).append(name)
        elif system := _system_folder(name[: name.rfind("/") + 1]):
            left.setdefault(f"in {system}, which the system keeps for itself", []).append(name)
        elif name.lower().endswith(read):
            images.append(name)
        elif name.rpartition("/")[2].lower() not in SYSTEM_FILES:
            left.setdefault(why_not(PurePosixPath(name).suffix.lower()), []).append(name)
    kept = (f for f in folders if not f.startswith(tuple(own)) and not _system_folder(f))
    left_out = sorted((LeftOut.of(each, why) for why, each in left.items()), key=lambda each: -each.count)
    return Content(tuple(kept), tuple(images), tuple(left_out))


def own_folders(folders: Collection[str], files: Collection[str], read: tuple[str, ...]) -> list[str]:
    """What EdgeNAS writes where it is called, which may be within the images: runs, `runs/` of nothing else, and `devices/`."""
    marks = ("config.toml", "tune/trials.db")
    runs = {name.removesuffix(mark) for name in files for mark in marks if name.endswith(f"/{mark}")}
    own = set(runs)
    for folder in (f for f in folders if PurePosixPath(f).name in ("runs", "devices")):
        below = [f for f in folders if f != folder and f.startswith(folder)]
        content = [name for name in files if name.startswith(folder)]
        if PurePosixPath(folder).name == "devices":
            is_own = not any(name.lower().endswith(read) for name in content) and (content or not below)
        else:
            is_own = all(name.startswith(tuple(runs)) for name in content)
        if is_own:
            own.add(folder)
    return sorted(own)


@lru_cache(maxsize=1000)
def _system_folder(path: str) -> str | None:
    """The folder of the system that a folder is, or is in."""
    return next((part for part in path.split("/") if part.lower() in SYSTEM_FOLDERS), None)
