# The public names, for editors, type checkers and lazy_loader. `X as X` marks a name as public: ruff needs it.
from .classifier import Classifier as Classifier, Predictions as Predictions, load as load
from .embedding import Embedding as Embedding, embed as embed
from .model_options import ModelOptions as ModelOptions
from .predictors import (
    KerasPredictor as KerasPredictor,
    Predictor as Predictor,
    SavedModelPredictor as SavedModelPredictor,
    TFLitePredictor as TFLitePredictor,
    open_predictor as open_predictor,
)
from .protocols import Protocol as Protocol
from .scores import Scores as Scores, evaluate as evaluate
