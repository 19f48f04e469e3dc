"""Evaluation: any model file as a predictor, scores over a whole split, plots."""

from kerascnn.evaluation.predictors import (
    KerasPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
    open_predictor,
)
from kerascnn.evaluation.protocols import Protocol
from kerascnn.evaluation.scores import Scores, evaluate

__all__ = [
    "KerasPredictor",
    "Predictor",
    "Protocol",
    "SavedModelPredictor",
    "Scores",
    "TFLitePredictor",
    "evaluate",
    "open_predictor",
]
