"""A trained model in any form as a predictor."""

from __future__ import annotations

from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.evaluation.onnx_predictor import OnnxPredictor
from kerascnn.evaluation.predictors import (
    KerasPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
    load_keras,
)


def open_predictor(path: str | Path) -> Predictor:
    """A trained model in any form.

    Args:
        path: a `.keras` file, a SavedModel folder, a `.tflite` or `.onnx` file, or a run or export folder that holds
            one.

    Raises:
        InputError: nothing is there, or nothing that is a model.

    Example:
        >>> open_predictor("saved_models/resnet20-digits/resnet20-digits.tflite").metadata.class_names
        ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no model at {path}.")
    if (path / "model.keras").is_file():
        path = path / "model.keras"
    elif (path / "saved_model").is_dir():
        path = path / "saved_model"
    if (path / "saved_model.pb").is_file():
        return SavedModelPredictor(path)
    if path.suffix == ".tflite":
        return TFLitePredictor(path)
    if path.suffix == ".onnx":
        return OnnxPredictor(path)
    if path.suffix == ".keras":
        return KerasPredictor(load_keras(path), path)
    raise InputError(
        f"{path} is no model; give a .keras file, a SavedModel folder, a .tflite or .onnx file or a run folder."
    )
