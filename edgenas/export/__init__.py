"""Subnets as files for devices, and the proof that they work."""

import edgenas.onednn  # noqa: F401 (before torch)
from edgenas.export.export import export
from edgenas.export.model import ExportedModel, Preprocessing, load_exports
from edgenas.export.parity import Parity, compare
from edgenas.export.verify import VERIFIED, Place, Verification, load_verifications, verify, verify_classifier
from edgenas.graph import FORMATS

__all__ = [
    "FORMATS",
    "VERIFIED",
    "ExportedModel",
    "Parity",
    "Place",
    "Preprocessing",
    "Verification",
    "compare",
    "export",
    "load_exports",
    "load_verifications",
    "verify",
    "verify_classifier",
]
