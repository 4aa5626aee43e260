"""Devices: what is known of them, how they are reached, and the runtimes that they have.

Only `device_timer` imports a runtime; it and `device_measure` also run on devices, alone.
"""

from edgenas.device.benchmark_model import OperatorTime
from edgenas.device.browser import BrowserTarget, browser_target
from edgenas.device.bundle import BundleTarget
from edgenas.device.execution import Execution
from edgenas.device.phone import PhoneTarget, phone_target
from edgenas.device.profile import DEVICES, DeviceProfile, Estimate, load_device
from edgenas.device.provenance import Provenance
from edgenas.device.runtimes import (
    RUNTIMES,
    Runtime,
    get_runtime,
    open_session,
    precisions,
    register_runtime,
    require_precision,
    tflite_runtime_python,
)
from edgenas.device.ssh import Shell, ssh_shell, ssh_target
from edgenas.device.sustained import Spell, Sustained
from edgenas.device.targets import JobTarget, LatencyTarget, Stopwatch, TrialTarget, python_target

__all__ = [
    "DEVICES",
    "RUNTIMES",
    "BrowserTarget",
    "BundleTarget",
    "DeviceProfile",
    "Estimate",
    "Execution",
    "JobTarget",
    "LatencyTarget",
    "OperatorTime",
    "PhoneTarget",
    "Provenance",
    "Runtime",
    "Shell",
    "Spell",
    "Stopwatch",
    "Sustained",
    "TrialTarget",
    "browser_target",
    "get_runtime",
    "load_device",
    "open_session",
    "phone_target",
    "precisions",
    "python_target",
    "register_runtime",
    "require_precision",
    "ssh_shell",
    "ssh_target",
    "tflite_runtime_python",
]
