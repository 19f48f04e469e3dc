"""RGB weights in networks for gray images, or for more channels."""

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import ResNet20
from kerascnn.applications.preprocessing import MODES, SCALINGS, preprocess_input
from kerascnn.applications.registry import REGISTRY
from support.messages import mentioning


@pytest.fixture(scope="module")
def rgb(tmp_path_factory):
    """A ResNet-20 with statistics that are not 0 and 1, and its file."""
    model = ResNet20(classes=4)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    file = tmp_path_factory.mktemp("rgb") / "rgb.weights.h5"
    model.save_weights(file)
    return model, file


def test_a_gray_image_gives_the_same_as_rgb(rgb):
    model, file = rgb
    gray = np.random.default_rng(1).normal(size=(3, 32, 32, 1)).astype("float32")
    adapted = ResNet20(classes=4, input_shape=(32, 32, 1), weights=file)
    np.testing.assert_allclose(adapted(gray), model(np.repeat(gray, 3, axis=-1)), atol=1e-5)


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_more_channels_share_the_rgb_kernels(channels, rgb):
    model, file = rgb
    adapted = ResNet20(classes=4, input_shape=(32, 32, channels), weights=file)
    ours, theirs = (np.asarray(one.get_layer("conv1").kernel) for one in (adapted, model))
    for channel in range(channels):
        np.testing.assert_allclose(ours[:, :, channel], theirs[:, :, channel % 3] * 3 / channels, rtol=1e-6)


def test_only_rgb_is_adapted(rgb, tmp_path):
    ResNet20(classes=4, input_shape=(32, 32, 1)).save_weights(tmp_path / "gray.weights.h5")
    with mentioning(InputError, "'conv1'", "(3, 3, 1, 16)", "(3, 3, 3, 16)"):
        ResNet20(classes=4, weights=tmp_path / "gray.weights.h5")


def test_scalings_are_what_preprocess_input_does():
    assert set(SCALINGS) == set(MODES)
    pixels = np.random.default_rng(2).uniform(0, 255, (5, 4, 3)).astype("float32")
    for mode, scaling in SCALINGS.items():
        name = next(name for name, entry in REGISTRY.items() if entry.preprocessing == mode)
        scaled = (pixels - np.array(scaling.mean)) / np.array(scaling.std)
        expected = preprocess_input(name, pixels)
        np.testing.assert_allclose(scaled[..., ::-1] if scaling.reverse else scaled, expected, atol=1e-4)
