"""Batch normalization that runs TensorFlow's fused kernel where it applies.

Source: Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1 and section 3.1.
"""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with the same weights and config, in one kernel.

    Keras expands the layer into a dozen elementwise operations; on TensorFlow this class calls
    `FusedBatchNormV3` for four-dimensional inputs normalized over their channels, and the parent for
    everything else (other backends, other axes, masks, `renorm`, `synchronized=True`, weights of 16 or 64 bits).

    The moving variance follows the parent: the biased variance of the batch (the 2015 paper corrects it by
    m/(m-1)). The statistics are computed in float32 whatever the input's type; the output has the type of
    the layer's policy.

    Args:
        As `keras.layers.BatchNormalization`.

    Shapes:
        Any; fused for (batch, height, width, channels) with `axis=-1` or 3.

    Example:
        >>> layer = BatchNormalization(momentum=0.9, epsilon=1e-5, name="conv1_bn")
        >>> layer(images, training=True)
    """

    def call(self, inputs, training=None, mask=None):
        if not self._is_fused(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        outputs, statistics = _fused(self, inputs, training=bool(training and self.trainable))
        if statistics is not None:
            mean, variance = statistics
            keep = self.momentum
            self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
            self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
        return outputs

    def _is_fused(self, inputs, mask) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and mask is None
            and not self.renorm
            and not self.synchronized
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            # The kernel has no other scale and offset; mixed precision keeps them in float32.
            and self.variable_dtype == "float32"
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )


def _fused(layer: BatchNormalization, inputs, training: bool):
    """The normalized inputs, and the batch's float32 (mean, biased variance) when training."""
    import tensorflow as tf

    inputs = tf.convert_to_tensor(inputs)
    channels = inputs.shape[-1]
    gamma = tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones(channels)
    beta = tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros(channels)
    mean = tf.zeros(0) if training else tf.convert_to_tensor(layer.moving_mean)
    variance = tf.zeros(0) if training else tf.convert_to_tensor(layer.moving_variance)
    outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=layer.epsilon,
        exponential_avg_factor=1.0,
        is_training=training,
    )
    if not training:
        return outputs, None
    # The kernel reports the variance over m-1, Keras keeps the one over m.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    return outputs, (batch_mean, batch_variance * (tf.maximum(count - 1.0, 1.0) / count))
