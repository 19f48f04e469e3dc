"""Evaluation views in NumPy are bit-exact those of the pipeline in TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.data.augment.augmentation import evaluation_view
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.data.pipeline.view_arrays import views_of

CASES = [
    # (height, width, channels) of an image, size and crop of its view.
    *(((375, 500, 3), 224, 0.875), ((500, 375, 1), 299, 1.0), ((29, 31, 3), 64, 0.95), ((1, 1, 3), 8, 1.0)),
    *(((700, 3, 1), (5, 90), 0.5), ((64, 64, 3), 64, 1.0), ((640, 480, 3), (30, 20), 1.0), ((33, 48, 1), 32, 0.875)),
]


@pytest.mark.parametrize("kind", ["uint8", "float32", "int64"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("shape", "size", "crop_fraction"), CASES)
def test_views_are_bit_exact_those_of_the_pipeline(shape, size, crop_fraction, channels, kind):
    image = np.random.default_rng(sum(shape)).uniform(0, 255, shape).astype(kind)
    expected = evaluation_view(with_channels(tf.constant(image), channels), size, crop_fraction)
    [view] = views_of([image], size, crop_fraction, channels)
    assert view.dtype == np.float32
    # A matrix product weights the colors, and may add floats in any order: three products and two sums are rounded.
    gray_of_floats = kind == "float32" and channels < shape[2]
    np.testing.assert_allclose(view, expected, rtol=5 * 2**-24 if gray_of_floats else 0, atol=0)


def test_views_of_random_sizes_are_bit_exact_those_of_the_pipeline():
    draw = np.random.default_rng(0)
    for _ in range(30):
        image = draw.integers(0, 256, (*draw.integers(1, 400, 2), 3), np.uint8)
        size, crop_fraction = tuple(map(int, draw.integers(1, 200, 2))), draw.uniform(0.4, 1.0)
        expected = evaluation_view(tf.constant(image), size, crop_fraction)
        np.testing.assert_array_equal(views_of([image], size, crop_fraction)[0], expected, str((image.shape, size)))
