"""`edgenas pretrained`."""

from __future__ import annotations

import click

from edgenas.cli.display import console, say, table
from edgenas.cost import block_parameters
from edgenas.pretrained import PUBLISHED, Published, how_to_get


@click.command("pretrained")
def command() -> None:
    """List the weights that a supernet may begin with: where they come from, and whether they are on this machine.

    \b
    edgenas pretrained
    edgenas train-supernet --data photos/ --pretrained efficientnet-lite0 --time 10m
    """
    columns = ["<name", "ImageNet top-1", "million parameters", "<licence", "<suits", "<here"]
    console.print(table("Weights to begin with: train-supernet --pretrained NAME", columns, map(_row, PUBLISHED.values())))
    say("Of those that are not here, a file will do: --pretrained FILE. Its tensors tell what it is, or NAME=FILE does.")


def _row(entry: Published) -> list[str]:
    space, suits = entry.space(), entry.suits
    parameters = sum(block_parameters(spec) for spec in space.blocks(space.largest))
    path = entry.find()
    return [
        entry.name,
        "-" if entry.top1 is None else f"{entry.top1:.1f} %",
        f"{parameters / 1e6:.1f}",
        entry.licence,
        " ".join([f"--space {suits['family']}"] + [f"--{key} {suits[key]}" for key in ("preset", "width") if key in suits]),
        f"yes, {path.stat().st_size / 1e6:.0f} MB" if path else f"no: {how_to_get(entry)}" if entry.package else "no",
    ]
