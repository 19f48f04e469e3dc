"""Every kind of hostile input, by its name."""

import importlib

from tests.hostile.attack import Kind

# The module and the name in it: the processes of most kinds need no TensorFlow.
KINDS = {
    "archives": ("archives", "ARCHIVES"),
    "images": ("images", "IMAGES"),
    "tables": ("labels", "TABLES"),
    "manifests": ("labels", "MANIFESTS"),
    "names": ("labels", "NAMES"),
    "recipes": ("settings", "RECIPES"),
    "runs' recipe.yaml": ("settings", "RUNS"),
    "weights": ("weights", "WEIGHTS"),
    "checkpoints": ("checkpoints", "CHECKPOINTS"),
    "URLs": ("settings", "URLS"),
    "Keras models": ("models", "KERAS_MODELS"),
    "SavedModels": ("models", "SAVED_MODELS"),
    "TFLite files": ("models", "TFLITE_FILES"),
    "ONNX files": ("models", "ONNX_FILES"),
}


def kind(name: str) -> Kind:
    """The kind of a name."""
    module, constant = KINDS[name]
    return getattr(importlib.import_module(f"tests.hostile.{module}"), constant)
