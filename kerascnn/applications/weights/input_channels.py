"""First convolutions for images of other channels than their weights were trained on."""

from __future__ import annotations

import numpy as np

RGB = 3


def for_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The kernel of a first convolution over RGB, for images of one channel or of more.

    Of one channel it is the sum over the three: a grey image gives what it gives as RGB, each channel being the grey
    one. Of others, red, green and blue are repeated in turn, and scaled so that an image whose channels are all alike
    gives about what it gave before.

    Args:
        kernel: (height, width, 3, filters).
        channels: of the images, at least 1.

    Returns:
        An array (height, width, channels, filters).

    Example:
        >>> for_channels(np.ones((7, 7, 3, 64)), 1)[0, 0, 0, 0]
        3.0
    """
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % RGB] * np.asarray(RGB / channels, kernel.dtype)
