"""The gradient of convolutions by their filters, as products of matrices."""

from __future__ import annotations

import functools

import keras

from kerascnn.keras_internals import with_gradient
from kerascnn.lazy_tensorflow import tf

# In bfloat16, products are faster than TensorFlow's kernel for maps of so many pixels at most, from so many channels.
MAX_PIXELS, MIN_CHANNELS = 400, 96


def product_gradient(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Makes the training of a convolution faster on CPUs; any other layer is left as it is.

    TensorFlow's Conv2DBackpropFilter takes up to three times as long as one product of matrices per pixel of the
    filters, in which the larger number of channels comes last. Products are taken for 1 x 1 convolutions, and in
    bfloat16 for small maps. 1 x 1 convolutions with strides first drop pixels by an average pool of 1 x 1 windows, in a
    tenth of the time of slicing, in inference too. Values and gradients are the same but for the order of sums. The
    layer's class, weights and config stay Keras'. It computes as before on GPUs, on other backends, and with a bias:
    TensorFlow's kernel for both gradients is as fast, and without it the bias' is summed in bfloat16.

    Args:
        layer: built or not.

    Returns:
        The same layer.

    Example:
        >>> x = product_gradient(keras.layers.Conv2D(64, 1, name="conv2_reduce"))(x)
    """
    if (
        keras.backend.backend() == "tensorflow"
        and type(layer) is keras.layers.Conv2D
        and not layer.use_bias
        and layer.groups == 1
        and layer.dilation_rate == (1, 1)
        and layer.data_format == "channels_last"
        and layer.padding in ("valid", "same")
    ):
        layer.convolution_op = functools.partial(_convolution, layer)
    return layer


def _convolution(layer: keras.layers.Conv2D, inputs, kernel):
    """What Keras' `Conv2D.convolution_op` returns."""
    inputs, kernel = tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel)
    if not _gains(layer, inputs) or tf.config.get_visible_devices("GPU"):
        return type(layer).convolution_op(layer, inputs, kernel)
    strides, padding = layer.strides, layer.padding.upper()
    if layer.kernel_size == (1, 1) and strides != (1, 1):
        inputs, strides = tf.nn.avg_pool2d(inputs, 1, strides, "VALID"), (1, 1)
    convolution = functools.partial(tf.nn.conv2d, strides=strides, padding=padding)
    return with_gradient(convolution, functools.partial(_gradients, strides, padding), inputs, kernel)


def _gains(layer: keras.layers.Conv2D, inputs) -> bool:
    """Whether the products are faster, as measured on an EPYC with AVX-512 bfloat16."""
    if layer.kernel_size == (1, 1):
        return inputs.dtype in (tf.float32, tf.bfloat16)
    _, height, width, filters = layer.compute_output_shape(inputs.shape)
    small = height is not None and width is not None and height * width <= MAX_PIXELS
    return inputs.dtype == tf.bfloat16 and small and min(inputs.shape[-1], filters) >= MIN_CHANNELS


def _gradients(strides, padding: str, inputs, kernel, upstream):
    """The gradients by inputs and kernel."""
    by_inputs = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream, strides=[1, *strides, 1], padding=padding
    )
    by_kernel = _by_kernel(strides, padding, inputs, kernel.shape[:2], upstream)
    return by_inputs, tf.reshape(by_kernel, kernel.shape)


def _by_kernel(strides, padding: str, inputs, size, upstream):
    """The gradients by each of the kernel's pixels, of which there are `size`."""
    if size == (1, 1):
        return _product(inputs, upstream)
    span = [(maps - 1) * step + 1 for maps, step in zip(upstream.shape[1:3], strides, strict=True)]
    if padding == "SAME":
        missing = [max(0, a + b - 1 - c) for a, b, c in zip(span, size, inputs.shape[1:3], strict=True)]
        inputs = tf.pad(inputs, [(0, 0), *((border // 2, border - border // 2) for border in missing), (0, 0)])
    products = []
    for row in range(size[0]):
        for column in range(size[1]):
            pixels = inputs[:, row : row + span[0], column : column + span[1]]
            pixels = pixels if strides == (1, 1) else tf.nn.avg_pool2d(pixels, 1, strides, "VALID")
            products.append(_product(pixels, upstream))
    return tf.stack(products)


def _product(before, after):
    """The sums over all pixels of the products of each channel before with each after."""
    before, after = (tf.reshape(maps, (-1, maps.shape[-1])) for maps in (before, after))
    if before.shape[-1] <= after.shape[-1]:
        return tf.matmul(before, after, transpose_a=True)
    return tf.transpose(tf.matmul(after, before, transpose_a=True))
