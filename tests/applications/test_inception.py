"""Inception v2 and v3."""

import math

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import InceptionV2, InceptionV3
from kerascnn.layers import BatchNormalization
from support.messages import mentioning
from support.networks import without_values

# The output of each row at 299 pixels; the paper's table gives the size that goes into each.
STEM = {"conv1": (149, 149, 32), "conv2": (147, 147, 32), "conv3": (147, 147, 64), "pool1": (73, 73, 64)}
TABLE = {
    **STEM,
    "conv4": (71, 71, 80),
    "conv5": (35, 35, 192),
    "conv6": (35, 35, 288),
    **dict.fromkeys(("mixed0", "mixed1", "mixed2"), (35, 35, 288)),
    **dict.fromkeys(("mixed3", "mixed4", "mixed5", "mixed6", "mixed7", "mixed8"), (17, 17, 768)),
    "mixed9": (8, 8, 1280),
    **dict.fromkeys(("mixed10", "mixed11"), (8, 8, 2048)),
    "avg_pool": (2048,),
    "predictions": (1000,),
}
RELEASED = {
    **STEM,
    "conv4": (73, 73, 80),
    "conv5": (71, 71, 192),
    "pool2": (35, 35, 192),
    "mixed0": (35, 35, 256),
    **dict.fromkeys(("mixed1", "mixed2"), (35, 35, 288)),
    **dict.fromkeys(("mixed3", "mixed4", "mixed5", "mixed6", "mixed7"), (17, 17, 768)),
    "mixed8": (8, 8, 1280),
    **dict.fromkeys(("mixed9", "mixed10"), (8, 8, 2048)),
    "avg_pool": (2048,),
    "predictions": (1000,),
}
HEAD = {"aux_pool": (5, 5, 768), "aux_conv1": (5, 5, 128), "aux_conv2": (1, 1, 768), "aux_fc": (1000,)}

# Three values of batch normalization (no scale) for each of the head's 128 + 768 filters, against one bias each.
HEAD_KERNELS = 768 * 128 + 5 * 5 * 128 * 768 + 768 * 1000 + 1000
HEAD_FILTERS = 128 + 768


def shapes(weights):
    return [weight.shape for weight in weights]


def kernel_sizes(model, module):
    layers = [layer for layer in model.layers if layer.name.startswith(f"{module}_")]
    return [layer.kernel_size for layer in layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.fixture(scope="module")
def released():
    return without_values(InceptionV3, aux_heads=True)


@pytest.fixture(scope="module")
def paper():
    return without_values(InceptionV3, stem="paper", aux_heads=True)


@pytest.fixture(scope="module")
def second():
    return without_values(InceptionV2, aux_heads=True)


def test_parameters_of_v3(released, paper):
    assert without_values(InceptionV3).count_params() == 23_851_784
    assert released.count_params() == 23_851_784 + HEAD_KERNELS + 3 * HEAD_FILTERS == 27_179_376
    assert without_values(InceptionV3, stem="paper").count_params() == 26_424_648
    assert paper.count_params() == 26_424_648 + HEAD_KERNELS + 3 * HEAD_FILTERS == 29_752_240


def test_parameters_of_v2(second):
    # One 7 x 7 convolution of 64 filters against three of 3 x 3, of 32, 32 and 64.
    stem = (7 * 7 * 3 * 64 + 3 * 64) - (9 * (3 * 32 + 32 * 32 + 32 * 64) + 3 * (32 + 32 + 64))
    assert without_values(InceptionV2).count_params() == 26_424_648 + stem == 26_405_352
    assert second.count_params() == 26_405_352 + HEAD_KERNELS + HEAD_FILTERS == 29_731_152
    assert (
        without_values(InceptionV2, aux_heads=True, aux_batch_norm=True).count_params() == 29_731_152 + 2 * HEAD_FILTERS
    )


@pytest.mark.parametrize(("network", "rows"), [("released", RELEASED), ("paper", TABLE)])
def test_shapes_of_v3(network, rows, request):
    model = request.getfixturevalue(network)
    for name, shape in {**rows, **HEAD}.items():
        assert model.get_layer(name).output.shape[1:] == shape, name


def test_shapes_of_v2(second):
    rows = {name: shape for name, shape in TABLE.items() if name not in ("conv2", "conv3")}
    for name, shape in {**rows, **HEAD, "conv1": (147, 147, 64)}.items():
        assert second.get_layer(name).output.shape[1:] == shape, name
    assert second.get_layer("conv1").kernel_size == (7, 7)


def test_modules_agree_with_the_figures(released, paper):
    inception_a = [(1, 1), (1, 1), (3, 3), (1, 1), (3, 3), (3, 3), (1, 1)]
    inception_b = [(1, 1), (1, 1), (1, 7), (7, 1), (1, 1), (7, 1), (1, 7), (7, 1), (1, 7), (1, 1)]
    inception_c = [(1, 1), (1, 1), (1, 3), (3, 1), (1, 1), (3, 3), (1, 3), (3, 1), (1, 1)]
    for figure, modules in ((inception_a, range(3)), (inception_b, range(4, 9)), (inception_c, (10, 11))):
        for number in modules:
            assert sorted(kernel_sizes(paper, f"mixed{number}")) == sorted(figure)
    assert (5, 5) in kernel_sizes(released, "mixed0")
    # The widths of the factorized convolutions.
    for model, widths in ((paper, (128, 160, 160, 192, 192)), (released, (128, 160, 160, 192))):
        found = [model.get_layer(f"mixed{number}_1x7").filters for number, _ in enumerate(widths, 4)]
        assert found == list(widths)


def test_the_head_is_on_the_last_17_x_17_module(released, paper):
    assert released.get_layer("aux_pool").input is released.get_layer("mixed7").output
    assert paper.get_layer("aux_pool").input is paper.get_layer("mixed8").output
    assert set(released.output) == {"main", "aux"}


def test_v2_with_all_options_is_v3_of_the_table(paper):
    switched = without_values(InceptionV2, factorized_7x7=True, aux_heads=True, aux_batch_norm=True)
    assert switched.count_params() == 29_752_240
    assert [weight.path for weight in switched.weights] == [weight.path for weight in paper.weights]
    assert shapes(switched.weights) == shapes(paper.weights)


def test_torchvisions_variant():
    layers = without_values(InceptionV3, variant="torchvision", aux_heads=True).layers
    # As torchvision publishes them.
    assert sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights) == 27_161_264
    by_name = {layer.name: layer for layer in layers}
    for name, shape in {**RELEASED, **HEAD}.items():
        assert by_name[name].output.shape[1:] == shape
    normalizations = [layer for layer in layers if isinstance(layer, BatchNormalization)]
    assert len(normalizations) == 94 + 2
    assert all(layer.scale and layer.epsilon == 1e-3 for layer in normalizations)
    assert by_name["dropout"].rate == 0.5


def test_batch_normalization_of_the_head(second):
    assert not any(layer.name.startswith("aux") and layer.name.endswith("_bn") for layer in second.layers)
    assert second.get_layer("aux_conv1").use_bias
    assert second.get_layer("aux_conv2").use_bias
    normalized = without_values(InceptionV2, aux_heads=True, aux_batch_norm=True, input_shape=(107, 107, 3), classes=2)
    for name in ("aux_conv1", "aux_conv2"):
        assert isinstance(normalized.get_layer(f"{name}_bn"), BatchNormalization)
        assert not normalized.get_layer(name).use_bias
    # Without a head there is nothing to normalize.
    assert without_values(InceptionV2, aux_batch_norm=True).count_params() == 26_405_352


@pytest.fixture(scope="module")
def pair():
    """This network and that of keras.applications with the same random weights, at a small size."""
    arguments = {"weights": None, "input_shape": (139, 139, 3), "classifier_activation": None}
    ours, theirs = InceptionV3(**arguments), keras.applications.InceptionV3(**arguments)
    generator = np.random.default_rng(0)
    weights = []
    for weight in theirs.weights:
        if weight.name == "moving_variance":
            weights.append(generator.uniform(0.5, 2, weight.shape))
        elif weight.name in ("moving_mean", "beta", "bias"):
            weights.append(generator.normal(0, 0.2, weight.shape))
        else:
            weights.append(np.asarray(weight) * 1.5)
    for model in (ours, theirs):
        model.set_weights(weights)
    return ours, theirs


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).uniform(-1, 1, (2, 139, 139, 3)).astype("float32")


def test_weights_are_in_the_order_of_keras_applications(pair):
    def weighted(model):
        return [shapes(layer.weights) for layer in model.layers if layer.weights]

    ours, theirs = pair
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]
    # Files of keras.applications are read layer by layer.
    assert weighted(ours) == weighted(theirs)


def test_logits_are_those_of_keras_applications(pair, pixels):
    ours, theirs = (np.asarray(model(pixels, training=False)) for model in pair)
    assert np.ptp(theirs) > 1
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_a_batch_in_training_is_that_of_keras_applications(pair, pixels):
    before = pair[0].get_weights()
    ours, theirs = (np.asarray(model(pixels, training=True)) for model in pair)
    # A batch's own deviation, where it is small, multiplies what rounding does to the maps before it.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3)
    for our, their in zip(pair[0].weights, pair[1].weights, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-3, atol=1e-4)
    for model in pair:
        model.set_weights(before)


@pytest.mark.slow
def test_other_sizes():
    features = InceptionV3(include_top=False, input_shape=(None, None, 3))
    assert features(np.zeros((1, 75, 107, 3), "float32")).shape == (1, 1, 2, 2048)
    pooled = InceptionV2(include_top=False, input_shape=(None, None, 1), pooling="avg", aux_heads=True)
    assert pooled.output.shape == (None, 2048)


def test_the_head_at_other_sizes():
    # 107 and 203 pixels leave maps of 5 and 11, of which the pool leaves 1 and 3.
    small = without_values(InceptionV3, input_shape=(107, 203, 3), aux_heads=True, classes=2)
    assert small.get_layer("aux_conv2").kernel_size == (1, 3)
    # 395 pixels leave a map of 23, of which the pool leaves 7.
    large = without_values(InceptionV3, input_shape=(395, 395, 3), aux_heads=True, classes=2)
    assert large.get_layer("aux_conv2").kernel_size == (5, 5)
    assert large.get_layer("aux_conv2").output.shape[1:] == (3, 3, 768)
    assert large.output["aux"].shape == (None, 2)


def test_the_released_variant_has_no_dropout(released):
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in released.layers)


@pytest.mark.parametrize(
    ("builder", "arguments", "parts"),
    [
        (InceptionV3, {"stem": "original"}, ("stem", "'released'", "'paper'", "'original'")),
        (InceptionV3, {"variant": "timm"}, ("variant", "'released'", "'torchvision'", "'timm'")),
        (InceptionV3, {"input_shape": (74, 74, 3)}, ("75 x 75", "74 x 74")),
        (InceptionV2, {"input_shape": (74, 74, 3)}, ("75 x 75", "74 x 74")),
        (InceptionV3, {"input_shape": (106, 106, 3), "aux_heads": True}, ("107 x 107", "106 x 106")),
        (InceptionV2, {"input_shape": (None, None, 3), "aux_heads": True}, ("height and width",)),
    ],
)
def test_rejected_arguments(builder, arguments, parts):
    with mentioning(InputError, *parts):
        builder(**arguments)
