"""What a run has shown: tables and pictures, and what is to be thought of it."""

from edgenas.report.classes import ClassRow, class_rows, write_classes
from edgenas.report.comparison import Contestant, SideBySide, beaten_by, contestants, judged_by, side_by_side
from edgenas.report.devices import DeviceComparison, DeviceNetwork, Under, compare_devices
from edgenas.report.judge import judge, judge_export, judge_files, judge_finetuning, judge_search, judge_training
from edgenas.report.plot import plot_front, plot_training
from edgenas.report.plot_devices import plot_devices
from edgenas.report.prediction import on_prediction
from edgenas.report.summary import Row, summarise

__all__ = [
    "ClassRow",
    "Contestant",
    "DeviceComparison",
    "DeviceNetwork",
    "Row",
    "SideBySide",
    "Under",
    "beaten_by",
    "class_rows",
    "compare_devices",
    "contestants",
    "judge",
    "judge_export",
    "judge_files",
    "judge_finetuning",
    "judge_search",
    "judge_training",
    "judged_by",
    "on_prediction",
    "plot_devices",
    "plot_front",
    "plot_training",
    "side_by_side",
    "summarise",
    "write_classes",
]
