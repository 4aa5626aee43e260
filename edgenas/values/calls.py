"""`checked`: a function whose parameters are what their annotations demand, or it is not begun."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Annotated, Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from edgenas.errors import UsageError
from edgenas.values.reading import Unfit, read

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Checks what is annotated with a kind of `edgenas.values`; raises UsageError that speaks of the parameter in backticks.

    What has no rule, such as a callback, is left to the function.
    """
    signature = inspect.signature(function)

    @cache
    def kinds() -> dict[str, Any]:
        hints = get_type_hints(function, include_extras=True)
        return {name: hints[name] for name in signature.parameters if name in hints and _has_rule(hints[name])}

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        for name, kind in kinds().items():
            if name in given.arguments:
                given.arguments[name] = fit(kind, given.arguments[name], name)
        return function(*given.args, **given.kwargs)

    return call


def fit(kind: Any, value: Any, parameter: str) -> Any:
    """A parameter's value, checked. Raises UsageError."""
    try:
        return read(kind, value, f"`{parameter}`")
    except Unfit as refusal:
        raise UsageError(str(refusal)) from None


def _has_rule(kind: Any) -> bool:
    return get_origin(kind) is Annotated or any(map(_has_rule, get_args(kind)))
