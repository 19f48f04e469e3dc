"""Batch normalization, worked into the weights of the layer before it.

In inference batch normalization is y = gamma (x - mean) / sqrt(variance + epsilon) + beta with constants a channel
(Ioffe and Szegedy, "Batch Normalization", 2015, section 3.1 and algorithm 2). Where x = W u + b is a convolution or a
dense layer, that is one such layer again, with other W and b.
"""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np

LINEAR_LAYERS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def foldable(model: keras.Model) -> dict[str, str]:
    """The batch normalizations of a functional model that can go into the layer before them.

    That layer is a convolution or dense layer without activation, called once, whose output nothing but the batch
    normalization reads, and both have the same axis of channels.

    Returns:
        The name of the layer that takes it in, by the name of the batch normalization.

    Example:
        >>> foldable(kerascnn.applications.ResNet20())["conv1_bn"]
        'conv1'
    """
    nodes = [node for same_depth in model._nodes_by_depth.values() for node in same_depth]
    calls = Counter(node.operation for node in nodes)
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(id(tensor) for tensor in model.outputs)
    found = {}
    for node in nodes:
        layer = node.operation
        if not isinstance(layer, keras.layers.BatchNormalization) or calls[layer] > 1:
            continue
        [maps] = node.input_tensors[:1]
        before = maps._keras_history.operation
        if calls[before] == 1 and readers[id(maps)] == 1 and _is_linear(before) and _same_axis(before, layer, maps):
            found[layer.name] = before.name
    return found


def folded_weights(layer: keras.Layer, normalization: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias of one layer that does what `layer` and then `normalization` do in inference.

    Computed in 64 bits, so that nothing but the last rounding to float32 is lost.

    Args:
        layer, normalization: a pair of `foldable`.
    """
    kernel = _values(layer.kernel)
    gamma = _values(normalization.gamma) if normalization.scale else 1.0
    beta = _values(normalization.beta) if normalization.center else 0.0
    scale = gamma / np.sqrt(_values(normalization.moving_variance) + normalization.epsilon)
    bias = _values(layer.bias) if layer.use_bias else 0.0
    # A depthwise convolution has its channels on the last two axes of its kernel.
    channels = kernel.shape[-2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel.shape[-1:]
    folded = kernel * scale.reshape(channels), beta + (bias - _values(normalization.moving_mean)) * scale
    return [weight.astype(np.float32) for weight in folded]


def _is_linear(layer: keras.Operation) -> bool:
    return isinstance(layer, LINEAR_LAYERS) and layer.activation is keras.activations.linear


def _same_axis(layer: keras.Layer, normalization: keras.layers.BatchNormalization, maps: keras.KerasTensor) -> bool:
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return normalization.axis % len(maps.shape) == (1 if first else len(maps.shape) - 1)


def _values(weight: keras.Variable) -> np.ndarray:
    return np.asarray(weight, np.float64)
