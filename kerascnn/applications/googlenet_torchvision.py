"""torchvision's GoogLeNet, the network of PyTorch's public weights.

Source: torchvision.models.googlenet; the filters are those of Szegedy et al., "Going Deeper with Convolutions" (2014),
table 1.

Differences from the paper:
    Batch normalization with epsilon 1e-3 in every convolution, and only there, in place of biases and of local response
    normalization; 3 x 3 convolutions in the column "5x5", which keep its name; zeros on all sides before conv1; max
    pools whose windows extend over the end only, the last of them 2 x 2; auxiliary heads that average any map to
    4 x 4; and dropout of 20 % before the classifier.
"""

import functools
from pathlib import Path

import keras

from kerascnn.applications import googlenet, preprocessing
from kerascnn.applications.network import CommonArguments, Network, Pooling, building
from kerascnn.layers import BatchNormalization, conv_unit

unit = functools.partial(
    conv_unit,
    kernel_initializer=googlenet.INITIALIZER,
    normalization=functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-3),
)


def GoogLeNetTorchvision(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "googlenettorchvision",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    aux_heads: bool = False,
) -> keras.Model:
    """torchvision's GoogLeNet, for its public weights; `GoogLeNet(weights="torchvision")` returns it too.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "torchvision" (69.778 % top-1), a URL or a file.
        aux_heads: whether to add the two auxiliary classifiers on 4a and 4d; the outputs are then a dict of `main`,
            `aux_4a` and `aux_4d`. The public weights were published with auxiliary heads that nobody had trained.

    Returns:
        A `keras.Model` from images, scaled to [-1, 1], to (batch, classes) float32 probabilities, or to the dict of
        three such. Weights are initialized after He et al. (2015, "Delving Deep"); dropout is 20 % before the
        classifier and 70 % in the auxiliary heads.

    Example:
        >>> model = kerascnn.applications.GoogLeNetTorchvision(weights="torchvision")
    """
    common = CommonArguments.of(locals())
    heads = include_top and aux_heads
    with building("GoogLeNetTorchvision", common) as network:
        x = network.images(min_size=googlenet.MIN_SIZE_WITH_HEADS if heads else googlenet.MIN_SIZE, fixed_size=heads)
        x = unit(x, 64, 7, strides=2, padding="symmetric", name="conv1")  # 112 x 112 x 64
        x = max_pool(x, "pool1")  # 56 x 56 x 64
        x = unit(x, 64, 1, name="conv2_reduce")
        x = max_pool(unit(x, 192, 3, name="conv2"), "pool2")  # 28 x 28 x 192
        outputs = {}
        for row in googlenet.TABLE_1:
            x = googlenet.inception(x, row, f"inception_{row.name}", unit, kernel5x5=3)
            if heads and row.name in googlenet.AUXILIARY_HEADS:
                outputs[f"aux_{row.name}"] = auxiliary_head(x, network, f"aux_{row.name}")
            if row.name in googlenet.POOL_AFTER:
                x = max_pool(x, f"pool{row.name[0]}")
        main = network.head(x, googlenet.INITIALIZER, dropout=0.2)
        return network.model({"main": main, **outputs} if heads else main)


def max_pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A max pool with stride 2 whose windows begin at the first pixel; the last one is 2 x 2."""
    if name == "pool4":
        return keras.layers.MaxPooling2D(2, padding="same", name=name)(x)
    # After a ReLU, a padding of zeros does not change the maximum.
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def auxiliary_head(x: keras.KerasTensor, network: Network, name: str) -> keras.KerasTensor:
    """The paper's auxiliary classifier on a map averaged to 4 x 4."""
    x = keras.layers.AdaptiveAveragePooling2D(4, name=f"{name}_pool")(x)
    x = unit(x, 128, 1, name=f"{name}_conv")
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = keras.layers.Dense(1024, kernel_initializer=googlenet.INITIALIZER, name=f"{name}_fc1")(x)
    return googlenet.auxiliary_classifier(x, network, name)


preprocess_input, decode_predictions = preprocessing.of_family("googlenet_torchvision")
