"""ZFNet, AlexNet with smaller kernels and strides in its first layers.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2013), figure 3 and section 5.1.

Differences from the paper:
    Figure 3 prints the sizes of the feature maps, 110, 55, 26, 13 and 6 pixels, but no padding; the padding here gives
    these sizes. What the paper calls "contrast normalized across feature maps" is local response normalization with
    the constants of Krizhevsky et al. (2012).
    The default is not figure 3: `width="wide"` has more filters in conv3, conv4 and conv5, as the larger network of
    section 5.1 and table 2. `width="base"` is figure 3.
"""

from pathlib import Path
from typing import Literal

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.alexnet import ConvLayer, convolutions, dense_layers
from kerascnn.applications.network import CommonArguments, Pooling, building, check_option

# Figure 3; s: strides, p: padding.
# After each row: the map after the convolution, and after its pool.
# fmt: off
BASE = (
    #         conv   filters size s p grouped  bias     pool   p
    ConvLayer("conv1",  96, 7, 2, 1, False, "zeros", "pool1", 1),  # 110 x 110 x 96, 55 x 55 x 96
    ConvLayer("conv2", 256, 5, 2, 0, False, "zeros", "pool2", 1),  # 26 x 26 x 256, 13 x 13 x 256
    ConvLayer("conv3", 384, 3, 1, 1, False, "zeros", None),        # 13 x 13 x 384
    ConvLayer("conv4", 384, 3, 1, 1, False, "zeros", None),        # 13 x 13 x 384
    ConvLayer("conv5", 256, 3, 1, 1, False, "zeros", "pool3"),     # 13 x 13 x 256, 6 x 6 x 256
)
# Section 5.1: "increasing the size of the middle convolution layers".
WIDE_FILTERS = {"conv3": 512, "conv4": 1024, "conv5": 512}
# fmt: on

TABLES = {"wide": tuple(row._replace(filters=WIDE_FILTERS.get(row.name, row.filters)) for row in BASE), "base": BASE}

# Pixels: the convolutions and pools leave at least one.
MIN_SIZE = 53


def ZFNet(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "zfnet",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    width: Literal["wide", "base"] = "wide",
) -> keras.Model:
    """ZFNet (Zeiler and Fergus, 2013, figure 3): five convolutions, three dense layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        width: "wide" (512, 1024, 512 filters in conv3 to conv5, section 5.1) or "base" (384, 384, 256, figure 3).

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Initial
        weights are Gaussian with standard deviation 0.01, initial biases 0; dropout is 50 % after fc6 and fc7 (section
        3.1).

    Example:
        >>> model = kerascnn.applications.ZFNet(width="base", classes=10)
    """
    common = CommonArguments.of(locals())
    check_option("ZFNet", "width", width, TABLES)
    with building("ZFNet", common) as network:
        x = network.images(min_size=MIN_SIZE, fixed_size=include_top)
        x = convolutions(x, TABLES[width], groups=1, norm="lrn", pool_first=True)
        return network.model(dense_layers(x, network, bias="zeros") if include_top else network.features(x))


preprocess_input, decode_predictions = preprocessing.of_family("zfnet")
