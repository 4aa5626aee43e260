"""Names of files and classes as text, and the text of files.

File systems and archives keep names as bytes. They are UTF-8 nearly always; é may be one character or two (NFC, NFD), which
look alike and compare unequal. Here bytes become text, and text is made comparable and printable. What is no UTF-8 keeps its
bytes visibly, as in `caf\\xe9`: in which encoding it was meant is not known, and not guessed.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def of_bytes(name: bytes) -> str:
    """Whatever the bytes, without an error."""
    return name.decode("utf-8", errors="backslashreplace")


def of_file(name: str) -> str:
    """The text of a path as `os` and the command line give it, whatever the locale. The inverse of `to_file` for UTF-8."""
    try:
        return of_bytes(os.fsencode(name))
    except UnicodeEncodeError:  # not from the file system: text already, which the locale cannot write
        return storable(name)


def to_file(text: str) -> str:
    """What `os` takes to find the file with this name."""
    return os.fsdecode(text.encode("utf-8", errors="surrogateescape"))


def of_class(name: str) -> str:
    """The name of a class as it is compared, kept and exported: in NFC."""
    return unicodedata.normalize("NFC", name)


def storable(value: T) -> T:
    """Text, or lists and tables of it, without what UTF-8 cannot write: undecodable bytes of a path."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            return of_bytes(value.encode("utf-8", errors="surrogateescape"))  # type: ignore
        except UnicodeEncodeError:  # half a character, which no path has
            return of_bytes(value.encode("utf-8", errors="backslashreplace"))  # type: ignore
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}  # type: ignore
    if isinstance(value, list | tuple):
        return type(value)(storable(item) for item in value)
    return value


def printable(name: str) -> str:
    """On one line, with nothing that a terminal obeys: control characters as their escapes."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else ascii(c)[1:-1] for c in name)


def quoted(name: str) -> str:
    """For a sentence."""
    return f"'{printable(name)}'"


_PLAIN = re.compile(r"[\w@%+:./][\w@%+:./-]*", re.ASCII)


def pasted(name: str | os.PathLike[str]) -> str:
    """A path or a name as it stands in a command, so that the command can be pasted into a shell."""
    text = os.fspath(name)
    text = f"./{text}" if text.startswith("-") else text
    return text if _PLAIN.fullmatch(text) else shlex.quote(of_file(text))


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names, for a sentence."""
    return ", ".join(map(quoted, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def text_of(content: bytes) -> str:
    """The text of a file that people and their editors write: UTF-8 whatever the locale, or what its byte order mark says.

    Raises UnicodeDecodeError, a ValueError, where it is none.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell 5 redirects
    return content.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")
