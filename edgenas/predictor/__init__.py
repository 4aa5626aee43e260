"""Predicting a subnet's accuracy from its architecture."""

from edgenas.predictor.distribution_shift import Shift, measure_shift
from edgenas.predictor.features import features, stage_features
from edgenas.predictor.link_ridge import LEAST_SAMPLES, LinkRidge, PredictorQuality, Samples, kendall_tau

__all__ = [
    "LEAST_SAMPLES",
    "LinkRidge",
    "PredictorQuality",
    "Samples",
    "Shift",
    "features",
    "kendall_tau",
    "measure_shift",
    "stage_features",
]
