"""The convolutional maxout network for CIFAR-10.

Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout Networks" (2013), section 5.3. The paper does not
print its layers: the table is that of the authors' configuration (lisa-lab/pylearn2, scripts/papers/maxout/
cifar10.yaml).

Differences from the paper:
    None in the layers. Pools are those of the authors' program: the last window may reach over the border. The authors'
    dropout of the input does not enlarge the pixels that remain; Keras' does, by 1 / 0.8. Romero et al. (2014) give
    about 9 million parameters for their teacher, a network of this kind; the configuration has 16,247,830.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.layers import maxout_conv, maxout_dense


class MaxoutConv(NamedTuple):
    """A maxout convolution of two pieces, and the max pool after it, with stride 2."""

    name: str
    filters: int
    size: int
    padding: int
    pool: str
    pool_size: int


# After each row: the map after the convolution, and after its pool.
# fmt: off
TABLE = (
    #          name    filters size p pool
    MaxoutConv("conv1",  96, 8, 4, "pool1", 4),  # 33 x 33 x 96, 16 x 16 x 96
    MaxoutConv("conv2", 192, 8, 3, "pool2", 4),  # 15 x 15 x 192, 7 x 7 x 192
    MaxoutConv("conv3", 192, 5, 3, "pool3", 2),  # 9 x 9 x 192, 5 x 5 x 192
)
# fmt: on
PIECES, UNITS, DENSE_PIECES = 2, 500, 5

# Pixels: the pools leave at least one.
MIN_SIZE = 8

INITIALIZER = {"class_name": "RandomUniform", "config": {"minval": -0.005, "maxval": 0.005}}
unit = functools.partial(maxout_conv, pieces=PIECES, padding="valid", kernel_initializer=INITIALIZER)


def Maxout(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "maxout",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The maxout network for 32 x 32 images (Goodfellow et al., 2013, section 5.3): five layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Initial
        weights are uniform between -0.005 and 0.005; dropout is 20 % of the input and 50 % before every other layer.

    Example:
        >>> model = kerascnn.applications.Maxout()
    """
    with building("Maxout", CommonArguments.of(locals())) as network:
        x = network.images(min_size=MIN_SIZE, fixed_size=include_top)
        x = keras.layers.Dropout(0.2, name="pixels_dropout")(x)
        for row in TABLE:
            x = keras.layers.ZeroPadding2D(row.padding, name=f"{row.name}_pad")(x)
            x = unit(x, row.filters, row.size, name=row.name)
            x = _pool(x, row.pool_size, row.pool)
            if row is not TABLE[-1] or include_top:
                x = keras.layers.Dropout(0.5, name=f"{row.pool}_dropout")(x)
        if not include_top:
            return network.model(network.features(x))
        x = keras.layers.Flatten(name="pool3_flatten")(x)
        x = maxout_dense(x, UNITS, DENSE_PIECES, name="fc", kernel_initializer=INITIALIZER)
        x = keras.layers.Dropout(0.5, name="fc_dropout")(x)
        return network.model(network.classifier(x, INITIALIZER))


def _pool(x: keras.KerasTensor, size: int, name: str) -> keras.KerasTensor:
    """A max pool of `size` 2 or 4 with stride 2 from the first pixel on, as many windows as cover the last one.

    Where a window of 4 reaches over the border, Keras' "same" would begin before the first pixel. A window of 4 is two
    neighboring ones of 2.
    """
    if size == 2:
        return keras.layers.MaxPooling2D(2, padding="same", name=name)(x)
    x = keras.layers.MaxPooling2D(2, padding="same", name=f"{name}_halves")(x)
    return keras.layers.MaxPooling2D(2, strides=1, name=name)(x)


preprocess_input, decode_predictions = preprocessing.of_family("maxout")
