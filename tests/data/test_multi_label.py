"""Data whose images have any number of classes: counts, weights, limits, batches."""

import numpy as np

from kerascnn import InputError, data
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.dataset import limited
from kerascnn.data.pipeline.pipeline import training_batches
from support.messages import mentioning

# Six images: "fog" on three, "sea" on one, "sun" on four, nothing on the last.
LABELS = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], np.uint8)
NAMES = ("fog", "sea", "sun")


def examples(labels):
    return data.ArrayExamples(np.zeros((len(labels), 8, 8, 3), np.uint8), labels)


def tags(labels=LABELS):
    return data.DataSet("tags", "tags", NAMES, examples(labels), examples(labels))


def test_the_labels_say_whether_an_image_may_have_several_classes():
    assert tags().multi_label
    assert not tags(np.array([0, 1, 2])).multi_label
    assert tags().counts(tags().training).tolist() == [3, 1, 4]
    assert tags().imbalance() == 4.0


def test_a_split_without_any_class_is_an_error():
    with mentioning(InputError, "tags", "validation", "class"):
        data.DataSet("tags", "tags", NAMES, examples(LABELS), examples(LABELS[5:]))


def test_images_with_and_without_a_class_count_the_same():
    # "sea" is on one of six images: 6 / (2 * 5) without it, 6 / (2 * 1) with it.
    np.testing.assert_allclose(tags().class_weights(), [[1, 6 / 10, 6 / 4], [1, 6 / 2, 6 / 8]])
    np.testing.assert_allclose(tags().image_weights()[[0, 2]], [[1, 6 / 10, 6 / 8], [1, 6 / 2, 6 / 8]])
    [(_, labels, weights)] = training_batches(
        tags().training, classes=3, size=8, crop_fraction=1.0, augmentation=Augmentation(), batch_size=6, seed=0,
        epochs=range(1), class_weights=tags().class_weights(),
    )  # fmt: skip
    present = (labels.numpy() * weights.numpy()).sum(axis=0)
    np.testing.assert_allclose(present, [3, 3, 3])
    np.testing.assert_allclose(((1 - labels.numpy()) * weights.numpy()).sum(axis=0), [3, 3, 3])


def test_mixed_images_have_mixed_labels_and_weights():
    augmentation = Augmentation(mixup=1.0)
    [(_, labels, weights)] = training_batches(
        tags().training, classes=3, size=8, crop_fraction=1.0, augmentation=augmentation, batch_size=6, seed=0,
        epochs=range(1), class_weights=tags().class_weights(),
    )  # fmt: skip
    without, with_class = tags().class_weights()
    np.testing.assert_allclose(weights, labels * with_class + (1 - labels) * without, rtol=1e-5)
    assert 0 < labels.numpy().min(initial=1, where=labels.numpy() > 0) < 1


def test_a_limit_keeps_every_class():
    assert limited(examples(LABELS), 4).labels.any(axis=0).all()
    # The first of every class, and the first without a class.
    np.testing.assert_array_equal(limited(examples(LABELS), 3).labels, LABELS[[0, 2, 5]])
    assert len(limited(examples(LABELS), 99)) == 6
