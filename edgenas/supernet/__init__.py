"""Weight sharing: elastic blocks, the supernet, extraction of subnets and batch-norm recalibration."""

from edgenas.supernet.blocks import Network
from edgenas.supernet.extraction import fold, recalibrate
from edgenas.supernet.supernet import Supernet

__all__ = ["Network", "Supernet", "fold", "recalibrate"]
