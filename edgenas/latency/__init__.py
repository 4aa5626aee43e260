"""Latency: what a block costs on a device, measured there, and what a network will cost."""

from edgenas.latency.bench import Bench
from edgenas.latency.bundle import write_bundle
from edgenas.latency.drift import Drift, check_drift
from edgenas.latency.profile import open_device, profile
from edgenas.latency.table import CONFIDENCE, Calibration, Entry, HeldOut, Interval, LatencyTable, spearman
from edgenas.latency.table_files import load_table, peek_table, table_path, timed_tables
from edgenas.latency.transfer import transfer

__all__ = [
    "CONFIDENCE",
    "Bench",
    "Calibration",
    "Drift",
    "Entry",
    "HeldOut",
    "Interval",
    "LatencyTable",
    "check_drift",
    "load_table",
    "open_device",
    "peek_table",
    "profile",
    "spearman",
    "table_path",
    "timed_tables",
    "transfer",
    "write_bundle",
]
