"""Predicting a subnet's accuracy from its architecture."""

from edgenas.predictor.features import stage_features
from edgenas.predictor.link_ridge import LinkRidge, PredictorQuality, kendall_tau

__all__ = ["LinkRidge", "PredictorQuality", "kendall_tau", "stage_features"]
