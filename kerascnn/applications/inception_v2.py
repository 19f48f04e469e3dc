"""Inception v2, and the steps from it to Inception v3.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2015),
section 6, tables 1 and 3.

Differences from the paper:
    Table 1 (`TABLE_1` in inception_v3.py) is the network with its first 7 x 7 convolution factorized into three of
    3 x 3. Inception v2 has the 7 x 7 convolution, as GoogLeNet, but without padding, so that its map is 147 x 147
    pixels as in the table. The table gives only the sizes of maps and the figures of modules. The filters inside
    the modules and the two grid reductions between them are those of the network that the authors released as
    Inception v3; the fifth module of figure 6, which that network does not have, has the filters of the fourth.
    For "BN-auxiliary", the paper normalizes the fully connected layer of the auxiliary classifier too, "not just
    the convolutions". Here, `aux_batch_norm` adds batch normalization to both convolutions of the auxiliary head,
    the second of which is the paper's fully connected layer; without it, neither has any. The dense layer that
    gives the logits is never normalized. Without `aux_heads`, the option has no effect.
    Other image sizes than 299 pixels, the initialization, the constants of batch normalization and the dropout are as
    in `inception_v3`.
    The paper's 3.8 billion multiply-adds, and 4.8 with the first convolution factorized, do not follow from its
    table: the rows give 6.07 and 6.48 billion.
"""

from pathlib import Path

import keras

from kerascnn.applications import inception_v3 as v3, preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building


def InceptionV2(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "inceptionv2",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    factorized_7x7: bool = False,
    aux_heads: bool = False,
    aux_batch_norm: bool = False,
) -> keras.Model:
    """Inception v2 (Szegedy et al., 2015, "Rethinking", table 3); with all options, the Inception v3 of table 1.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        factorized_7x7: whether the first convolution, of 7 x 7, is replaced by three of 3 x 3, as in table 1.
        aux_heads: whether to add the auxiliary classifier on the last 17 x 17 module, for training; the outputs are
            then a dict of `main` and `aux`. It needs images of at least 107 x 107 pixels.
        aux_batch_norm: whether the auxiliary classifier's convolutions are batch-normalized ("BN-auxiliary").

    Returns:
        A `keras.Model` from images, scaled to [-1, 1], to (batch, classes) float32 probabilities, or to a dict of
        two of them. Weights are initialized after He et al. (2015, "Delving Deep"), the auxiliary head's last two
        layers with a standard deviation of 0.01 and 0.001; there is no dropout.

    Example:
        >>> model = kerascnn.applications.InceptionV2(classes=10, factorized_7x7=True)
    """
    common = CommonArguments.of(locals())
    unit = v3.RELEASED_LAYERS.unit
    with building("InceptionV2", common) as network:
        x = v3.images(network, aux_heads)
        first = v3.factorized_stem if factorized_7x7 else conv_7x7
        x = v3.end_of_paper_stem(first(x, unit), unit)
        head_unit = (unit if aux_batch_norm else v3.plain_unit) if aux_heads else None
        return network.model(v3.modules_and_heads(x, network, v3.TABLE_1, head_unit))


def conv_7x7(x: keras.KerasTensor, unit: v3.Unit) -> keras.KerasTensor:
    """GoogLeNet's first convolution, instead of the first three rows of table 1."""
    return unit(x, 64, 7, strides=2, padding="valid", name="conv1")  # 147 x 147 x 64


preprocess_input, decode_predictions = preprocessing.of_family("inceptionv2")
