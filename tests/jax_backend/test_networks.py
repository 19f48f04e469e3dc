"""The networks and layers on Keras' JAX backend: KERAS_BACKEND=jax pytest tests/jax_backend."""

import subprocess
import sys

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("runs on the JAX backend", allow_module_level=True)

from kerascnn import applications, layers
from kerascnn.applications import registry
from kerascnn.applications.deep import DeepModel
from support.networks import size_of

HEADS = {"classes": 3, "aux_heads": True}


# The slowest is first.
@pytest.mark.parametrize("name", sorted(registry.list_models(), key="resnet1202".__ne__))
def test_every_network_builds_and_runs(name, drawn_by_numpy):
    size = size_of(name)
    arguments = HEADS if registry.info(name).aux_heads else {"classes": 3}
    model = applications.create(name, input_shape=(size, size, 3), **arguments)
    assert isinstance(model, DeepModel) == (name == "resnet1202")
    if name == "resnet1202":
        # Its 600 untrained blocks double their input each; close to the identity they do not.
        for layer in model.layers:
            if layer.name.endswith("_2_bn"):
                layer.gamma.assign(0.05 * layer.gamma)
    images = np.random.default_rng(0).normal(size=(1, size, size, 3)).astype("float32")
    # Compiling operations one by one takes seconds; compiling the deepest network as a whole takes minutes.
    outputs = model(images) if name == "resnet1202" else model.predict(images, verbose=0)
    for probabilities in keras.tree.flatten(outputs):
        assert probabilities.shape == (1, 3)
        np.testing.assert_allclose(np.sum(probabilities), 1, rtol=1e-5)


def test_resnet20_trains():
    keras.utils.set_random_seed(0)
    model = applications.ResNet20(input_shape=(16, 16, 3), classes=3)
    images = np.random.default_rng(0).normal(size=(6, 16, 16, 3)).astype("float32")
    labels = keras.utils.to_categorical(np.arange(6) % 3, 3)
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy")
    losses = model.fit(images, labels, batch_size=6, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_batch_normalization_is_the_parent():
    images = np.random.default_rng(0).normal(2, 3, size=(4, 5, 6, 7)).astype("float32")
    ours, parent = layers.BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    np.testing.assert_allclose(ours(images, training=True), parent(images, training=True), rtol=1e-6)
    for mine, theirs in zip(ours.weights, parent.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    np.testing.assert_allclose(ours(images), parent(images), rtol=1e-6)


def test_local_response_normalization_by_hand():
    pixel = np.arange(1.0, 8.0, dtype="float32").reshape(1, 1, 1, 7)
    layer = layers.LocalResponseNormalization(size=3, k=1.0, alpha=0.5, beta=1.0)
    found = np.asarray(layer(pixel))
    np.testing.assert_allclose(layer(pixel, training=True), found, rtol=1e-6)
    # The fourth channel is 4, between 3 and 5.
    np.testing.assert_allclose(found[0, 0, 0, 3], 4 / (1 + 0.5 * (9 + 16 + 25)), rtol=1e-6)
    np.testing.assert_allclose(found[0, 0, 0, 0], 1 / (1 + 0.5 * (1 + 4)), rtol=1e-6)


def test_the_parameter_free_shortcut():
    images = np.arange(2 * 5 * 4 * 2, dtype="float32").reshape(2, 5, 4, 2)
    found = np.asarray(layers.SubsampledIdentity(5, strides=2)(images))
    np.testing.assert_array_equal(found[..., :2], images[:, ::2, ::2])
    assert found.shape == (2, 3, 2, 5)
    assert not found[..., 2:].any()


def test_tensorflow_is_not_needed():
    # Python refuses to import a module that is None.
    program = """
import sys
sys.modules["tensorflow"] = None
from kerascnn import applications
print(applications.GoogLeNet(aux_heads=True, batch_norm=True).count_params())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "13407032", ended.stderr
