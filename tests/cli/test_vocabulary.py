"""What the library says in its own words is shown in the command line's."""

import click
import pytest

from edgenas.cli import COMMANDS, main
from edgenas.cli.vocabulary import in_flags
from edgenas.errors import EdgeNASError, UsageError


def find(name: str) -> click.Command | None:
    return main.get_command(click.Context(main), name)


@pytest.mark.parametrize(("text", "command", "shown"), [
    ("more `evaluations` or `seconds`.", "search", "more --evaluations or --time."),
    ("go on with `resume`, or choose another `out`.", "train-supernet", "go on with --resume, or choose another --out."),
    ("with `pretrained` without `family`", "search", "with --pretrained without --space"),
    ("`search(runs/x, device=cpu, budgets=2ms)` first", "export", "edgenas search runs/x --device cpu --latency 2ms first"),
    ("`train_supernet(resume=runs/x)`", "search", "edgenas train-supernet --resume runs/x"),
    ("measure: `profile(device=pi4)`", None, "measure: edgenas profile --device pi4"),
    ("`search('runs/my, own=x', device=cpu)` first", "export", "edgenas search 'runs/my, own=x' --device cpu first"),
    ("`train_supernet(out='it'\"'\"'s a `tick`')`", "search", "edgenas train-supernet --out 'it'\"'\"'s a `tick`'"),
    ("see `pretrained()`", "train-supernet", "see edgenas pretrained"),
    ("run `edgenas profile --device box` first", "search", "run `edgenas profile --device box` first"),
])  # fmt: skip
def test_words_become_options_and_commands(text, command, shown):
    assert in_flags(text, command, find) == shown
    assert command is None or command in COMMANDS


def test_a_hint_follows_the_message():
    error = UsageError("runs/x holds a run already", "choose another `out`.")
    assert str(error) == "runs/x holds a run already: choose another `out`."
    assert str(EdgeNASError("It is over.")) == "It is over."
