"""Which images a data set is split into, by their classes, a seed, and what is equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.data.sources import PARTS


def first_of_groups(labels: np.ndarray, count: int, groups: np.ndarray | None) -> np.ndarray:
    """Of the first `count` rows with a label those whose group has not come before, ascending."""
    rows = np.flatnonzero(labels[:count] >= 0)
    if groups is None:
        return rows
    return rows[np.sort(np.unique(groups[rows], return_index=True)[1])]


def split_rows(
    labels: np.ndarray, parts: Mapping[str, int], shares: Mapping[str, float], seed: int, groups: np.ndarray | None = None,
    fixed: np.ndarray | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The rows of every part, shuffled so that any first few are a fair sample.

    labels: `(n,)`, -1 for rows that belong to no split. parts: how many rows each given part has, in order of the rows.
    shares: the share of the training rows of each class that parts not given get, one row at least.
    groups: `(n,)`, equal for equal images. They stay together where a part is carved out, and images of given parts that are
    for training, too, or in two of the others, are in the first of training, test and validation alone.
    fixed: `(n,)`, the part of `PARTS` that a row and those of its group are in already, -1 where they are in none: there they
    stay, but that those of a given validation or test set are in no other. A class gets the rest of its shares from the others.
    """
    ends = np.cumsum(list(parts.values()))
    given = dict(zip(parts, np.split(np.arange(len(labels)), ends[:-1]), strict=True))
    groups = np.arange(len(labels)) if groups is None else groups
    stays = np.full(len(labels), -1) if fixed is None else _of_groups(groups, fixed)
    rows: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    train = given["train"][labels[given["train"]] >= 0]
    for number, part in enumerate(PARTS):
        rows[part].append(train[stays[train] == number])
    free = train[stays[train] < 0]
    missing = {part: share for part, share in shares.items() if part not in given}
    if missing and len(free):
        carved = _carved(labels, free, missing, seed, groups, {part: found[0] for part, found in rows.items()})
    else:
        carved = {"train": [free]}
    for part, found in carved.items():
        rows[part] += found
    taken = [groups[train]]
    for part in ("test", "validation"):
        if part in given:
            of_it = given[part][labels[given[part]] >= 0]
            is_free = (stays[of_it] < 0) & ~np.isin(groups[of_it], np.concatenate(taken))
            rows[part].append(of_it[is_free | (stays[of_it] == PARTS.index(part))])
            taken.append(groups[rows[part][-1]])
    return {part: np.random.default_rng([seed, i]).permutation(np.concatenate(rows[part])) for i, part in enumerate(PARTS)}


def _of_groups(groups: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """`(n,)`: the part of every row by those of its group, training before validation before test."""
    part_of = np.full(groups.max(initial=-1) + 1, -1)
    for number in reversed(range(len(PARTS))):
        part_of[groups[fixed == number]] = number
    return part_of[groups]


def _carved(
    labels: np.ndarray, rows: np.ndarray, shares: Mapping[str, float], seed: int, groups: np.ndarray,
    staying: Mapping[str, np.ndarray],
) -> dict[str, list[np.ndarray]]:  # fmt: skip
    """Training rows and those that become the missing parts, of every class the same share of it and of what stays."""
    carved: dict[str, list[np.ndarray]] = {part: [] for part in ("train", *shares)}
    firsts = rows[np.sort(np.unique(groups[rows], return_index=True)[1])]
    for label in np.unique(labels[firsts]):
        # A stream of its own: more images of one class do not move those of another.
        members = np.random.default_rng([seed, label]).permutation(firsts[labels[firsts] == label])
        already = {part: len(np.unique(groups[there[labels[there] == label]])) for part, there in staying.items()}
        count = len(members) + sum(already.values())
        for part, share in shares.items():
            part_count = max(0, max(1, round(share * count)) - already[part])
            carved[part].append(members[:part_count])
            members = members[part_count:]
        carved["train"].append(members)
    copies = np.setdiff1d(rows, firsts)
    for chosen in carved.values():
        chosen.append(copies[np.isin(groups[copies], groups[np.concatenate(chosen)])])
    return carved
