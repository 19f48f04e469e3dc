"""Inception v2, and the steps from it to Inception v3.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2015),
section 6, tables 1 and 3.

Differences from the paper:
    Table 1 is the network with its first convolution factorized; Inception v2 has the 7 x 7 one of GoogLeNet, without
    padding, so that 147 x 147 pixels are left as in the table. The table gives sizes and figures only: filters inside
    the modules of figures 5 to 7 and the two reductions of the grid between them are those of the network that the
    authors released as Inception v3, and a fifth module of figure 6 repeats the fourth.
    For BN-auxiliary, the paper normalizes the auxiliary classifier's fully connected layer and not only its
    convolutions, so that Inception v2 would have some of the head normalized already. Here `aux_batch_norm` is the
    whole head: off, both its convolutions have biases and no batch normalization; on, both have it, the second being
    the paper's fully connected layer. The dense layer that makes the logits is never normalized. Without the head
    there is nothing to normalize, and the switch changes nothing.
    The 5 x 5 convolution of the auxiliary head shrinks with its map, where images are smaller than 299 pixels, as in
    the authors' program; what it leaves of larger ones is averaged.
    The paper states neither initialization nor constants of batch normalization nor dropout. Weights are
    initialized after He et al. (2015), as in the authors' program but for its cut-off tails; batch normalization
    has no scale and epsilon 1e-3 as there, and its moving averages decay by 0.99 a step as in keras.applications
    (0.9997 there, which takes many thousands of steps to settle). The program's dropout of 20 % before the
    classifier is left out. The average pool before the classifier covers the whole feature map, which is 8 x 8 at
    299 pixels, so that other sizes work.
    The paper's 3.8 billion multiply-adds, and 4.8 with the first convolution factorized, do not follow from its table:
    the rows give 6.07 and 6.48 billion.
"""

from __future__ import annotations

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Network, Outputs, builder
from kerascnn.applications.inception_modules import (
    MIN_SIZE,
    TABLE,
    images,
    modules_and_ends,
    plain_unit,
    rest_of_stem,
    three_3x3,
    unit,
)


def conv_7x7(x: keras.KerasTensor) -> keras.KerasTensor:
    """GoogLeNet's first convolution in the place of the first three rows of table 1."""
    return unit(x, 64, 7, strides=2, padding="valid", name="conv1")  # 147 x 147 x 64


@builder(size=299, min_size=MIN_SIZE)
def InceptionV2(
    network: Network, *, factorized_7x7: bool = False, aux_heads: bool = False, aux_batch_norm: bool = False
) -> Outputs:
    """Inception v2 (Szegedy et al., 2015, "Rethinking", table 3), and with every switch Inception v3 as table 1 has it.

    Args:
        {common}
        factorized_7x7: whether three 3 x 3 convolutions take the place of the first, of 7 x 7.
        aux_heads: whether the auxiliary classifier on the last 17 x 17 module is there, for training; the outputs are
            then a dict of `main` and `aux`. It takes images of at least 107 x 107 pixels.
        aux_batch_norm: whether the auxiliary classifier's convolutions are batch-normalized ("BN-auxiliary").

    Returns:
        A `keras.Model` from images, scaled to [-1, 1], to (batch, classes) float32 probabilities, or to the dict of
        two such. Weights are initialized after He et al. (2015, "Delving Deep"), the auxiliary head's last two layers
        with a standard deviation of 0.01 and 0.001; there is no dropout.

    Raises:
        InputError: images too small, an unknown pooling or dtype, a weight file that does not fit.

    Example:
        >>> model = kerascnn.applications.InceptionV2(classes=10, factorized_7x7=True)
    """
    x = images(network, aux_heads)
    x = three_3x3(x) if factorized_7x7 else conv_7x7(x)
    head = (unit if aux_batch_norm else plain_unit) if aux_heads else None
    return modules_and_ends(rest_of_stem(x), network, TABLE, head)


preprocess_input, decode_predictions = preprocessing.of_family("inceptionv2")
