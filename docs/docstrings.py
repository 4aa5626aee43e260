"""EdgeNAS's docstrings are plain text. This makes of them what Sphinx reads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, ForwardRef


def as_restructured_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's hook `autodoc-process-docstring`: changes the lines in place."""
    if what == "data" and inspect.cleandoc(type(thing).__doc__ or "") == inspect.cleandoc("\n".join(lines)):
        lines.clear()  # a value without a docstring has its type's
    parameters = _parameters(thing)
    lines[:] = [line for block in _blocks(lines) for line in [*_converted(block, parameters), ""]]


def as_written(app: Any, what: str, name: str, thing: Any, options: Any, signature: str, returns: str) -> Any:
    """Sphinx's hook `autodoc-process-signature`: types as the source has them, not what they are made of."""
    if signature is None or not callable(thing):
        return None
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    parameters = [
        parameter.replace(annotation=_text(parameter.annotation), default=_named(parameter.default))
        for parameter in found.parameters.values()
    ]
    if what == "method" and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    shown = str(found.replace(parameters=parameters, return_annotation=found.empty))
    returned = None if what == "class" or found.return_annotation is found.empty else str(_text(found.return_annotation))
    return shown, returned


class _Source(str):
    """Code that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _text(annotation: Any) -> Any:
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    return _Source(annotation) if isinstance(annotation, str) else annotation


def _named(default: Any) -> Any:
    """A function by its name: its address says nothing, and differs whenever the site is made."""
    return _Source(default.__name__.replace("<lambda>", "...")) if inspect.isfunction(default) else default


def _parameters(thing: Any) -> set[str]:
    names = set(getattr(thing, "__annotations__", ()))
    try:
        return names | set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return names


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """What stands between empty lines."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _converted(block: list[str], parameters: set[str]) -> Iterator[str]:
    if all(line.startswith("    ") for line in block) or _is_table(block):
        yield "::"
        yield ""
        yield from (f"    {line}" for line in block)
        return
    text = " ".join(line.strip() for line in block)
    told, *described = re.split(rf"(?:^|(?<=[.;:)] )|(?<=` ))({_names(parameters)}): ", text) if parameters else [text]
    if told.strip():
        yield _escaped(told.strip())
        yield ""
    for names, description in zip(described[::2], described[1::2], strict=True):
        yield f"* **{_escaped(names)}**: {_escaped(description.strip())}"


def _names(parameters: set[str]) -> str:
    """A pattern for one of them, or several with commas between."""
    one = "|".join(re.escape(name) for name in sorted(parameters, key=len, reverse=True))
    return rf"(?:{one})(?:, (?:{one}))*"


def _is_table(block: list[str]) -> bool:
    """Whether words stand in columns, as in a list of files with what each is."""
    return len(block) > 1 and all(re.search(r"\S {2,}\S", line) for line in block)


def _escaped(text: str) -> str:
    """Text in which nothing is markup but code in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        f"``{part[1:-1].strip()}``" if part.startswith("`") and part != "``" else re.sub(r"([\\*_|<>])", r"\\\1", part)
        for part in parts
    )
