"""Weight files as keras.applications reads them."""

import keras
import numpy as np
import pytest

import kerascnn.applications
from kerascnn import InputError
from kerascnn.applications import VGG16, InceptionV3, ResNet18, ResNet50, weight_files
from kerascnn.applications.keras_files import write_keras
from kerascnn.applications.keras_layouts import to_keras

TOLERANCE = 1e-4
CLASSES = 3


def randomized(model):
    """Weights none of which is 0 or 1, of a size that keeps activations in bounds."""
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            *learnt, mean, variance = layer.get_weights()
            learnt = [generator.uniform(0.3, 0.6, array.shape) for array in learnt]
            statistics = [generator.normal(0, 0.1, mean.shape), generator.uniform(0.5, 1.5, variance.shape)]
            layer.set_weights([*learnt, *statistics])
        elif len(layer.weights) == 2:
            kernel, bias = layer.get_weights()
            # Without batch normalization, what is rectified and padded would die away.
            layer.set_weights([1.8 * kernel, generator.normal(0, 0.1, bias.shape)])
    return model


def images(size):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("VGG16", 32),
        pytest.param("ResNet50", 64, marks=pytest.mark.slow),
        pytest.param("InceptionV3", 107, marks=pytest.mark.slow),
    ],
)
def test_keras_applications_reads_what_is_written(name, size, tmp_path):
    arguments = {"input_shape": (size, size, 3), "classes": CLASSES, "classifier_activation": None}
    builder = getattr(kerascnn.applications, name)
    model = randomized(builder(**arguments))
    path = tmp_path / "weights.h5"
    write_keras(path, to_keras(name, model.layers))
    peer = getattr(keras.applications, name)(weights=str(path), **arguments)
    pixels = images(size)
    expected = np.asarray(model(pixels))
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    np.testing.assert_allclose(peer(pixels), expected, rtol=0, atol=TOLERANCE)

    written = model.get_weights()
    weight_files.load(name, model.layers, path)
    for ours, before in zip(model.weights, written, strict=True):
        # The epsilons' difference goes out of variances and into them again.
        np.testing.assert_allclose(ours, before, rtol=1e-6)


def test_the_published_order_of_layers():
    """Projection, last convolution, their normalizations."""
    model = ResNet50(include_top=False, input_shape=(32, 32, 3))
    layers = [name for name in to_keras("ResNet50", model.layers) if name.startswith("conv3_block1")]
    assert layers == [
        *("conv3_block1_1_conv", "conv3_block1_1_bn", "conv3_block1_2_conv", "conv3_block1_2_bn"),
        *("conv3_block1_0_conv", "conv3_block1_3_conv", "conv3_block1_0_bn", "conv3_block1_3_bn"),
    ]


@pytest.mark.parametrize(
    ("builder", "arguments", "sentence"),
    [
        (ResNet50, {"stride_in": "3x3"}, "keras.applications' ResNet50 is the one that is built with shortcut='B' and"),
        (ResNet50, {"shortcut": "A"}, "built with shortcut='B' and stride_in='1x1'"),
        (InceptionV3, {"variant": "torchvision"}, "built with variant='released' and stem='released'"),
        (VGG16, {"batch_norm": True}, "keras.applications' VGG16 has nothing like the layer 'conv1_1_bn'"),
        (ResNet18, {}, "keras.applications has no ResNet18; of the networks here it has VGG16, VGG19, ResNet50"),
    ],
)
def test_other_forms_are_refused(builder, arguments, sentence, without_values):
    with pytest.raises(InputError, match=sentence):
        to_keras(builder.__name__, without_values(builder, include_top=False, **arguments))
