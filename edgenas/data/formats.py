"""Which files are images: what Pillow reads, HEIC where pillow-heif is installed, and what is known of the others."""

from __future__ import annotations

from functools import cache
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from edgenas.errors import DataError
from edgenas.extras import has

NO_PICTURES = {"EPS", "MPEG"}
"""Formats that Pillow knows without reading them itself: one needs Ghostscript, the other is only recognised."""
HEIC = (".heic", ".heics", ".heif", ".heifs", ".hif")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
NEEDS_HEIC = "pip install 'edgenas[heic]' reads HEIC"
RAW = (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw")


@cache
def pillow_suffixes() -> tuple[str, ...]:
    Image.init()
    kinds = {name: kind for name, (kind, _) in Image.OPEN.items() if isinstance(kind, type)}
    stubs = {name for name, kind in kinds.items() if issubclass(kind, ImageFile.StubImageFile)}
    formats = set(Image.OPEN) - stubs - NO_PICTURES - {"HEIF"}
    return tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in formats))


def suffixes() -> tuple[str, ...]:
    """Of all files that are read, in lower case with their dot."""
    return pillow_suffixes() + (HEIC if has("heic") else ())


def prepare() -> None:
    """Makes everything known to Pillow, in this process; to be called by one thread."""
    Image.init()
    if has("heic"):
        import pillow_heif

        pillow_heif.register_heif_opener()


USUAL = ("JPEG", "PNG", "WEBP", "PPM")
"""Formats that are tried first. Pillow itself asks every plug-in in turn, some of which begin to read before they know."""


def opened(stream: BinaryIO) -> Image.Image:
    """What `PIL.Image.open` makes of a stream, sooner; after `prepare`."""
    return Image.open(stream, formats=_in_turn(len(Image.ID)))


@cache
def _in_turn(count: int) -> tuple[str, ...]:
    """All formats, of which Pillow knows so many by now."""
    return tuple(sorted(Image.ID, key=lambda name: name not in USUAL))


def why_not(suffix: str) -> str:
    """What to say of files with a suffix that is not read."""
    if suffix in HEIC:
        return f"{suffix} is not read: {NEEDS_HEIC}"
    if suffix in RAW:
        return f"{suffix} is a camera's raw format, which is not read: export it as JPEG or TIFF"
    return f"{suffix} is no image that is read" if suffix else "no suffix says that they are images"


def why_unreadable(error: Exception, head: bytes) -> str:
    """The reason why an image could not be decoded. head: the first bytes of its file, as far as they could be read."""
    if isinstance(error, FileNotFoundError):
        return "it is a link to nothing"
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not head:
        return "it is empty"
    if not isinstance(error, UnidentifiedImageError):
        return (str(error).splitlines() or [type(error).__name__])[0]
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and not has("heic"):
        return f"it is HEIC, whatever its name says: {NEEDS_HEIC}"
    if head.lstrip()[:1] == b"<":
        return "it is text such as HTML, no image"
    return "it is in no image format that is read, or its beginning is damaged"
