"""What a run has shown: tables and one picture."""

from edgenas.report.classes import ClassRow, class_rows, write_classes
from edgenas.report.plot import plot_front
from edgenas.report.summary import Row, summarise

__all__ = ["ClassRow", "Row", "class_rows", "plot_front", "summarise", "write_classes"]
