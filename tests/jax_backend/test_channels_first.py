"""Networks on Keras' JAX backend with the channels first, which TensorFlow's CPU kernels do not support."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("runs on the JAX backend", allow_module_level=True)

from kerascnn import applications
from support.networks import size_of


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", ["alexnet", "zfnet", "vgg11", "googlenet", "bninception", "inceptionv3", "resnet50"])
def test_channels_first_is_the_same_network(name, channels_first, drawn_by_numpy):
    size = size_of(name)
    images = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    first = applications.create(name, input_shape=(3, size, size), include_top=False, pooling="avg")
    found = first.predict(images.transpose(0, 3, 1, 2), verbose=0)
    keras.config.set_image_data_format("channels_last")
    last = applications.create(name, input_shape=(size, size, 3), include_top=False, pooling="avg")
    last.set_weights(first.get_weights())
    expected = last.predict(images, verbose=0)
    assert np.abs(expected).max() > 1e-6
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
