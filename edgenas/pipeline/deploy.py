"""Deploy: an exported network on the device where it is to work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from edgenas.data import Dataset
from edgenas.deployment import unpack_bundle
from edgenas.deployment.install import NAMED, Installed, install, remove
from edgenas.device import ssh_shell
from edgenas.files import scratch
from edgenas.pipeline.export import export_run
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.values import Length, checked
from edgenas.values.kinds import GivenPath, GivenText

NetworkName = Annotated[str, NAMED]
Command = Annotated[str, Length(0, 2000, "characters")]


@checked
def deploy(
    network: GivenPath, on: GivenText, *, name: NetworkName | None = None, architecture: str | None = None,
    runtime: str | None = None, service: Command = "", data: GivenText | Dataset | None = None, track: Track = quiet,
) -> Installed:  # fmt: skip
    """Bring a network to a device, test it and time it there.

    network: a run, whose winner, or the one of this `architecture`, is exported and verified first, or a bundle.
    on: ssh://user@host[:port]. name: of the network there, by default the run's or the bundle's.
    runtime: one of `edgenas.deployment.predict.RUNTIMES`.
    service: a command of the device that writes JPEG frames, for systemd to run and to classify.
    data: where the run's images are now, or they.
    """
    with scratch("deploying") as temporary:
        bundle = network
        if not network.is_file():
            bundle = temporary / "bundle.zip"
            run, runtimes = Run.open(network), [runtime] if runtime else []
            export_run(run, architecture=architecture, bundle=bundle, runtimes=runtimes, data=data, track=track)
        folder = unpack_bundle(bundle, temporary / "bundle")
        with ssh_shell(on) as shell:
            return install(shell, folder, name or name_of(network), runtime=runtime, source=service, track=track)


@checked
def undeploy(network: GivenPath, on: GivenText, *, name: NetworkName | None = None) -> bool:
    """Take a network away from a device. Returns whether it was there."""
    with ssh_shell(on) as shell:
        return remove(shell, name or name_of(network))


def name_of(network: Path) -> str:
    """What a network is called on a device: what is no letter or digit there becomes a dash."""
    letters = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in network.resolve().stem)
    return letters.lstrip("_.-")[:64] or "network"
