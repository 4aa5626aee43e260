"""Latency: what a block costs on a device, measured there, and what a network will cost.

Only `device_timer` imports a runtime; it and `device_measure` also run on devices, alone.
"""

from edgenas.latency.bench import Bench
from edgenas.latency.browser import BrowserTarget, browser_target
from edgenas.latency.bundle import BundleTarget, write_bundle
from edgenas.latency.device import DeviceProfile, Estimate, load_device, load_table, table_path, timed_tables
from edgenas.latency.drift import Drift, check_drift
from edgenas.latency.profile import open_device, profile
from edgenas.latency.runtimes import tflite_runtime_python
from edgenas.latency.ssh import ssh_target
from edgenas.latency.table import CONFIDENCE, Calibration, Check, Entry, Interval, LatencyTable, spearman
from edgenas.latency.targets import JobTarget, LatencyTarget, Stopwatch, python_target
from edgenas.latency.transfer import transfer

__all__ = [
    "CONFIDENCE",
    "Bench",
    "BrowserTarget",
    "BundleTarget",
    "Calibration",
    "Check",
    "DeviceProfile",
    "Drift",
    "Entry",
    "Estimate",
    "Interval",
    "JobTarget",
    "LatencyTable",
    "LatencyTarget",
    "Stopwatch",
    "browser_target",
    "check_drift",
    "load_device",
    "load_table",
    "open_device",
    "profile",
    "python_target",
    "spearman",
    "ssh_target",
    "table_path",
    "tflite_runtime_python",
    "timed_tables",
    "transfer",
    "write_bundle",
]
