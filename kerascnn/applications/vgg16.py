"""`kerascnn.applications.vgg` under the name of keras.applications' module."""

from kerascnn.applications.vgg import VGG16, decode_predictions, preprocess_input

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
