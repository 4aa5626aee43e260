"""How far a search's predictor is to be trusted, and what was done where it is not."""

from __future__ import annotations

import math

from edgenas.metric import ACCURACY, label_of
from edgenas.search import SearchRecord

LEAST_INTERVAL = 1e-4
"""Half the width of an interval that is printed as 0.01 %."""


def on_prediction(record: SearchRecord) -> list[str]:
    """One sentence on what was measured and what was predicted at best, and further ones on what that leaves open."""
    claim, shift, predictor = record.claim, record.shift, record.predictor
    best = _percent(record.best.validation_accuracy)
    what = "" if record.metric == ACCURACY.name else f" {label_of(record.metric)}"
    measured = f"{record.label}: measured {best}{what}{_interval(record)}"
    if not record.ranks:
        tau = "it tells none from another" if math.isnan(predictor.tau) else f"Kendall tau {predictor.tau:.2f}"
        return [f"{measured}; nothing is predicted, since the predictor ranks no better than chance ({tau}, of "
                f"{predictor.samples} evaluated subnets)."]  # fmt: skip
    if claim is None:
        return [f"{measured}."]
    proof = "proved the highest prediction within the limits" if claim.optimal else "the highest prediction found"
    lines = [f"{measured}; predicted at best {_percent(claim.accuracy)} "
             f"+- {_percent(max(predictor.interval, LEAST_INTERVAL))} ({proof})."]  # fmt: skip
    surprise = claim.accuracy > record.best.validation_accuracy + predictor.interval
    if not claim.evaluated and (claim.outside or surprise):
        why = " and lies outside the evaluated ones, so that it is an extrapolation" if claim.outside else ""
        lines.append(f"    That prediction was not tested{why}: allow more --evaluations to test it.")
    if shift and shift.outside:
        lines.append(
            f"    {shift.outside} of the front's {shift.found} architectures lie outside the {shift.others} others. "
            f"Fitted without the front, the predictor errs by {_percent(shift.error)} on it. "
            "So all of them were measured, and the predictor was fitted again with them."
        )
    return lines


def _interval(record: SearchRecord) -> str:
    """What so few validation images leave open about the best accuracy."""
    images, low, high = record.validation_images, record.best.validation_low, record.best.validation_high
    if images is None or low is None or high is None:
        return ""
    return f" ({_percent(low, 1)} to {_percent(high, 1)} with 95 % confidence on {images} images)"


def _percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"
