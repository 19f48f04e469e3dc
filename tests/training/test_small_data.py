"""What few images need: as many of every class, no mixed labels, and how little they can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.data import Augmentation
from kerascnn.data.dataset import ArrayExamples
from kerascnn.data.pipeline.pipeline import batch_numbers, training_batches
from kerascnn.training import Recipe, resolved
from support.messages import mentioning

# 40 images of one class, 6 and 2 of the others; each image has pixels of its own value.
COUNTS = (40, 6, 2)


@pytest.fixture(scope="module")
def uneven():
    images = np.broadcast_to(np.arange(48, dtype=np.uint8)[:, None, None, None], (48, 8, 8, 3))
    return ArrayExamples(images, np.repeat(range(3), COUNTS))


def drawn(examples, **options):
    """The images of each batch, by their values, with their labels."""
    settings = {"classes": 3, "size": 8, "crop_fraction": 1.0, "augmentation": Augmentation(), "batch_size": 12}
    batches = training_batches(examples, **(settings | {"seed": 3, "epochs": range(2), "balanced": True} | options))
    return [(views.numpy()[:, 0, 0, 0].astype(int), labels.numpy().argmax(axis=1)) for views, labels in batches]


def test_every_class_comes_as_often(uneven):
    batches = drawn(uneven)
    for epoch in (batches[:4], batches[4:]):
        numbers, labels = (np.concatenate(parts) for parts in zip(*epoch, strict=True))
        assert np.bincount(labels).tolist() == [16, 16, 16]
        np.testing.assert_array_equal(uneven.labels[numbers], labels)
        # No image of a class comes again before all have come.
        times = np.bincount(numbers, minlength=48)
        assert (times[:40].max(), times[40:46].min(), times[40:46].max(), times[46:].tolist()) == (1, 2, 3, [8, 8])
    first, second = (set(np.concatenate([numbers for numbers, _ in epoch])) for epoch in (batches[:4], batches[4:]))
    assert first != second


def test_from_any_step_and_by_several_workers(uneven):
    batches = drawn(uneven)
    for (found, _), (expected, _) in zip(drawn(uneven, start_step=3), batches[3:], strict=True):
        np.testing.assert_array_equal(found, expected)
    halves = [drawn(uneven, batch_size=6, worker=worker, workers=2) for worker in (0, 1)]
    for (whole, _), *parts in zip(batches, *halves, strict=True):
        np.testing.assert_array_equal(np.concatenate([numbers for numbers, _ in parts]), whole)
    for number, (numbers, _) in enumerate(batches):
        np.testing.assert_array_equal(batch_numbers(48, 12, 3, *divmod(number, 4), uneven.labels), numbers)


def test_what_balanced_sampling_excludes(few_digits):
    with mentioning(InputError, "sampling", "class_weights"):
        Recipe(sampling="balanced", class_weights="balanced")
    tags = [replace(part, labels=np.eye(10, dtype=np.uint8)[part.labels]) for part in
            (few_digits.training, few_digits.validation)]  # fmt: skip
    for part in tags:
        part.labels[:, 0] = 1
    both = replace(few_digits, training=tags[0], validation=tags[1])
    with mentioning(InputError, "sampling", "class_weights"):
        resolved(Recipe(sampling="balanced"), both)


@pytest.mark.parametrize(("images", "fewest", "mixes"), [(299, 300, False), (300, 300, True), (5, 0, True)])
def test_few_images_are_not_mixed(images, fewest, mixes):
    mixing = Augmentation(mixup=0.2, cutmix=1.0, mix_from=fewest, pad=2)
    found = mixing.for_images(images)
    assert (found.mixes, found.pad) == (mixes, 2)


def test_a_training_says_that_it_does_not_mix(command, tmp_path):
    words = ("train", "--limit", "60", "--set", "augmentation.mixup=0.2", "--epochs", "1", "--image-size", "8")
    assert (
        resolved(Recipe().with_settings(["augmentation.mixup=0.2"]), data.load("digits", limit=60)).augmentation.mixup
        == 0
    )
    found = command(*words, "--print-recipe", "--set", "augmentation.mix_from=0", "--out", tmp_path)
    assert "mixup: 0.2" in found.out
    found = command(*words, "--print-recipe", "--out", tmp_path)
    assert "mixup: 0.0" in found.out
