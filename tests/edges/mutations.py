"""Damage at random, of bytes and of structure, the same for the same seed."""

from __future__ import annotations

import json
import random
import struct
import tomllib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import tomli_w

HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 1.5, 10**9, -(2**63), 10**30, 1e308, -1e308, float("nan"), float("inf"), "", "x", "nan", "1",
    "/../../../escaped-", "\0", "\x1b[2J", "x" * 30_000, [], {}, [[]], [None], [-1], {"": 0}, "int8", "measured",
]  # fmt: skip


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    kind, data = rng.randrange(7), bytearray(content)
    begin, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    end = min(end, begin + 200)
    if kind == 0:
        return bytes(data[:begin])
    if kind == 1:
        del data[begin:end]
    elif kind == 2:
        data[begin:begin] = data[begin:end] * rng.randrange(1, 20)
    elif kind == 3:
        data[begin:end] = bytes(rng.randrange(256) for _ in range(end - begin))
    elif kind == 4:
        data[begin:end] = bytes(end - begin)
    elif kind == 5 and data:
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    else:
        return rng.choice([b"", b"\0" * 100, b"{}", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", content * 2, content[::-1]])
    return bytes(data)


def damaged_data(data: Any, rng: random.Random, allowed: Callable[[Any], bool] = lambda value: True) -> Any:
    """Plain data with one to three things in it changed: removed, renamed, swapped, nested or replaced."""
    for _ in range(rng.randrange(1, 4)):
        places: list[tuple[Any, Any]] = []

        def walk(node: Any, places: list[tuple[Any, Any]] = places) -> None:
            for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
                places.append((node, key))
                walk(node[key])

        walk(data)
        if not places:
            return data
        node, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind == 0:
            del node[key]
        elif kind == 1 and isinstance(node, dict):
            node[rng.choice(["x", "../x", str(key) + "_", str(key).upper()])] = node.pop(key)
        elif kind == 2:
            other, name = rng.choice(places)
            if (isinstance(other, dict) and name in other) or (isinstance(other, list) and name < len(other)):
                node[key] = json.loads(json.dumps(other[name], default=str))
        elif kind == 3 and isinstance(node[key], list):
            node[key] = node[key] * rng.choice([0, 2, 1000])
        elif kind == 4 and isinstance(node[key], (int, float)):
            node[key] = node[key] * rng.choice([-1, 0, 1e-300, 10**6, 1e300])
        elif kind == 5:
            nested: Any = 0
            for _ in range(rng.choice([3, 40])):
                nested = [nested]
            node[key] = nested
        else:
            node[key] = deepcopy(rng.choice(list(filter(allowed, HOSTILE))))
    return data


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    return json.dumps(damaged_data(json.loads(content), rng)).encode()


def damaged_toml(content: bytes, rng: random.Random) -> bytes:
    data = damaged_data(tomllib.loads(content.decode()), rng, lambda value: value not in (None, [None]))
    return tomli_w.dumps(data).encode()


def damaged_lines(content: bytes, rng: random.Random) -> bytes:
    """Of JSON, one a line."""
    lines = content.splitlines()
    number = rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        del lines[number]
    elif kind == 1:
        lines.insert(number, lines[rng.randrange(len(lines))])
    else:
        lines[number] = damaged_json(lines[number], rng)
    return b"\n".join(lines) + b"\n"


def damaged_tensors(content: bytes, rng: random.Random) -> bytes:
    """Of a safetensors file: its header, its description, or the numbers themselves."""
    (length,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    kind = rng.randrange(4)
    if kind == 0:
        begin = rng.randrange(len(rest) // 4) * 4
        rest[begin : begin + 4] = struct.pack("<f", rng.choice([float("nan"), float("inf"), 1e38]))
    elif kind == 1 and "edgenas" in header.get("__metadata__", {}):
        about = damaged_data(json.loads(header["__metadata__"]["edgenas"]), rng)
        header["__metadata__"]["edgenas"] = json.dumps(about)
    elif kind == 2:
        names = [name for name in header if name != "__metadata__"]
        a, b = rng.choice(names), rng.choice(names)
        header[a], header[b] = header[b], header[a]
    else:
        header = damaged_data(header, rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(rest)
