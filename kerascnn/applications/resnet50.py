"""`kerascnn.applications.resnet` under the name of keras.applications' module."""

from kerascnn.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
