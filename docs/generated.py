"""Pages that are made from the code: one for every command, and one for every package."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

import edgenas
from edgenas.cli import COMMANDS, main

INTERNAL = {"cli", "values"}
"""Packages that are nobody's library."""


def write_command_pages(folder: Path) -> None:
    """One Markdown page for each command, and their table of contents."""
    pages = {name: command_page(name, summary) for name, (_, summary) in COMMANDS.items()}
    rows = "\n".join(f"| [`{name}`]({name}.md) | {_escaped(summary)} |" for name, (_, summary) in COMMANDS.items())
    intro = "These pages are made from the program itself: `edgenas COMMAND --help` says the same."
    pages["index"] = f"# Commands\n\n{intro}\n\n| command | does |\n|---|---|\n{rows}\n\n{_contents(COMMANDS)}"
    _write(folder, pages)


def command_page(name: str, summary: str) -> str:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    context = click.Context(command, info_name=f"edgenas {name}", max_content_width=1000)
    usage = f"{context.info_name} {' '.join(command.collect_usage_pieces(context))}"
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    options = "\n\n".join(f"`{left}`\n: {_escaped(right)}" for left, right in records if right)
    described = "\n\n".join(_paragraphs(inspect.cleandoc(command.help or "")))
    return f"# {name}\n\n{_escaped(summary)}\n\n```text\n{usage}\n```\n\n{described}\n\n## Options\n\n{options}\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Of a command's help, as Markdown. Those after click's mark are shown as they are: they are examples."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith("\b\n"):
            yield f"```sh\n{paragraph[2:]}\n```"
        else:
            yield _escaped(paragraph)


def _escaped(text: str) -> str:
    """Text in which nothing is Markdown but code in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<\[\]|{}~#])", r"\\\1", part) for part in parts)


def write_api_pages(folder: Path) -> None:
    """One page for `edgenas` itself, with its names, and one for every package, with those of its `__all__`."""
    names = [module.name for module in pkgutil.iter_modules(edgenas.__path__) if module.ispkg]
    packages = sorted(set(names) - INTERNAL)
    pages = {name: package_page(f"edgenas.{name}") for name in packages}
    public = "\n\n".join(_documented("edgenas", name) for name in edgenas.__all__ if name != "__version__")
    pages["index"] = (
        "# Python\n\nThe library is `import edgenas` and its names, which are on this page. Each step of a `Run` takes the "
        "options of the function that it names, which are described in [edgenas.pipeline](pipeline.md). Beneath it are "
        "packages, each with a page of its own; [As a library](../library.md) shows how they go together."
        f"\n\n{public}\n\n{_contents(packages)}"
    )
    _write(folder, pages)


def package_page(package: str) -> str:
    module = import_module(package)
    title = f"# {package}\n\n{_directive('automodule', package)}"
    if package == "edgenas.pipeline":
        steps = [f"{package}.{step.name}" for step in pkgutil.iter_modules(module.__path__)]
        return "\n\n".join([title, *(f"## {step}\n\n{_directive('automodule', step, ':members:')}" for step in steps)])
    if not hasattr(module, "__all__"):
        return f"# {package}\n\n{_directive('automodule', package, ':members:')}"
    return "\n\n".join([title, *(_documented(package, name) for name in module.__all__)])


def _documented(module: str, name: str) -> str:
    thing = getattr(import_module(module), name)
    home = getattr(thing, "__module__", None) or module
    if home.startswith("edgenas.") and not home.startswith(module):
        package = home.split(".")[1]
        return f"`{name}` is [edgenas.{package}]({package}.md)'s."
    if isinstance(thing, type):
        return _directive("autoclass", f"{module}.{name}", ":members:")
    if callable(thing):
        return _directive("autofunction", f"{module}.{name}")
    return _directive("autodata", f"{module}.{name}", ":no-value:")


def _directive(kind: str, name: str, *options: str) -> str:
    lines = "".join(f"   {option}\n" for option in options)
    return f"```{{eval-rst}}\n.. {kind}:: {name}\n{lines}```"


def _contents(names: Iterator[str] | dict[str, tuple[str, str]] | list[str]) -> str:
    listed = "\n".join(names)
    return f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def _write(folder: Path, pages: dict[str, str]) -> None:
    """Write what has changed, so that an unchanged page is not made again, and delete what is no page any more."""
    folder.mkdir(exist_ok=True)
    for stale in {path.stem for path in folder.glob("*.md")} - set(pages):
        (folder / f"{stale}.md").unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
