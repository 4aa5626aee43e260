"""`read`: the one reader of what comes from outside. Plain data in, a checked value out.

What is wanted is said by types: dataclasses, `Annotated` with the rules of `edgenas.values.rules`, tuples, dictionaries,
unions. A dataclass that has another one's fields among its own in plain data marks that one as `Inlined`.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edgenas.values.rules import AsWritten, OneOf, Rule, shown, unknown

T = TypeVar("T")

MOST_DEEP = 32
"""How deep data whose form nobody knows may be nested."""


class Unfit(ValueError):
    """Data that is not what is wanted. The message is one sentence and says where in the data."""


_INLINED = object()
Inlined = Annotated[T, _INLINED]
"""A field of a dataclass that is, in plain data, no table of its own: its fields stand beside the others."""


def read(kind: Any, data: Any, place: str = "") -> Any:
    """Plain data, as JSON or TOML gives it, as a value of a kind: nothing is converted but whole numbers to floats, floats
    without a fraction to whole numbers, lists to tuples and tables to dataclasses.

    place: what the data is called in the message. Raises Unfit.
    """
    wanted, rules = _parts(kind)
    value = _typed(wanted, rules, data, place)
    for rule in rules:
        if not rule.allows(value):
            raise Unfit(rule.refusal(place, _demanded(wanted, rules), data))
    return value


def plain(value: Any) -> Any:
    """Inverse of `read`. What has a `to_json` is written as that says."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        return plain_fields(value)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(inner) for inner in value]
    return value


def plain_fields(value: Any) -> dict[str, Any]:
    """A dataclass as plain data, for a `to_json` that adds to it."""
    kind: Any = type(value)
    data: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        inner = plain(getattr(value, name))
        data |= inner if _is_inlined(hint) else {name: inner}
    return data


def check_fields(value: Any) -> None:
    """For the `__post_init__` of a frozen dataclass: every field as its annotation demands. Raises Unfit."""
    own: Any = type(value)
    for name, kind in _hints(own).items():
        object.__setattr__(value, name, read(kind, getattr(value, name), name))


# ---- types ----

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
_NUMBERS = int | float


def _parts(kind: Any) -> tuple[Any, tuple[Rule, ...]]:
    if get_origin(kind) is Annotated:
        inner, *rules = get_args(kind)
        return inner, tuple(rule for rule in rules if isinstance(rule, Rule))
    return kind, ()


def _demanded(kind: Any, rules: Sequence[Rule]) -> str:
    """The kind in words, such as `a whole number from 1 to 8`."""
    words = _WORDS.get(kind) or ("a table" if get_origin(kind) is dict or is_dataclass(kind) else "a list")
    return " ".join([words, *(rule.words for rule in rules if rule.words)])


def _typed(kind: Any, rules: Sequence[Rule], data: Any, place: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return _bounded(data, place)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), data, place)
    if origin is Literal:
        if data not in get_args(kind):
            raise Unfit(unknown(place.rpartition(".")[2], data, map(str, get_args(kind))))
        return data
    if origin in (tuple, list):
        return _sequence(kind, origin, rules, data, place)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(get_args(kind), data, place)
    if hasattr(kind, "from_json"):
        try:
            return kind.from_json(data)
        except (Unfit, ValueError, KeyError, TypeError) as error:
            raise Unfit(f"{place} is wrong: {error}") from None
    if is_dataclass(kind) and type(data) is not kind:
        return _dataclass(kind, data, place)
    if kind in _WORDS:
        return _scalar(kind, rules, data, place)
    if not isinstance(data, kind):
        raise Unfit(f"{place} must be a {kind.__name__}, not {shown(data)}.")
    return data


def _scalar(kind: Any, rules: Sequence[Rule], data: Any, place: str) -> Any:
    is_number = isinstance(data, _NUMBERS) and not isinstance(data, bool)
    try:
        if kind is float and is_number and (rules or math.isfinite(data)):
            return data if any(isinstance(rule, AsWritten) for rule in rules) else float(data)
        if kind is int and is_number and data == int(data):
            return int(data)
    except (OverflowError, ValueError):  # infinity and NaN as whole numbers, whole numbers that no float can be
        pass
    if kind is Path and isinstance(data, (str, Path)):
        return Path(data)
    if kind in (str, bool) and type(data) is kind:
        return data
    if kind is str and (names := next((rule for rule in rules if isinstance(rule, OneOf)), None)):
        raise Unfit(names.refusal(place, "", data))
    raise Unfit(f"{place} must be {_demanded(kind, rules)}, not {shown(data)}.")


def _one_of(kinds: tuple[Any, ...], data: Any, place: str) -> Any:
    if data is None and types.NoneType in kinds:
        return None
    refusals = []
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return read(kind, data, place)
            except Unfit as refusal:
                refusals.append(refusal)
    raise refusals[0]


def _sequence(kind: Any, origin: Any, rules: Sequence[Rule], data: Any, place: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise Unfit(f"{place} must be {_demanded(kind, rules)}, not {shown(data)}.")
    for rule in rules:
        if rule.words and not rule.allows(data):  # its length, before anything of it is read
            raise Unfit(rule.refusal(place, _demanded(kind, rules), data))
    kinds = get_args(kind)
    if origin is tuple and Ellipsis not in kinds:
        if len(data) != len(kinds):
            raise Unfit(f"{place} must have {len(kinds)} entries, not {len(data)}.")
        return tuple(read(k, entry, f"{place}[{i}]") for i, (k, entry) in enumerate(zip(kinds, data, strict=True)))
    return origin(read(kinds[0], entry, f"{place}[{i}]") for i, entry in enumerate(data))


def _mapping(kinds: tuple[Any, ...], data: Any, place: str) -> dict[Any, Any]:
    if not isinstance(data, Mapping):
        raise Unfit(f"{place} must be a table, not {shown(data)}.")
    named, valued = kinds
    return {
        read(named, name, f"the name {shown(name)} in {place}"): read(valued, value, f"{place}[{shown(name)}]")
        for name, value in data.items()
    }


def _dataclass(kind: Any, data: Any, place: str) -> Any:
    if not isinstance(data, dict):
        raise Unfit(f"{place or 'the whole'} must be a table, not {shown(data)}.")
    values, rest = _fields(kind, dict(data), place)
    if rest and not getattr(kind, "takes_others", False):
        wrong = next(iter(rest))
        raise Unfit(unknown("field", f"{_dot(place)}{wrong}", [_dot(place) + name for name in _plain_names(kind)]))
    try:
        return kind(**values)
    except Unfit:
        raise
    except ValueError as error:
        raise Unfit(f"{place or 'it'} is wrong: {error}") from None


def _fields(kind: Any, data: dict[str, Any], place: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a dataclass's fields, and what is left of the data."""
    values = {}
    for f in fields(kind):
        hint = _hints(kind)[f.name]
        if _is_inlined(hint):
            kind_inside, _ = _parts(hint)
            inner, data = _fields(kind_inside, data, place)
            values[f.name] = kind_inside(**inner)
        elif f.name in data:
            values[f.name] = read(hint, data.pop(f.name), _dot(place) + f.name)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise Unfit(f"the field {_dot(place)}{f.name} is missing.")
    return values, data


def _plain_names(kind: Any) -> list[str]:
    """The names that a dataclass's plain data may have."""
    names: list[str] = []
    for name, hint in _hints(kind).items():
        names += _plain_names(_parts(hint)[0]) if _is_inlined(hint) else [name]
    return names


def _is_inlined(hint: Any) -> bool:
    return get_origin(hint) is Annotated and _INLINED in get_args(hint)


def _dot(place: str) -> str:
    return f"{place}." if place else ""


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def _bounded(data: Any, place: str, depth: int = 0) -> Any:
    """Data whose form nobody knows: texts, finite numbers, and lists and tables of them."""
    if depth > MOST_DEEP:
        raise Unfit(f"{place} is nested too deeply.")
    if isinstance(data, dict):
        return {name: _bounded(value, _dot(place) + str(name), depth + 1) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_bounded(value, place, depth + 1) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        raise Unfit(f"{place} must be a finite number, not {data}.")
    return data
