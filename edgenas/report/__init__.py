"""What a run has shown: one table and one picture."""

from edgenas.report.plot import plot_front
from edgenas.report.summary import Row, summarise

__all__ = ["Row", "plot_front", "summarise"]
