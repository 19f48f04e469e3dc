"""The networks whose dense layers hold most of their parameters."""

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import VGG11, VGG13, VGG16, VGG16C, VGG19, AlexNet, AlexNetV2, ZFNet
from kerascnn.layers import BatchNormalization, LocalResponseNormalization
from support.messages import mentioning
from support.networks import without_values


def shapes(model, *names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def order(model):
    return [layer.name for layer in model.layers]


def test_alexnet_agrees_with_its_table():
    model = without_values(AlexNet)
    assert model.count_params() == 62_378_344
    assert model.get_layer("conv1").count_params() == 34_944
    expected = [(55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256)]
    assert shapes(model, "conv1", "norm1", "conv2", "norm2", "conv3", "conv4", "conv5") == expected
    assert shapes(model, "pool3", "fc6", "fc7", "predictions") == [(6, 6, 256), (4096,), (4096,), (1000,)]
    names = order(model)
    assert names.index("conv1_relu") < names.index("pool1") < names.index("norm1") < names.index("conv2")


def test_alexnet_as_in_the_paper():
    model = without_values(AlexNet, groups=2, pool_first=False)
    assert model.count_params() == 60_965_224
    names = order(model)
    assert names.index("conv2_relu") < names.index("norm2") < names.index("pool2")
    assert [model.get_layer(f"conv{number}").groups for number in range(1, 6)] == [1, 2, 1, 2, 2]


def test_alexnet_initialization_is_section_five():
    model = AlexNet(input_shape=(67, 67, 3), classes=5)
    ones = ["conv2", "conv4", "conv5", "fc6", "fc7"]
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            np.testing.assert_array_equal(bias, 1.0 if layer.name in ones else 0.0)
            assert kernel.std() == pytest.approx(0.01, rel=0.05)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize(("norm", "kind"), [("lrn", LocalResponseNormalization), ("batch", BatchNormalization)])
def test_alexnet_normalizations(norm, kind):
    model = without_values(AlexNet, include_top=False, input_shape=(67, 67, 3), norm=norm)
    assert [layer.name for layer in model.layers if isinstance(layer, kind)] == ["norm1", "norm2"]
    assert "norm1" not in order(without_values(AlexNet, include_top=False, input_shape=(67, 67, 3), norm=None))


def test_alexnet_of_2014():
    model = without_values(AlexNetV2)
    assert model.count_params() == 61_100_840
    expected = [(55, 55, 64), (27, 27, 192), (13, 13, 384), (13, 13, 256), (13, 13, 256), (6, 6, 256)]
    assert shapes(model, "conv1", "conv2", "conv3", "conv4", "conv5", "pool3") == expected


def test_zfnet_agrees_with_its_figure():
    model = without_values(ZFNet, width="base", include_top=False, input_shape=(224, 224, 3))
    expected = [(110, 110, 96), (55, 55, 96), (26, 26, 256), (13, 13, 256), (13, 13, 384), (13, 13, 256), (6, 6, 256)]
    assert shapes(model, "conv1", "pool1", "conv2", "pool2", "conv4", "conv5", "pool3") == expected
    wide = without_values(ZFNet, include_top=False, input_shape=(224, 224, 3))
    assert shapes(wide, "conv3", "conv4", "conv5", "pool3") == [
        (13, 13, 512),
        (13, 13, 1024),
        (13, 13, 512),
        (6, 6, 512),
    ]
    # 7*7*3*96, 5*5*96*256, 3*3*256*512, 3*3*512*1024 and 3*3*1024*512 weights, and one bias per filter.
    assert wide.count_params() == 14_112 + 614_400 + 1_179_648 + 2 * 4_718_592 + 96 + 256 + 512 + 1024 + 512


# Every convolution of 3 x 3 holds 9 * in * out weights and one bias per filter; the dense layers hold 123,642,856.
VGG_PARAMETERS = {VGG11: 132_863_336, VGG13: 133_047_848, VGG16: 138_357_544, VGG19: 143_667_240}


@pytest.mark.parametrize(("builder", "depth"), [(VGG11, 11), (VGG13, 13), (VGG16, 16), (VGG16C, 16), (VGG19, 19)])
def test_vgg_agrees_with_its_column(builder, depth):
    model = without_values(builder)
    if builder in VGG_PARAMETERS:
        assert model.count_params() == VGG_PARAMETERS[builder]
    else:
        # The third convolutions of stages 3 to 5 are 1 x 1: each has 8 of 9 weights per filter pair less than 3 x 3.
        assert model.count_params() == VGG_PARAMETERS[VGG16] - 8 * (256**2 + 2 * 512**2)
    assert sum(bool(layer.weights) for layer in model.layers) == depth
    stages = [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    assert shapes(model, *(f"pool{number}" for number in range(1, 6))) == stages
    assert model.get_layer("fc6").kernel.shape == (25_088, 4096)
    assert 25_088 * 4096 == 102_760_448


def test_vgg_with_batch_normalization():
    model = without_values(VGG11, batch_norm=True, include_top=False)
    names = order(model)
    assert names.index("conv1_1") < names.index("conv1_1_bn") < names.index("conv1_1_relu")
    # Scale, offset and two statistics for each of the 2,752 filters.
    extra = 4 * (64 + 128 + 2 * 256 + 4 * 512)
    assert model.count_params() == without_values(VGG11, include_top=False).count_params() + extra


@pytest.mark.parametrize(
    ("builder", "arguments", "parts"),
    [
        (AlexNet, {"groups": 3}, ("groups=1", "2", "3")),
        (AlexNet, {"norm": "layer"}, ("'lrn'", "'batch'", "None", "'layer'")),
        (AlexNet, {"input_shape": (66, 66, 3)}, ("67 x 67", "66 x 66")),
        (AlexNetV2, {"input_shape": (62, 62, 3)}, ("63 x 63", "62 x 62")),
        (ZFNet, {"input_shape": (40, 40, 3)}, ("53 x 53", "40 x 40")),
        (ZFNet, {"width": "narrow"}, ("width", "'wide'", "'base'", "'narrow'")),
        (VGG16, {"input_shape": (31, 31, 3)}, ("32 x 32", "31 x 31")),
        (VGG16, {"input_shape": (None, None, 3)}, ("height and width",)),
    ],
)
def test_rejected_arguments(builder, arguments, parts):
    with mentioning(InputError, *parts):
        builder(**arguments)


@pytest.mark.parametrize(("builder", "size"), [(AlexNet, 67), (AlexNetV2, 63), (ZFNet, 53), (VGG16, 32)])
def test_the_smallest_size_leaves_one_pixel(builder, size):
    assert without_values(builder, include_top=False, input_shape=(size, size, 3)).output.shape[1:3] == (1, 1)
