"""The position of the channels in Keras' image data format."""

from __future__ import annotations

import keras


def channels_first() -> bool:
    """Whether images are (batch, channels, height, width)."""
    return keras.config.image_data_format() == "channels_first"


def channel_axis() -> int:
    """The axis of the channels: 1 or 3."""
    return 1 if channels_first() else 3
