"""Grammar of messages."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 image`, `2 images`; what follows `one` in the singular may be in both: `1 image is`, `2 images are`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
