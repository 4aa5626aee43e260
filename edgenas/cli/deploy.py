"""`edgenas deploy`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer
from edgenas.cli.options import PATH, data_option
from edgenas.deployment.predict import RUNTIMES
from edgenas.names import pasted
from edgenas.pipeline.deploy import deploy, name_of, undeploy
from edgenas.values import plain_fields


@click.command("deploy", cls=Answering)
@click.argument("network", type=PATH, metavar="RUN|BUNDLE")
@click.option("--on", required=True, metavar="SSH", help="Where: ssh://user@host or ssh://user@host:port.")
@click.option("--name", help="Of the network there.  [default: the run's or the bundle's]")
@click.option("--architecture", metavar="ID", help="Which network of a run.  [default: the winner]")
@click.option("--runtime", type=click.Choice(list(RUNTIMES)), help="What computes.  [default: the first that has wheels]")
@click.option("--service", default="", metavar="COMMAND", help="Have systemd classify the JPEG frames of a command.")
@click.option("--remove", is_flag=True, help="Take it away again.")
@data_option
def command(
    network: Path, on: str, name: str | None, architecture: str | None, runtime: str | None, service: str, remove: bool,
    data: str | None,
) -> None:  # fmt: skip
    """Bring a network to a device over ssh, and test and time it there.

    \b
    edgenas deploy runs/photos --on ssh://pi@raspberrypi.local
    edgenas deploy cat.zip --on ssh://pi@10.0.0.7 --service "rpicam-vid -t 0 -n --codec mjpeg -o -"
    edgenas deploy cat.zip --on ssh://pi@10.0.0.7 --remove

    All of it is in ~/edgenas/NAME there: the bundle, the packages that the device's Python lacks, and a program, classify. It
    stays only where the device computes what the self-test asks for. Nothing else is touched, and nothing needs root.
    """
    called = name or name_of(network)
    if remove:
        was_there = undeploy(network, on, name=name)
        answer(f"Removed {called} from {on}." if was_there else f"There is no {called} on {on}.")
        reply({"name": called, "on": on, "removed": was_there})
        return
    done = deploy(network, on, name=name, architecture=architecture, runtime=runtime, service=service, data=data, track=track)
    answer(done.tested)
    answer(done.timed)
    answer(f"{called} is in {done.folder} on {on}. There: {done.folder}/classify photo.jpg")
    if done.service:
        answer(f"{done.service} runs: journalctl --user -u {done.service} shows what it sees. To have it start before you log "
               "in: sudo loginctl enable-linger")  # fmt: skip
    answer(f"To take it away: edgenas deploy {pasted(network)} --on {on}{f' --name {name}' if name else ''} --remove")
    reply({"name": called, "on": on} | plain_fields(done))
