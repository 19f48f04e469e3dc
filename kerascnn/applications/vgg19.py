"""`kerascnn.applications.vgg` under the name of keras.applications' module."""

from kerascnn.applications.vgg import VGG19, decode_predictions, preprocess_input

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
