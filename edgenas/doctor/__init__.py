"""What may be wrong with an installation, a machine or a device, and what to do about it."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.doctor.disk import check_disk
from edgenas.doctor.finding import BROKEN, NOTE, OK, Finding
from edgenas.doctor.installation import check_extras, check_installation, check_telemetry
from edgenas.doctor.machine import check_machine
from edgenas.doctor.reach import check_device
from edgenas.doctor.runtimes import check_runtimes

__all__ = [
    "BROKEN",
    "NOTE",
    "OK",
    "Finding",
    "check_device",
    "check_disk",
    "check_extras",
    "check_installation",
    "check_machine",
    "check_runtimes",
    "check_telemetry",
]
