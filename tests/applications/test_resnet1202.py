"""ResNet-1202 at its full depth: built once, saved and loaded, differentiated, deployed and written as TFLite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.applications import ResNet1202
from kerascnn.applications.deep import functional
from kerascnn.evaluation import TFLitePredictor
from kerascnn.export.inference_network import deployable
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support import bounds
from support.networks import kinds, outline, unnamed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network():
    """Between preprocessing and labels, as `train` assembles it, with blocks that begin close to the identity."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 16, 3), name="pixels")
    scaled = Preprocessing((3,), std=60.0, name="preprocessing")(pixels)
    network = ResNet1202(input_tensor=scaled)
    for layer in network.layers:
        if layer.name.endswith("_2_bn"):
            layer.gamma.assign(0.05 * layer.gamma)
    labels = ClassLabels([str(number) for number in range(10)], name="labels")
    return functional(network.input, labels(network.output), name=network.name)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")


def test_layers_and_parameters(network):
    assert unnamed(network) == []
    others = {kind for kind, *_ in kinds(network) - kinds(outline("resnet20"))}
    assert others == {"Preprocessing", "ClassLabels"}
    weighted = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    assert len(weighted) == 1202
    # conv1 and 1,200 more convolutions, two trainable weights of each normalization, the classifier; "19.4M".
    convolutions = 27 * 16 + 9 * (400 * 16**2 + 16 * 32 + 399 * 32**2 + 32 * 64 + 399 * 64**2)
    normalizations = 2 * (401 * 16 + 400 * 32 + 400 * 64)
    trainable = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert trainable == convolutions + normalizations + 650 == 19_421_274


# Before the others, because a process never returns all of its memory: the conversion alone takes 2.7 GB.
def test_deployed_and_as_tflite(network, images, tmp_path):
    expected = np.asarray(network(images))
    assert np.isfinite(expected).all()
    small = deployable(network)
    assert not any(layer.name.endswith("_bn") for layer in small.layers)
    bounds.check(small(images), expected, bounds.of_probabilities(network, expected))
    write_tflite(small, tmp_path / "resnet1202.tflite")
    probabilities = TFLitePredictor(tmp_path / "resnet1202.tflite").probabilities(images)
    bounds.check(probabilities, expected, bounds.of_probabilities(network, expected))


def test_every_weight_has_a_gradient(network, images):
    with tf.GradientTape() as tape:
        probabilities = network(images, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(tf.constant([0, 1]), probabilities))
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable_weights])
    pairs = zip(network.trainable_weights, gradients, strict=True)
    assert [weight.path for weight, gradient in pairs if gradient is None or not np.any(gradient)] == []


def test_file_round_trip_is_exact(network, images, tmp_path):
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for first, second in zip(network.weights, again.weights, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(again(images), network(images))
