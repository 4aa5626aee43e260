"""`edgenas pretrained`."""

from __future__ import annotations

from typing import Any

import click

from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, tabulate
from edgenas.cli.vocabulary import worded
from edgenas.cost import block_parameters
from edgenas.pretrained import PUBLISHED, Published, how_to_get


@click.command("pretrained", cls=Answering)
def command() -> None:
    """List the weights that a supernet may begin with: where they come from, and whether they are on this machine.

    \b
    edgenas pretrained
    edgenas train-supernet --data photos/ --pretrained efficientnet-lite0 --time 10m
    """
    columns = ["<name", "ImageNet top-1", "million parameters", "<licence", "<suits", "<here"]
    known = [(entry, _facts(entry)) for entry in PUBLISHED.values()]
    tabulate("Weights to begin with: train-supernet --pretrained NAME", columns, [_row(*each) for each in known])
    answer("Of those that are not here, a file will do: --pretrained FILE. Its tensors tell what it is, or NAME=FILE does.")
    reply([facts for _, facts in known])


def _facts(entry: Published) -> dict[str, Any]:
    """parameters: of its largest network. file: None where it is not on this machine."""
    space, path = entry.space(), entry.find()
    parameters = sum(block_parameters(spec) for spec in space.blocks(space.largest))
    return {
        "name": entry.name,
        "imagenet_top1_percent": entry.top1,
        "parameters": parameters,
        "licence": entry.licence,
        "suits": entry.suits,
        "file": path,
        "how_to_get": None if path else worded(how_to_get(entry)),
    }


def _row(entry: Published, facts: dict[str, Any]) -> list[str]:
    path, suits = facts["file"], entry.suits
    return [
        entry.name,
        "-" if entry.top1 is None else f"{entry.top1:.1f} %",
        f"{facts['parameters'] / 1e6:.1f}",
        entry.licence,
        " ".join([f"--space {suits['family']}"] + [f"--{key} {suits[key]}" for key in ("preset", "width") if key in suits]),
        f"yes, {path.stat().st_size / 1e6:.0f} MB" if path else f"no: {facts['how_to_get']}" if entry.package else "no",
    ]
