"""Weight sharing: elastic blocks, the supernet, extraction of subnets and batch-norm recalibration."""

import os

# Before torch is used: subnets have thousands of convolution shapes between them, and oneDNN's default of 1,024 prepared
# kernels makes it prepare them again and again (a sandwich step took 25 % longer).
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "20000")

from edgenas.supernet.blocks import Network
from edgenas.supernet.extraction import fold, recalibrate
from edgenas.supernet.supernet import Supernet

__all__ = ["Network", "Supernet", "fold", "recalibrate"]
