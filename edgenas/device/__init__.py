"""Devices: what is known of them, how they are reached, and the runtimes that they have.

Only `device_timer` imports a runtime; it and `device_measure` also run on devices, alone.
"""

from edgenas.device.browser import BrowserTarget, browser_target
from edgenas.device.bundle import BundleTarget
from edgenas.device.profile import DEVICES, DeviceProfile, Estimate, load_device
from edgenas.device.runtimes import tflite_runtime_python
from edgenas.device.ssh import ssh_target
from edgenas.device.targets import JobTarget, LatencyTarget, Stopwatch, python_target

__all__ = [
    "DEVICES",
    "BrowserTarget",
    "BundleTarget",
    "DeviceProfile",
    "Estimate",
    "JobTarget",
    "LatencyTarget",
    "Stopwatch",
    "browser_target",
    "load_device",
    "python_target",
    "ssh_target",
    "tflite_runtime_python",
]
