"""Subnets as files for devices, and the proof that they work."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.export.export import USUAL_FORMATS, export
from edgenas.export.microcontroller import for_microcontrollers
from edgenas.export.model import Budget, ExportedModel, ModelFile, Preprocessing, load_exports
from edgenas.export.parity import Parity, compare
from edgenas.export.verify import VERIFIED, Testbed, Verification, load_verifications, verify, verify_classifier
from edgenas.graph import FORMATS

__all__ = [
    "FORMATS",
    "USUAL_FORMATS",
    "VERIFIED",
    "Budget",
    "ExportedModel",
    "ModelFile",
    "Parity",
    "Preprocessing",
    "Testbed",
    "Verification",
    "compare",
    "export",
    "for_microcontrollers",
    "load_exports",
    "load_verifications",
    "verify",
    "verify_classifier",
]
