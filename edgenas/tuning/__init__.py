"""The training recipe's own hyper-parameters, found by short trainings."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.tuning.parameters import Parameter, parameters
from edgenas.tuning.samplers import SAMPLERS
from edgenas.tuning.study import Trial, Tuning

__all__ = ["SAMPLERS", "Parameter", "Trial", "Tuning", "parameters"]
