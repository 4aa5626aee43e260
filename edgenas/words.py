"""Grammar of messages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 image`, `1,200 images`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
