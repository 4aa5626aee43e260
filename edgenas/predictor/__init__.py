"""Predicting a subnet's accuracy from its architecture."""

from edgenas.predictor.features import features, stage_features
from edgenas.predictor.link_ridge import LinkRidge, PredictorQuality, kendall_tau

__all__ = ["LinkRidge", "PredictorQuality", "features", "kendall_tau", "stage_features"]
