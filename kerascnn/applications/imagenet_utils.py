"""`preprocess_input` by the modes of keras.applications, and `decode_predictions` for ImageNet, as in its module."""

from typing import Any

from kerascnn.applications.preprocessing import of_family, scaled
from kerascnn.errors import InputError

_, decode_predictions = of_family("resnet50")

__all__ = ["decode_predictions", "preprocess_input"]


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Scales pixels as `kerascnn.applications.preprocess_input` does, by a mode.

    Args:
        x, data_format: see there.
        mode: "caffe" (blue, green, red, minus their means), "tf" (to [-1, 1]) or "torch" (to [0, 1], minus the means,
            divided by the standard deviations).

    Raises:
        InputError: there is no such mode, or as there.

    Example:
        >>> images = preprocess_input(pixels, mode="tf")
    """
    if mode not in ("caffe", "tf", "torch"):
        raise InputError(f"mode must be 'caffe', 'tf' or 'torch', not {mode!r}.")
    return scaled(x, "symmetric" if mode == "tf" else mode, data_format, "preprocess_input")
