"""int8: which values of a network have a range, which integers numbers become, and what a network of integers computes.

`ranges` and `scheme` need no torch. `computation` interprets a network's steps in torch: with observers on its values to
calibrate them, with their quantisation to simulate the file. `calibration` chooses ranges on images.
"""

from edgenas.quantisation.ranges import IMAGE, Range, calibrated, fused_activations, quantised_steps
from edgenas.quantisation.scheme import Parameters, Quantisation

__all__ = ["IMAGE", "Parameters", "Quantisation", "Range", "calibrated", "fused_activations", "quantised_steps"]
