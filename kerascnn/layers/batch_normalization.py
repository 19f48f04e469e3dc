"""Batch normalization that uses TensorFlow's fused kernel where possible.

Source: Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1 and section 3.1.
"""

from __future__ import annotations

import keras

from kerascnn.lazy_tensorflow import tf


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with the same weights and config, in one kernel.

    Keras expands the layer into a dozen elementwise operations. On TensorFlow this class calls `FusedBatchNormV3` for
    four-dimensional inputs normalized over their channels, and the parent class for everything else (other backends,
    other axes, masks, `renorm`, `synchronized=True`, weights of 16 or 64 bits).

    The moving variance follows the parent class: the biased variance of the batch (the 2015 paper corrects it by
    m/(m-1)). Statistics are computed in float32 for any input dtype; the output has the compute dtype of the layer's
    policy.

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
            for moving, value in zip((self.moving_mean, self.moving_variance), statistics, strict=True):
                moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _is_fused(self, inputs, mask) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and mask is None
            and not self.renorm
            and not self.synchronized
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            # The kernel takes scale and offset in float32 only, as in mixed precision.
            and self.variable_dtype == "float32"
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )


def _fused(layer: BatchNormalization, inputs, training: bool):
    """The normalized inputs, and the batch's float32 (mean, biased variance) when training."""
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
    # The kernel returns the variance over m-1, Keras stores the one over m.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    return outputs, (batch_mean, batch_variance * (tf.maximum(count - 1.0, 1.0) / count))
