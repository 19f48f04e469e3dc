"""Evaluation: any model file as a predictor, scores over a whole split, features, plots."""

from kerascnn.evaluation.embedding import Embedding, embed
from kerascnn.evaluation.open_predictor import open_predictor
from kerascnn.evaluation.predictors import (
    KerasPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
)
from kerascnn.evaluation.protocols import Protocol
from kerascnn.evaluation.scores import Scores, evaluate

__all__ = [
    "Embedding",
    "KerasPredictor",
    "Predictor",
    "Protocol",
    "SavedModelPredictor",
    "Scores",
    "TFLitePredictor",
    "embed",
    "evaluate",
    "open_predictor",
]
