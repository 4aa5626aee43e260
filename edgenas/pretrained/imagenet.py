"""The classes of ImageNet, which published weights know."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of its images: what torchvision, timm and Once-for-All normalise by, unless they say otherwise."""


@cache
def _rows() -> tuple[tuple[str, str], ...]:
    lines = (Path(__file__).parent / "imagenet.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return tuple((id_, names) for id_, names in rows)


@cache
def classes() -> tuple[str, ...]:
    """1,000 names such as `tench`, the first of WordNet's; all of them, and the id if need be, where two classes have one."""
    rows = _rows()
    first = Counter(names.split(", ")[0] for _, names in rows)
    every = Counter(names for _, names in rows)
    return tuple(
        short if first[short := names.split(", ")[0]] == 1 else names if every[names] == 1 else f"{names} ({id_})"
        for id_, names in rows
    )


@cache
def synonyms() -> dict[str, int]:
    """WordNet ids, and all further names that belong to one class alone, to the place of the class."""
    rows = _rows()
    told = Counter(name for _, names in rows for name in {names, *names.split(", ")})
    found = {name: i for i, (_, names) in enumerate(rows) for name in (names, *names.split(", ")) if told[name] == 1}
    return found | {id_: i for i, (id_, _) in enumerate(rows)}
