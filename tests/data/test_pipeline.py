"""Views and batches."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn.data.augmentation import Augmentation, evaluation_view, training_view
from kerascnn.data.dataset import ArrayExamples
from kerascnn.data.pictures import read_picture
from kerascnn.data.pipeline import evaluation_batches, training_batches, views_of

AUGMENTATIONS = [
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(pad=4),
    Augmentation(crop_area=(0.3, 1.0), flip=True),
]


def numbered(count, size=8):
    """Pictures that show their own number."""
    images = np.zeros((count, size, size, 3), np.uint8)
    images[:] = np.arange(count)[:, None, None, None]
    return ArrayExamples(images, np.arange(count) % 3)


def batches(examples, **changes):
    settings = {
        "classes": 3,
        "size": 8,
        "crop_fraction": 1.0,
        "augmentation": Augmentation(),
        "batch_size": 4,
        "seed": 5,
        "epochs": range(2),
    }
    return [(x.numpy(), y.numpy()) for x, y in training_batches(examples, **{**settings, **changes})]


def shown(batches):
    return [int(image[0, 0, 0]) for images, _ in batches for image in images]


def test_every_picture_once_an_epoch_in_an_order_of_its_own():
    order = shown(batches(numbered(12)))
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert order[:12] != order[12:]
    assert shown(batches(numbered(12), seed=6)) != order


def test_what_is_left_over_changes_from_epoch_to_epoch():
    order = shown(batches(numbered(11), epochs=range(6)))
    assert len(order) == 6 * 8
    left_over = [frozenset(range(11)) - set(order[start : start + 8]) for start in range(0, 48, 8)]
    assert all(len(left) == 3 for left in left_over)
    assert len(set(left_over)) > 1


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_later_start_sees_the_same_batches(augmentation, digits):
    examples = digits.training.take(np.arange(20))
    settings = {"size": 32, "classes": 10, "augmentation": augmentation}
    whole = batches(examples, epochs=range(3), **settings)
    later = batches(examples, epochs=range(2, 3), **settings)
    assert len(later) == 5
    for (ours, labels), (theirs, others) in zip(whole[10:], later, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_eagerly_and_in_a_pipeline_alike(augmentation, digits):
    image = digits.training.images[3]
    seed = tf.constant([1, 2])
    eager = training_view(tf.constant(image), 24, 0.875, augmentation, seed)
    mapped = tf.data.Dataset.from_tensors(image).map(lambda x: training_view(x, 24, 0.875, augmentation, seed))
    np.testing.assert_allclose(next(iter(mapped)), eager, atol=1e-4)
    assert eager.shape == (24, 24, 3)
    assert eager.dtype == tf.float32
    assert np.min(eager) >= 0 and np.max(eager) <= 255


def test_flips_happen_half_of_the_time_and_are_mirrors():
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    views = [
        training_view(tf.constant(image), 8, 1.0, Augmentation(flip=True), tf.constant([0, n])) for n in range(100)
    ]
    mirrored = [bool(np.array_equal(view, image[:, ::-1])) for view in views]
    assert all(flipped or np.array_equal(view, image) for flipped, view in zip(mirrored, views, strict=True))
    assert 30 < sum(mirrored) < 70


def test_pad_and_crop_moves_by_at_most_the_padding():
    image = np.zeros((8, 8, 3), np.uint8)
    image[4, 4] = 200
    views = [training_view(tf.constant(image), 8, 1.0, Augmentation(pad=2), tf.constant([0, n])) for n in range(200)]
    places = {tuple(np.argwhere(np.asarray(view)[..., 0])[0]) for view in views}
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_crops_keep_to_their_share_of_the_area():
    # A horizontal ramp: the difference between the edges of a view tells how wide its crop was.
    image = np.broadcast_to(np.linspace(0, 250, 64)[None, :, None], (64, 64, 3)).astype(np.uint8)
    augmentation = Augmentation(crop_area=(0.25, 0.5), crop_aspect=(1.0, 1.0))
    views = [training_view(tf.constant(image), 16, 1.0, augmentation, tf.constant([0, n])).numpy() for n in range(100)]
    widths = np.array([(view[8, -1, 0] - view[8, 0, 0]) / 250 * 16 / 15 for view in views])
    assert widths.min() > 0.45 and widths.max() < 0.76
    assert widths.max() - widths.min() > 0.1


def test_the_evaluation_view_is_the_centre():
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 20:100] = 100
    image[30:50, 50:70] = 255
    view = evaluation_view(tf.constant(image), 80, 1.0).numpy()
    np.testing.assert_array_equal(view, image[:, 20:100])
    inner = evaluation_view(tf.constant(image), 40, 0.5).numpy()
    np.testing.assert_array_equal(inner, image[20:60, 40:80])


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (37, 53)])
def test_pictures_of_any_size_fit(shape):
    view = evaluation_view(tf.zeros((*shape, 3), tf.uint8), 24, 0.875)
    assert view.shape == (24, 24, 3)


def test_files_are_read_once_each_in_order(photographs):
    examples = data.load(photographs).validation
    batches = list(evaluation_batches(examples, classes=2, size=64, crop_fraction=0.875, batch_size=3))
    full, rest = divmod(len(examples), 3)
    assert [len(images) for images, _ in batches] == [3] * full + [rest] * bool(rest)
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    np.testing.assert_array_equal(labels.argmax(axis=1), examples.labels)
    images = np.concatenate([images.numpy() for images, _ in batches])
    alone = views_of([read_picture(path) for path in examples.paths], 64, 0.875)
    assert examples.plain.all()
    # TensorFlow's JPEG decoder rounds a little differently from Pillow's.
    assert np.abs(images - alone).mean() < 1.5


def test_unusual_files_go_through_pillow(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            colour = (60 * number, 200 if kind == "a" else 20, 90)
            Image.new("RGB", (20, 20), colour).save(tmp_path / kind / f"{number}.webp", lossless=True)
    examples = data.load(tmp_path).training
    assert not examples.plain.any()
    [(images, labels)] = evaluation_batches(examples, classes=2, size=8, crop_fraction=1.0, batch_size=9)
    for image, label in zip(images.numpy(), labels.numpy().argmax(axis=1), strict=True):
        assert image[4, 4, 1] == (200, 20)[label]
