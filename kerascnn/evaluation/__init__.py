"""Evaluation: predictors for every model format, scores on a whole split, feature vectors, plots."""

from kerascnn.evaluation.classifier import Classifier, Predictions, load
from kerascnn.evaluation.embedding import Embedding, embed
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
    "Classifier",
    "Embedding",
    "KerasPredictor",
    "Predictions",
    "Predictor",
    "Protocol",
    "SavedModelPredictor",
    "Scores",
    "TFLitePredictor",
    "embed",
    "evaluate",
    "load",
    "open_predictor",
]
