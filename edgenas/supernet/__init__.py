"""Weight sharing: elastic blocks, the supernet, extraction of subnets and batch-norm recalibration."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.supernet.blocks import Network
from edgenas.supernet.convolution import depthwise_conv2d
from edgenas.supernet.extraction import fold, folded, recalibrate
from edgenas.supernet.supernet import Supernet

__all__ = ["Network", "Supernet", "depthwise_conv2d", "fold", "folded", "recalibrate"]
