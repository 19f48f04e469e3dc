"""ResNet-1202 at its full depth: what it is made of, and its deployable form as a file."""

import keras
import numpy as np
import pytest

from kerascnn.evaluation import TFLitePredictor
from kerascnn.export.deployable import deployable
from kerascnn.export.tflite import write_tflite


@pytest.fixture(scope="module")
def answered(resnet1202):
    """Pictures, and what the network makes of them."""
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    return images, np.asarray(resnet1202(images))


@pytest.mark.slow
def test_layers_and_parameters(resnet1202):
    weighted = [layer for layer in resnet1202.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    assert len(weighted) == 1202
    # conv1 and 1,200 more convolutions, two trainable weights of each normalization, the classifier; "19.4M".
    convolutions = 27 * 16 + 9 * (400 * 16**2 + 16 * 32 + 399 * 32**2 + 32 * 64 + 399 * 64**2)
    normalizations = 2 * (401 * 16 + 400 * 32 + 400 * 64)
    trainable = sum(int(np.prod(weight.shape)) for weight in resnet1202.trainable_weights)
    assert trainable == convolutions + normalizations + 650 == 19_421_274


@pytest.mark.slow
def test_resnet1202_runs_deployed_and_as_tflite(resnet1202, answered, tmp_path):
    images, expected = answered
    assert np.isfinite(expected).all()
    small = deployable(resnet1202)
    assert not any(layer.name.endswith("_bn") for layer in small.layers)
    np.testing.assert_allclose(small(images), expected, atol=1e-6)
    write_tflite(small, tmp_path / "resnet1202.tflite")
    probabilities = TFLitePredictor(tmp_path / "resnet1202.tflite").probabilities(images)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
