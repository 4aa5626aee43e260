"""What of a folder's content is images for training, and what is left aside."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgenas.data.sources.source import LeftOut, is_image

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


def sort_out(folders: Iterable[str], files: Collection[str]) -> Content:
    """What is no class and no image is left out and counted: the system's own, EdgeNAS's own, and what is no image."""
    folders = sorted(folders)
    own = own_folders(folders, files)
    left: dict[str, list[str]] = {}
    images = []
    for name in sorted(files):
        if inside := next((folder for folder in own if name.startswith(folder)), None):
            if is_image(name):
                left.setdefault(f"in {inside}, which EdgeNAS wrote itself", []).append(name)
        elif system := _system_folder(name):
            left.setdefault(f"in {system}, which the system keeps for itself", []).append(name)
        elif is_image(name):
            images.append(name)
        elif PurePosixPath(name).name.lower() not in SYSTEM_FILES:
            left.setdefault(_kind(name), []).append(name)
    kept = (f for f in folders if not f.startswith(tuple(own)) and not _system_folder(f))
    left_out = sorted((LeftOut.of(each, why) for why, each in left.items()), key=lambda each: -each.count)
    return Content(tuple(kept), tuple(images), tuple(left_out))


def own_folders(folders: Collection[str], files: Collection[str]) -> list[str]:
    """What EdgeNAS writes where it is called, which may be within the images: runs, `runs/` of nothing else, and `devices/`."""
    marks = ("config.toml", "tune/trials.db")
    runs = {name.removesuffix(mark) for name in files for mark in marks if name.endswith(f"/{mark}")}
    own = set(runs)
    for folder in (f for f in folders if PurePosixPath(f).name in ("runs", "devices")):
        below = [f for f in folders if f != folder and f.startswith(folder)]
        content = [name for name in files if name.startswith(folder)]
        if PurePosixPath(folder).name == "devices":
            is_own = not any(map(is_image, content)) and (content or not below)
        else:
            is_own = all(name.startswith(tuple(runs)) for name in content)
        if is_own:
            own.add(folder)
    return sorted(own)


def _system_folder(name: str) -> str | None:
    return next((part for part in name.split("/")[:-1] if part.lower() in SYSTEM_FOLDERS), None)


def _kind(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return f"{suffix} is no image that is read" if suffix else "no suffix says that they are images"
