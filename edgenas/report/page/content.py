"""What the page shows, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenas.data import DataReport
from edgenas.device import Execution
from edgenas.export import ExportedModel, Verification
from edgenas.report.comparison import Contestant
from edgenas.report.devices import DeviceComparison
from edgenas.report.page.drawing import DrawnNetwork
from edgenas.report.page.mistakes import Mistake
from edgenas.report.summary import Row
from edgenas.search import SearchRecord, Sought


@dataclass(frozen=True)
class Front:
    """The searches for one device, execution and metric.

    evaluated: `(n, 2)`: of all subnets that were evaluated the predicted latency in ms, and how well they do on validation
    images.
    """

    records: list[SearchRecord]
    evaluated: np.ndarray


@dataclass(frozen=True)
class UnderWay:
    """A search that has not ended, in one of its precisions. kind: of its latency table. evaluated: as of a `Front`."""

    sought: Sought
    execution: Execution
    kind: str
    evaluated: np.ndarray


@dataclass(frozen=True)
class Content:
    """What the page shows. What is empty or None has no section, or says that there is nothing yet.

    fronts: what the searches have found, and among what. networks: the chosen ones on the devices that they were chosen for, by
    the budget.
    devices: what was found for several devices, side by side, and for each of them what was evaluated, as of a `Front`.
    best: the most accurate verified model, of which classes and mistakes are shown, with the verification that says so.
    without_images: why there are no mistakes and no data report.
    progress, under_way: sentences on what has not ended, and what such a search has evaluated.
    """

    records: Sequence[SearchRecord] = ()
    rows: Sequence[Row] = ()
    files: Sequence[Contestant] = ()
    judgement: Sequence[str] = ()
    fronts: Sequence[Front] = ()
    networks: Mapping[str, DrawnNetwork] = field(default_factory=dict)
    devices: DeviceComparison | None = None
    evaluated_for_devices: Sequence[np.ndarray] = ()
    best: tuple[ExportedModel, Verification] | None = None
    mistakes: Sequence[Mistake] = ()
    data: DataReport | None = None
    without_images: str = ""
    progress: Sequence[str] = ()
    under_way: Sequence[UnderWay] = ()
