"""RandAugment's operations compared with Pillow's."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kerascnn.data.augment import color, rand_augment

GRAY = (128, 128, 128)


@pytest.fixture(scope="module", params=["noise", "smooth", "dark", "uniform"])
def image(request):
    generator = np.random.default_rng(1)
    rows, columns = np.mgrid[:31, :37]
    pixels = {
        "noise": generator.integers(0, 256, (31, 37, 3)),
        "smooth": np.stack([rows * 8, columns * 6, rows * 3 + columns * 3], axis=-1),
        "dark": generator.integers(20, 90, (31, 37, 3)),
        "uniform": np.full((31, 37, 3), 77),
    }[request.param]
    return Image.fromarray(pixels.astype(np.uint8))


PILLOW_OPERATIONS = {
    "auto_contrast": (rand_augment.auto_contrast, ImageOps.autocontrast),
    "equalize": (rand_augment.equalize, ImageOps.equalize),
    **{
        f"posterize {bits}": (
            lambda x, bits=bits: rand_augment.posterize(x, bits),
            lambda p, bits=bits: ImageOps.posterize(p, bits),
        )
        for bits in (4, 7, 8)
    },
    **{
        f"solarize {level}": (
            lambda x, level=level: rand_augment.solarize(x, level),
            lambda p, level=level: ImageOps.solarize(p, level),
        )
        for level in (0, 77, 180, 256)
    },
    **{
        f"{ours.__name__} {factor}": (
            lambda x, ours=ours, factor=factor: ours(x, factor),
            lambda p, theirs=theirs, factor=factor: theirs(p).enhance(factor),
        )
        for ours, theirs in (
            (color.brightness, ImageEnhance.Brightness),
            (color.contrast, ImageEnhance.Contrast),
            (color.saturation, ImageEnhance.Color),
            (rand_augment.sharpness, ImageEnhance.Sharpness),
        )
        for factor in (0.1, 0.73, 1.0, 1.9)
    },
}


@pytest.mark.parametrize("name", PILLOW_OPERATIONS)
def test_colors_equal_pillows(name, image):
    ours, theirs = PILLOW_OPERATIONS[name]
    mine = rand_augment.truncate(ours(tf.constant(np.asarray(image), tf.float32))).numpy()
    assert np.abs(mine - np.asarray(theirs(image)).astype(float)).max() <= 1


def affine(*matrix):
    return lambda p: p.transform(p.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=GRAY)


PILLOW_GEOMETRY = {
    "shear_x": (lambda x: rand_augment.shear_x(x, 0.3), affine(1, 0.3, 0, 0, 1, 0)),
    "shear_y": (lambda x: rand_augment.shear_y(x, -0.2), affine(1, 0, 0, -0.2, 1, 0)),
    "translate": (lambda x: rand_augment.translate(x, 5.0, -3.0), affine(1, 0, 5, 0, 1, -3)),
    **{
        f"rotate {degrees}": (
            lambda x, degrees=degrees: rand_augment.rotate(x, degrees),
            lambda p, degrees=degrees: p.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=GRAY),
        )
        for degrees in (-30, 17, 90)
    },
}


def inner(pixels):
    """Pixels that do not depend on the edge: Pillow stops at it, TensorFlow fades into gray."""
    outside = np.all(pixels == GRAY, axis=-1)
    padded = np.pad(outside, 2, constant_values=True)
    near = [np.roll(padded, (dy, dx), (0, 1)) for dy in range(-2, 3) for dx in range(-2, 3)]
    return ~np.any(near, axis=0)[2:-2, 2:-2]


@pytest.mark.parametrize("name", PILLOW_GEOMETRY)
def test_geometry_equals_pillows(name, image):
    ours, pillow = PILLOW_GEOMETRY[name]
    theirs = np.asarray(pillow(image)).astype(float)
    mine = rand_augment.truncate(ours(tf.constant(np.asarray(image), tf.float32))).numpy()
    inside = inner(theirs)
    assert inside.mean() > 0.3
    assert np.abs(mine - theirs)[inside].max() <= 1


def test_pixels_outside_are_gray():
    shifted = rand_augment.translate(tf.zeros((8, 8, 3)), 3.0, 0.0).numpy()
    assert np.all(shifted[:, 5:] == 128) and np.all(shifted[:, :5] == 0)


def test_magnitude_zero_changes_no_geometry_and_every_operation_is_drawn():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (16, 16, 3)), tf.float32)
    for name in ("identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y", "posterize", "brightness"):
        np.testing.assert_allclose(rand_augment.OPERATIONS[name](image, 0.0, tf.constant(1.0)), image, atol=1e-3)
    results = {
        rand_augment.rand_augment(image, 1, 30, tf.constant([0, number])).numpy().tobytes() for number in range(150)
    }
    # Four of the 14 operations have no direction, ten have two.
    assert len(results) in range(18, 25)
