"""What a run has shown: tables and pictures."""

from edgenas.report.classes import ClassRow, class_rows, write_classes
from edgenas.report.plot import plot_front, plot_training
from edgenas.report.summary import Row, summarise

__all__ = ["ClassRow", "Row", "class_rows", "plot_front", "plot_training", "summarise", "write_classes"]
