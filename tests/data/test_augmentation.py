"""Augmentations of images whose result is known."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.data.augment import color, crops, mixup as mixing
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.augment.rand_augment import OPERATIONS
from kerascnn.errors import InputError
from support.views import training_view

EVERY_IMAGE_AUGMENTATION = [
    Augmentation(resize_range=(24, 40), flip=True),
    Augmentation(resize_range=(24, 40), resize="bilinear"),
    Augmentation(scale=(0.1, 1.0), resize="bilinear", flip=True),
    Augmentation(rand_augment=2),
    Augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    Augmentation(pca_lighting=0.1),
    Augmentation(random_erasing=1.0),
]


def seeds(count):
    return [tf.constant([7, number]) for number in range(count)]


@pytest.fixture(scope="module")
def photograph():
    """Smooth colors and some noise, (40, 56, 3)."""
    rows, columns = np.mgrid[:40, :56]
    smooth = np.stack([rows * 4, columns * 3, 200 - rows * 2 - columns], axis=-1)
    return np.clip(smooth + np.random.default_rng(0).integers(0, 30, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("augmentation", EVERY_IMAGE_AUGMENTATION)
def test_eager_and_pipeline_views_are_equal(augmentation, photograph):
    @tf.autograph.experimental.do_not_convert
    def view(seed):
        return training_view(tf.constant(photograph), 24, 0.875, augmentation, seed)

    mapped = tf.data.Dataset.from_tensor_slices(seeds(4)).map(view)
    for seed, in_pipeline in zip(seeds(4), mapped, strict=True):
        eager, again = view(seed), view(seed)
        np.testing.assert_array_equal(eager, again)
        np.testing.assert_allclose(in_pipeline, eager, atol=1e-3)
        assert eager.shape == (24, 24, 3) and eager.dtype == tf.float32
        assert np.min(eager) >= 0 and np.max(eager) <= 255


@pytest.mark.parametrize("augmentation", EVERY_IMAGE_AUGMENTATION)
def test_another_seed_gives_another_view(augmentation, photograph):
    views = {
        training_view(tf.constant(photograph), 24, 0.875, augmentation, seed).numpy().tobytes() for seed in seeds(12)
    }
    assert len(views) >= 10


# Crops


def test_crops_at_the_images_own_scale_are_its_pixels():
    # Every pixel holds its own position.
    rows, columns = np.mgrid[:20, :30]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    augmentation = Augmentation(resize_range=(20, 20))
    positions = set()
    for seed in seeds(300):
        view = training_view(tf.constant(image), 16, 1.0, augmentation, seed).numpy()
        top, left = view[0, 0, :2].astype(int)
        np.testing.assert_allclose(view, image[top : top + 16, left : left + 16], atol=1e-3)
        positions.add((top, left))
    assert {top for top, _ in positions} == set(range(5))
    assert {left for _, left in positions} == set(range(15))


def test_the_crop_of_a_larger_resized_side_covers_a_smaller_share():
    # With the shorter side of 64 resized to S, a crop of 32 shows 64 * 32 / S of its pixels.
    sides = {
        int(extent)
        for seed in seeds(200)
        for extent in crops.scaled_window(tf.constant([64, 100]), 32, (32, 64), seed).extent
    }
    assert sides <= {round(64 * 32 / length) for length in range(32, 65)}
    assert min(sides) <= 34 and max(sides) >= 60


@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (90, 2), (500, 300)])
def test_scaled_windows_lie_in_images_of_any_shape(shape):
    for seed in seeds(20):
        begin, extent = crops.scaled_window(tf.constant(shape), 24, (24, 48), seed)
        assert np.all(begin.numpy() >= 0) and np.all(extent.numpy() >= 1)
        assert np.all(begin.numpy() + extent.numpy() <= shape)


def test_bilinear_is_the_mean_of_the_nearest_pixels():
    # 3 pixels to 2: centers at 0.25 and 1.75, so three quarters of one pixel and a quarter of its neighbor.
    image = np.zeros((3, 3, 3), np.uint8)
    image[:] = np.array([0, 100, 40])[None, :, None]
    row = crops.resized(tf.constant(image), 2, "bilinear").numpy()[0, :, 0]
    np.testing.assert_allclose(row, [0.75 * 0 + 0.25 * 100, 0.25 * 100 + 0.75 * 40])


def test_bilinear_antialiases_large_crops():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.ptp(crops.resized(tf.constant(stripes), 8, "bilinear").numpy()[2:-2, 2:-2]) < 10


def test_erased_rectangles_have_their_area_and_shape():
    size, area, aspect = 40, (0.05, 0.2), (0.5, 2.0)
    image = tf.fill((size, size, 3), -1.0)
    shares = []
    for seed in seeds(60):
        changed = np.all(crops.random_erasing(image, 1.0, area, aspect, seed).numpy() >= 0, axis=-1)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert changed.sum() == len(rows) * len(columns) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        shares.append(changed.mean())
        # Sides are rounded to pixels.
        assert 0.5 * 0.8 <= len(rows) / len(columns) <= 2.0 * 1.25
    assert min(shares) >= 0.05 and max(shares) <= 0.2
    assert max(shares) - min(shares) > 0.08


def test_the_given_share_of_images_is_erased():
    image = tf.fill((16, 16, 3), -1.0)
    erased = sum(
        bool(np.any(crops.random_erasing(image, 0.25, (0.1, 0.3), (0.5, 2), seed) >= 0)) for seed in seeds(200)
    )
    assert 30 < erased < 70


# Color


def test_pca_lighting_is_one_shift_along_the_components():
    image = tf.fill((4, 4, 3), 128.0)
    shifts = []
    for seed in seeds(400):
        shift = color.pca_lighting(image, 0.1, seed).numpy() - 128
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0, 0], shift.shape), atol=1e-4)
        shifts.append(shift[0, 0])
    vectors = np.array(color.IMAGENET_EIGENVECTORS)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=2e-3)
    lengths = np.array(shifts) / 255 @ vectors
    expected = 0.1 * np.array([0.2175, 0.0188, 0.0045])
    np.testing.assert_allclose(lengths.std(axis=0), expected, rtol=0.15)
    np.testing.assert_allclose(np.corrcoef(lengths.T), np.eye(3), atol=0.15)


@pytest.mark.parametrize(("rotation", "expected"), [(1 / 3, (0, 255, 0)), (2 / 3, (0, 0, 255)), (0.5, (0, 255, 255))])
def test_hue_rotates_around_the_circle(rotation, expected):
    red = tf.constant([[[255.0, 0.0, 0.0]]])
    np.testing.assert_allclose(color.hue(red, rotation)[0, 0], expected, atol=0.1)


def test_brightness_stays_in_its_range():
    image = tf.fill((2, 2, 3), 100.0)
    factors = [float(color.color_jitter(image, (0.3, 0, 0, 0), seed)[0, 0, 0]) / 100 for seed in seeds(200)]
    assert 0.7 <= min(factors) < 0.72 and 1.28 < max(factors) <= 1.3


# Mixing


def constant_batch():
    """Four uniform images of 0, 10, 20 and 30, and their labels."""
    images = np.zeros((4, 8, 8, 3), np.float32)
    images[:] = np.array([0, 10, 20, 30])[:, None, None, None]
    return tf.constant(images), tf.one_hot([0, 1, 2, 3], 4)


def test_mixup_of_known_shares():
    images, labels = constant_batch()
    shares = tf.constant([1.0, 0.75, 0.5, 0.0])
    mixed = mixing.interpolate(images, shares).numpy()
    # Partners come from the other end: 30, 20, 10, 0.
    np.testing.assert_allclose(mixed[:, 0, 0, 0], [0, 0.75 * 10 + 0.25 * 20, 0.5 * 20 + 0.5 * 10, 0])
    np.testing.assert_allclose(
        mixing.interpolate(labels, shares), [[1, 0, 0, 0], [0, 0.75, 0.25, 0], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]
    )


def test_cutmix_of_known_rectangles():
    images, _ = constant_batch()
    # A quarter of the area is pasted: 4 x 4 of 8 x 8, in the middle, then half outside at the upper edge.
    shares, centers = tf.fill((4,), 0.75), tf.constant([[0.5, 0.5], [0.0, 0.5], [0.0, 0.0], [0.5, 0.5]])
    mixed, remaining = mixing.paste(images, shares, centers)
    expected = np.zeros((8, 8))
    expected[2:6, 2:6] = 30
    np.testing.assert_array_equal(mixed[0, ..., 0], expected)
    expected = np.full((8, 8), 10)
    expected[0:2, 2:6] = 20
    np.testing.assert_array_equal(mixed[1, ..., 0], expected)
    np.testing.assert_allclose(remaining, [0.75, 1 - 8 / 64, 1 - 4 / 64, 0.75])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_follow_beta(alpha):
    shares = mixing.beta(4000, alpha, tf.constant([1, 2])).numpy()
    assert np.all((shares >= 0) & (shares <= 1))
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0), (0, 1.0), (0.4, 1.0)])
def test_labels_and_weights_are_mixed_like_the_images(mixup, cutmix):
    images, labels = constant_batch()
    weights = tf.constant([1.0, 2.0, 3.0, 4.0])
    kinds = set()
    traced_once = tf.function(mixing.mixed, autograph=False)
    for seed in seeds(12):
        result = mixing.mixed(images, (labels, weights), mixup=mixup, cutmix=cutmix, seed=seed)
        in_graph = traced_once(images, (labels, weights), mixup=mixup, cutmix=cutmix, seed=seed)
        for eager, traced in zip(result, in_graph, strict=True):
            np.testing.assert_allclose(eager, traced, atol=1e-4)
        mixed, shares, mixed_weights = (value.numpy() for value in result)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
        # An image's mean shows its parts, as do its labels and weight.
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), shares @ [0, 10, 20, 30], atol=1e-3)
        np.testing.assert_allclose(mixed_weights, shares @ [1, 2, 3, 4], atol=1e-5)
        kinds.add("cutmix" if set(np.unique(mixed)) <= {0, 10, 20, 30} else "mixup")
    assert kinds == {name for name, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha}


# Values


@pytest.mark.parametrize(
    "values",
    [
        {"scale": (0.1, 1.0), "resize_range": (256, 256)},
        {"scale": (0.5, 0.1)},
        {"scale": (0.5, 1.5)},
        {"resize_range": (0, 10)},
        {"hue": 0.7},
        {"brightness": -0.1},
        {"random_erasing": 2.0},
        {"mixup": -1.0},
        {"rand_augment_magnitude": 31},
        {"resize": "nearest"},
    ],
)
def test_errors_name_values_out_of_range(values):
    with pytest.raises(InputError) as raised:
        Augmentation(**values)
    assert any(name in str(raised.value) for name in values)
    assert str(raised.value).count("\n") == 0


def test_rand_augment_has_the_papers_operations():
    # Figure 2 of the paper.
    assert len(OPERATIONS) == 14
