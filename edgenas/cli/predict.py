"""`edgenas predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgenas.cli.answering import Answering
from edgenas.cli.options import PATH
from edgenas.deployment.predict import RUNTIMES, classify
from edgenas.pipeline.predict import open_classifier


@click.command("predict", cls=Answering)
@click.argument("network", type=PATH, metavar="RUN|BUNDLE")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--architecture", metavar="ID", help="Which exported network.  [default: the most accurate]")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to print.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per image.")
@click.option("--runtime", type=click.Choice(list(RUNTIMES)), help="What computes.  [default: the first that is installed]")
@click.option("--threads", type=int, default=1, show_default=True)
def command(
    network: Path, images: tuple[str, ...], architecture: str | None, top: int, as_json: bool, runtime: str | None, threads: int
) -> None:
    """Classify images with an exported network or a bundle, as a product would.

    \b
    edgenas predict runs/photos photo.jpg holiday/
    edgenas predict cat.zip photo.jpg --json
    rpicam-vid -t 0 --codec mjpeg -o - | edgenas predict cat.zip -

    An image is a file, a folder is all files in it, and - are JPEG frames on standard input.
    """
    with open_classifier(network, architecture=architecture, runtime=runtime, threads=threads) as classifier:
        sys.exit(1 if classify(classifier, list(images), top, as_json) else 0)
