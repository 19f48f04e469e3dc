"""Inception v3: the network that its authors released, and the one of their table.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2015),
section 6 and table 1; for the released network, its public weights as keras.applications reads them.

Differences from the paper:
    The released network, `stem="released"`, is not that of table 1. It has a 1 x 1 convolution of 80 filters, one of
    3 x 3 and a max pool in the place of the table's last three 3 x 3 convolutions; modules at 35 x 35 with one true
    5 x 5 convolution, the first two of them taking 192 and 256 channels; and four modules of figure 6, not five.
    `stem="paper"` is the table's network. The table gives sizes and figures only: filters inside its modules and the
    two reductions of the grid between them are those of the released network, and a fifth module of figure 6 repeats
    the fourth.
    The 5 x 5 convolution of the auxiliary head shrinks with its map, where images are smaller than 299 pixels, as in
    the authors' program; what it leaves of larger ones is averaged.
    The paper states neither initialization nor constants of batch normalization nor dropout. Weights are
    initialized after He et al. (2015), as in the authors' program but for its cut-off tails; batch normalization
    has no scale and epsilon 1e-3 as there, and its moving averages decay by 0.99 a step as in keras.applications
    (0.9997 there, which takes many thousands of steps to settle). The program's dropout of 20 % before the
    classifier is left out, as in keras.applications. The average pool before the classifier covers the whole
    feature map, which is 8 x 8 at 299 pixels, so that other sizes work.
    `variant="torchvision"` is the released network as torchvision has it: batch normalization scales, and its moving
    averages decay by 0.9 a step; average pools inside the modules count zeros beyond the border, where the
    released network averages the pixels that there are; dropout of 50 % precedes the classifier.
    The paper's 4.8 billion multiply-adds are of neither network: the released one has 5.71, the table's 6.48 billion.
"""

from __future__ import annotations

import functools

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Network, Outputs, builder
from kerascnn.applications.inception_modules import (
    MIN_SIZE,
    PARTS,
    TABLE,
    Parts,
    Row,
    figure5,
    figure6,
    figure7,
    halving_pool,
    images,
    modules_and_ends,
    plain_unit,
    rest_of_stem,
    three_3x3,
    to_8,
    to_17,
)
from kerascnn.errors import InputError
from kerascnn.layers import BatchNormalization

figure5_with_5x5 = functools.partial(figure5, kernel=5)

# fmt: off
RELEASED = (
    #                                   1x1 5x5r  5x5 dblr  dbl proj
    Row("mixed0",  figure5_with_5x5,   (64,  48,  64,  64,  96,  32)),  # 35 x 35 x 256
    Row("mixed1",  figure5_with_5x5,   (64,  48,  64,  64,  96,  64)),  # 35 x 35 x 288
    Row("mixed2",  figure5_with_5x5,   (64,  48,  64,  64,  96,  64)),  # 35 x 35 x 288
    #                                   3x3 dblr  dbl
    Row("mixed3",  to_17,              (384,  64,  96)),                # 17 x 17 x 768
    #                                   7x7  out
    Row("mixed4",  figure6,            (128, 192)),                     # 17 x 17 x 768
    Row("mixed5",  figure6,            (160, 192)),                     # 17 x 17 x 768
    Row("mixed6",  figure6,            (160, 192)),                     # 17 x 17 x 768
    Row("mixed7",  figure6,            (192, 192)),                     # 17 x 17 x 768
    #                                   7x7  3x3
    Row("mixed8",  to_8,               (192, 320)),                     # 8 x 8 x 1280
    #                                   1x1 dblr bank proj
    Row("mixed9",  figure7,            (320, 448, 384, 192)),           # 8 x 8 x 2048
    Row("mixed10", figure7,            (320, 448, 384, 192)),           # 8 x 8 x 2048
)
# fmt: on


def average_with_border(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """An average over nine pixels everywhere, of which those beyond the border are zero."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=1, name=name)(x)


normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-3)
TORCHVISION = Parts(functools.partial(plain_unit, normalization=normalization), average_with_border, dropout=0.5)

VARIANTS = {"released": PARTS, "torchvision": TORCHVISION}


def released_rest_of_stem(x: keras.KerasTensor, parts: Parts) -> keras.KerasTensor:
    """What the released network has between the first three convolutions and the modules."""
    x = halving_pool(name="pool1")(x)  # 73 x 73 x 64
    x = parts.unit(x, 80, 1, name="conv4")  # 73 x 73 x 80
    x = parts.unit(x, 192, 3, padding="valid", name="conv5")  # 71 x 71 x 192
    return halving_pool(name="pool2")(x)  # 35 x 35 x 192


STEMS = {"released": (released_rest_of_stem, RELEASED), "paper": (rest_of_stem, TABLE)}


@builder(size=299, min_size=MIN_SIZE)
def InceptionV3(
    network: Network, *, aux_heads: bool = False, stem: str = "released", variant: str = "released"
) -> Outputs:
    """Inception v3 (Szegedy et al., 2015, "Rethinking", section 6), as it was released.

    Args:
        {common}
        aux_heads: whether the batch-normalized auxiliary classifier on the last 17 x 17 module is there, for
            training; the outputs are then a dict of `main` and `aux`. It takes images of at least 107 x 107 pixels.
        stem: "released", the network that has public weights, or "paper", that of table 1.
        variant: "released", or "torchvision", as PyTorch's public weights need it: batch normalization has a scale,
            average pools count the zeros beyond the border, and dropout of 50 % precedes the classifier.

    Returns:
        A `keras.Model` from images, scaled to [-1, 1], to (batch, classes) float32 probabilities, or to the dict of
        two such. Weights are initialized after He et al. (2015, "Delving Deep"), the auxiliary head's last two layers
        with a standard deviation of 0.01 and 0.001; the released form has no
        dropout.

    Raises:
        InputError: images too small, an unknown stem, variant, pooling or dtype, a weight file that does not fit.

    Example:
        >>> model = kerascnn.applications.InceptionV3(classes=10, aux_heads=True)
        >>> sorted(model.output)
        ['aux', 'main']
    """
    if stem not in STEMS:
        raise InputError(f"InceptionV3 has stems 'released' and 'paper', not {stem!r}.")
    if variant not in VARIANTS:
        raise InputError(f"InceptionV3 has variants 'released' and 'torchvision', not {variant!r}.")
    rest, table = STEMS[stem]
    parts = VARIANTS[variant]
    x = three_3x3(images(network, aux_heads), parts)
    return modules_and_ends(rest(x, parts), network, table, parts.unit if aux_heads else None, parts)


preprocess_input, decode_predictions = preprocessing.of_family("inceptionv3")
