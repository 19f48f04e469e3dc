"""The deployable network computes the same function as the network."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn.applications import registry
from kerascnn.export.inference_network import deployable
from kerascnn.layers import LocalResponseNormalization

# With all their filters; test_every_format.py has every network with a few.
WHOLE = ("resnet20", "plain20")
# Inception v2 is among the variants.
LARGE = ("bninception", "googlenet", "inceptionv3")

# Variants other than the builder's default.
VARIANTS = [
    ("alexnet", {"groups": 2, "norm": "batch", "pool_first": False}),
    ("vgg11", {"batch_norm": True}),
    ("googlenet", {"batch_norm": True}),
    ("resnet18", {"shortcut": "A"}),
    ("inceptionv2", {"aux_batch_norm": True}),
]


CASES = [
    *(pytest.param(name, {}, id=name) for name in WHOLE),
    *(pytest.param(name, {}, id=name, marks=pytest.mark.slow) for name in LARGE),
    *(
        pytest.param(name, arguments, id=f"{name}-{'-'.join(arguments)}", marks=pytest.mark.slow)
        for name, arguments in VARIANTS
    ),
]


def normalizations(model):
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_same_function_in_fewer_layers(name, arguments, size, randomize):
    keras.utils.set_random_seed(0)
    heads = {"aux_heads": True} if registry.info(name).aux_heads else {}
    model = kerascnn.applications.create(
        name, input_shape=(size, size, 3), classes=3, classifier_activation=None, **heads, **arguments
    )
    randomize(model)
    small = deployable(model)
    images = np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")
    expected = model(images)
    expected = np.asarray(expected["main"] if heads else expected)
    # Scaled to the size of one, so that a difference of 1e-4 is meaningful.
    scale = np.abs(expected).max()
    assert scale > 1e-6
    np.testing.assert_allclose(np.asarray(small(images)) / scale, expected / scale, atol=1e-4)
    # AlexNet normalizes the output of ReLU.
    assert normalizations(small) == (["norm1", "norm2"] if name == "alexnet" and arguments else [])
    assert not any(isinstance(layer, keras.layers.Dropout) or "aux" in layer.name for layer in small.layers)
    assert type(small) is type(keras.Model(small.inputs, small.outputs))


def graph():
    """A network of layers that can be folded and, under names that end in `_stays`, layers that cannot."""
    layers = keras.layers
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, use_bias=False, dtype="mixed_bfloat16", name="conv")(pixels)
    x = layers.BatchNormalization(scale=False, name="conv_bn")(x)
    x = layers.Conv2D(8, 3, groups=4, name="grouped")(x)
    x = layers.BatchNormalization(center=False, name="grouped_bn")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_bn")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="relu")(x)
    x = layers.BatchNormalization(name="relu_stays")(x)
    x = layers.Conv2D(2, 1, name="across")(x)
    x = layers.BatchNormalization(axis=1, name="across_stays")(x)
    twice = layers.Conv2D(8, 1, name="twice")(x)
    x = layers.Concatenate(name="concatenation")([twice, layers.BatchNormalization(name="twice_stays")(twice)])
    x = layers.Dropout(0.5, name="dropout")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(4, name="fc")(x)
    x = layers.BatchNormalization(name="fc_bn")(x)
    shared = layers.Dense(4, name="shared")
    x = layers.BatchNormalization(name="shared_stays")(shared(shared(x)))
    return keras.Model(pixels, layers.Softmax(name="labels")(x))


def test_folds_exactly_what_can_be_folded(randomize):
    keras.utils.set_random_seed(0)
    model = graph()
    randomize(model)
    small = deployable(model)
    assert normalizations(small) == ["relu_stays", "across_stays", "twice_stays", "shared_stays"]
    assert small.get_layer("grouped").groups == 4
    assert {layer.compute_dtype for layer in small.layers} == {"float32"}
    model.get_layer("conv").dtype_policy = "float32"
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(small(images), model(images), atol=1e-5)


def test_a_layer_that_cannot_be_copied_takes_part_itself_and_is_not_changed():
    class Mine(keras.layers.Conv2D):
        def __init__(self, own, **arguments):
            super().__init__(**arguments)
            self.own = own

    pixels = keras.Input((6, 6, 3))
    x = Mine(object(), filters=4, kernel_size=3, use_bias=False, name="conv")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(name="bn")(x))
    model = keras.Model(pixels, keras.layers.Dense(2, "softmax")(x))
    model.get_layer("bn").set_weights([np.full(4, 2.0), np.ones(4), np.full(4, 0.1), np.full(4, 3.0)])
    before, images = model.get_weights(), np.random.default_rng(0).uniform(0, 255, (2, 6, 6, 3)).astype("float32")
    flat = deployable(model)
    assert flat.get_layer("bn") is not None
    np.testing.assert_allclose(flat(images), model(images), atol=1e-6)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_other_normalizations_stay():
    pixels = keras.Input((16, 16, 3), name="pixels")
    model = kerascnn.applications.AlexNetV2(input_tensor=keras.layers.UpSampling2D(4, name="large")(pixels), classes=2)
    assert not normalizations(deployable(model))
    lrn = keras.Model(pixels, keras.layers.Flatten(name="flat")(LocalResponseNormalization(name="norm1")(pixels)))
    assert [layer.name for layer in deployable(lrn).layers] == ["pixels", "norm1", "flat"]
