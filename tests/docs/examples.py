"""The examples of the README and of docs/: blocks of code, and the commands in those that are for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
MADE = {"_build", "api", "commands"}
"""Folders of docs/ that are made from the code."""

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"] + [
    path for path in sorted((ROOT / "docs").rglob("*.md")) if path.relative_to(ROOT / "docs").parts[0] not in MADE
]
SHELLS = {"sh", "bash", "shell", "console"}
COMMANDS_END = {";", "|", "&", "&&", "||"}
REDIRECTIONS = {">", ">>", "<"}


@dataclass(frozen=True)
class Example:
    page: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples_of(page: Path) -> Iterator[Example]:
    """Blocks with a fence by their language; those that are only indented are for a shell."""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block") and token.map is not None:
            language = "sh" if token.type == "code_block" else token.info.split(" ")[0]
            yield Example(page.relative_to(ROOT).as_posix(), token.map[0] + 1, language, token.content)


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


def in_language(language: str) -> list[Example]:
    return [example for example in EXAMPLES if example.language == language]


def commands(example: Example) -> Iterator[list[str]]:
    """What a shell would start, word by word. Of a session, `console`, what follows a prompt."""
    lines = re.sub(r"\\\n\s*", "", example.code).splitlines()
    if example.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        found = iter([*words, ";"])
        for word in found:
            if word in REDIRECTIONS:
                next(found)
            elif word not in COMMANDS_END:
                command.append(word)
            elif command:
                yield command
                command = []


def edgenas_arguments(command: list[str]) -> list[str] | None:
    """What `edgenas` is given; None of another command."""
    words = list(command)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[:1] == ["edgenas"]:
        return words[1:]
    if words[:1] == ["torchrun"] and "edgenas" in words:
        return words[words.index("edgenas") + 1 :]
    if words[:2] == ["bash", "tools/quickstart.sh"]:
        return ["quickstart", *words[2:]]
    return None


SHELL = [(example, command) for example in EXAMPLES if example.language in SHELLS for command in commands(example)]
EDGENAS = [(str(example), given) for example, command in SHELL if (given := edgenas_arguments(command))]
"""The page and line of every `edgenas` command, and its arguments."""
