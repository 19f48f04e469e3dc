"""Folds batch normalization into the weights of the layer before it.

In inference, batch normalization is y = gamma (x - mean) / sqrt(variance + epsilon) + beta with constants per channel
(Ioffe and Szegedy, "Batch Normalization", 2015, section 3.1 and algorithm 2). If x = W u + b is a convolution or a
dense layer, the two together are one such layer with other W and b.
"""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np

from kerascnn.keras_internals import nodes_in_order, producing_node

LINEAR_LAYERS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def foldable(model: keras.Model) -> dict[str, str]:
    """The batch normalizations of a functional model that can be folded, and the layers before them, by name.

    That layer is a convolution or dense layer without activation that is called once. Only the batch normalization
    reads its output, and both have the same channel axis.

    Example:
        >>> foldable(kerascnn.applications.ResNet20())["conv1_bn"]
        'conv1'
    """
    nodes = nodes_in_order(model)
    calls = Counter(node.operation for node in nodes)
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(id(tensor) for tensor in model.outputs)
    found = {}
    for node in nodes:
        layer = node.operation
        if not isinstance(layer, keras.layers.BatchNormalization) or calls[layer] > 1:
            continue
        [features] = node.input_tensors[:1]
        before = producing_node(features).operation
        read_once = calls[before] == readers[id(features)] == 1
        linear = isinstance(before, LINEAR_LAYERS) and before.activation is keras.activations.linear
        if read_once and linear and _same_axis(before, layer, len(features.shape)):
            found[layer.name] = before.name
    return found


def folded_weights(layer: keras.Layer, normalization: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias of one layer that computes a pair of `foldable`, first `layer` and then `normalization`.

    Computed in float64, so that only the last rounding to float32 is lost.
    """
    kernel = _float64(layer.kernel)
    gamma = _float64(normalization.gamma) if normalization.scale else 1.0
    beta = _float64(normalization.beta) if normalization.center else 0.0
    scale = gamma / np.sqrt(_float64(normalization.moving_variance) + normalization.epsilon)
    bias = _float64(layer.bias) if layer.use_bias else 0.0
    # The channels of a depthwise convolution are the last two axes of its kernel.
    channels = kernel.shape[-2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel.shape[-1:]
    folded = kernel * scale.reshape(channels), beta + (bias - _float64(normalization.moving_mean)) * scale
    return [weight.astype(np.float32) for weight in folded]


def _same_axis(layer: keras.Layer, normalization: keras.layers.BatchNormalization, rank: int) -> bool:
    channels_first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return normalization.axis % rank == (1 if channels_first else rank - 1)


def _float64(weight: keras.Variable) -> np.ndarray:
    return np.asarray(weight, np.float64)
