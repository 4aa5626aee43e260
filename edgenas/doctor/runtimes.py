"""The runtimes: each that is installed computes a small network, which has to be what torch computes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgenas.device import RUNTIMES, Execution, LatencyTarget, Runtime, python_target
from edgenas.device.runtimes import BROWSER, PHONE
from edgenas.doctor.finding import BROKEN, NOTE, OK, Finding
from edgenas.errors import EdgeNASError
from edgenas.export.parity import compare
from edgenas.export.reference import as_input
from edgenas.extras import has
from edgenas.latency.microbenchmark import REFERENCE
from edgenas.progress import Track, quiet
from edgenas.supernet import Network, fold

AREA = "runtimes"
SEED, IMAGES, STATISTICS, ROUNDS = 0, 2, 64, 4
GAIN = 10.0
"""Of linear layers, as they begin: so logits are as large as a trained network's."""


def check_runtimes(track: Track = quiet) -> Iterator[Finding]:
    """Of this machine. Those that are not installed are noted."""
    for runtime in track(RUNTIMES.values(), "Running a network in every runtime", len(RUNTIMES)):
        if runtime.where == BROWSER:
            yield _in_a_browser(runtime)
        elif runtime.where == PHONE:
            yield Finding(AREA, runtime.name, OK, "runs on a phone at a USB cable: `profile(device=android, on=adb)`")
        elif runtime.python is None:
            missing = "not installed: networks are not verified or measured in it"
            yield Finding(AREA, runtime.name, NOTE, missing, runtime.how_to_install)
        else:
            yield try_runtime(runtime, python_target(runtime.python), AREA)


def _in_a_browser(runtime: Runtime) -> Finding:
    if has("browser"):
        return Finding(AREA, runtime.name, OK, "runs in the browser of the device: `profile(device=mobile-gpu, on=browser)`")
    return Finding(AREA, runtime.name, NOTE, "no browser can be asked to measure", "pip install 'edgenas[browser]'")


@torch.no_grad()
def try_runtime(runtime: Runtime, target: LatencyTarget, area: str) -> Finding:
    """Have a runtime compute the network that is timed beside everything else, and time it."""
    reinstall = f"install it again: pip install --force-reinstall {runtime.package}"
    network, images = _lively_network()
    content, execution = runtime.model_format.build(REFERENCE, fold(network)), Execution(runtime.name)
    try:
        outputs = target.run(content, as_input(images, runtime.format), execution)
        parity = compare(network(images).numpy(), outputs)
        version = target.environment(runtime.name).runtime_version
        milliseconds = min(target.time({"network": content}, execution, rounds=ROUNDS)["network"])
    except EdgeNASError as error:
        return Finding(area, runtime.name, BROKEN, f"does not work: {error}", reinstall)
    if not parity.holds:
        wrong = f"{version} computes something else than torch, by up to {parity.max_difference:.1e}"
        return Finding(area, runtime.name, BROKEN, wrong, f"do not use it here; {reinstall}")
    took = f"{milliseconds:.3f} ms for a small network"
    return Finding(area, runtime.name, OK, f"{version} computes what torch does, to {parity.max_difference:.0e}; {took}")


@torch.no_grad()
def _lively_network() -> tuple[Network, Tensor]:
    """A network whose outputs depend on its images, as a trained one's do, and images for it: `(n, 3, r, r)`."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = Network(REFERENCE)
        images = torch.randn(STATISTICS, 3, network.resolution, network.resolution)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        elif isinstance(module, nn.Linear):
            module.weight *= GAIN
    network.train()(images)  # batch norm then keeps activations as large as the images' values
    return network.eval(), images[:IMAGES]
