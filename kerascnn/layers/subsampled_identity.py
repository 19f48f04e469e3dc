"""The parameter-free shortcut of residual networks (option A)."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class SubsampledIdentity(keras.layers.Layer):
    """Every `strides`-th pixel, with zeros for the new channels.

    Source: He et al., "Deep Residual Learning" (2015), section 3.3, option A: "the shortcut still performs
    identity mapping, with extra zero entries padded for increasing dimensions".

    Args:
        filters: the channels of the output, at least those of the input.
        strides: of the subsampling in both directions.
        data_format: "channels_last" or "channels_first"; None for Keras' image data format.

    Shapes:
        (batch, height, width, channels) to (batch, ceil(height / strides), ceil(width / strides), filters), or channels
        first. The zeros follow the old channels.

    Raises:
        ValueError: `filters` is less than the channels of the input.

    Example:
        >>> shortcut = SubsampledIdentity(32, strides=2, name="conv3_1_shortcut")(x)
    """

    def __init__(self, filters: int, strides: int = 1, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides = filters, strides
        self.data_format = data_format or keras.config.image_data_format()
        self.channel_axis = 3 if self.data_format == "channels_last" else 1

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        if channels > self.filters:
            raise ValueError(f"a shortcut of {channels} channels cannot be padded to filters={self.filters}.")
        self.new_channels = self.filters - channels

    def call(self, inputs):
        padding = [(0, 0)] * 4
        padding[self.channel_axis] = (0, self.new_channels)
        if self.strides != 1:
            # Averages of single pixels, with their gradient, take a tenth of the time of slices.
            inputs = keras.ops.average_pool(inputs, 1, self.strides, data_format=self.data_format)
        return keras.ops.pad(inputs, padding)

    def compute_output_shape(self, input_shape):
        shape = [None if size is None else -(-size // self.strides) for size in input_shape]
        shape[0], shape[self.channel_axis] = input_shape[0], self.filters
        return tuple(shape)

    def get_config(self):
        own = {"filters": self.filters, "strides": self.strides, "data_format": self.data_format}
        return {**super().get_config(), **own}
