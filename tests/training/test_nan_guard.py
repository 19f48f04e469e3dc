"""Trainings whose loss becomes infinite or NaN."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError, data
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.dataset import FileExamples
from kerascnn.data.pipeline.pipeline import batch_numbers, training_batches
from kerascnn.training import RunConfig, RunFolder, TrainingDivergedError, train
from kerascnn.training.callbacks.nan_guard import NaNGuard, image_names
from kerascnn.training.checkpoints.files import Position
from support import tiny_training
from support.messages import mentioning, names


class Spoil(keras.callbacks.Callback):
    """Makes a weight infinite when a number of steps are done."""

    def __init__(self, layer, step):
        super().__init__()
        self.layer, self.step = layer, step

    def on_train_batch_end(self, batch, logs=None):
        self.step -= 1
        if self.step == 0:
            weight = self.model.get_layer(self.layer).trainable_variables[0]
            weight.assign(keras.ops.full_like(weight, math.inf))


def diverge(runs, callback):
    """The message about a training that the callback spoils, and its folder."""
    with tiny_training.tiny(), pytest.raises(TrainingDivergedError) as caught:
        train(
            tiny_training.recipe(),
            tiny_training.images(),
            runs=runs,
            callbacks=[callback],
            run_config=RunConfig(best=0),
        )
    [folder] = map(RunFolder, runs.iterdir())
    return str(caught.value), folder


@pytest.mark.slow
def test_the_step_and_its_images_are_named(tmp_path):
    """A weight that is infinite after step 8 shows in the loss of step 9, the third of the second epoch."""
    sentence, folder = diverge(tmp_path, Spoil("main_fc", 8))
    numbers = batch_numbers(96, 16, tiny_training.recipe().seed, epoch=1, step=2)
    written = folder.path / "not_finite.txt"
    images = [f"training image {number}" for number in numbers]
    names(sentence, "loss is nan", "step 3 of epoch 2", ", ".join(images[:4]), "12 more", written)
    names(sentence, folder.checkpoints / "epoch-0001.npz")
    assert "\n" not in sentence
    assert written.read_text().splitlines() == images
    assert [file.name for file in folder.checkpoints.iterdir()] == ["epoch-0001.npz"]


@pytest.mark.slow
def test_no_checkpoint_is_written_with_a_weight_that_is_not_finite(tmp_path):
    """After the last step of an epoch, no loss reveals it."""
    sentence, folder = diverge(tmp_path, Spoil("aux_4a_fc", 12))
    names(sentence, "weight", "step 6 of epoch 2", "training image ")
    assert [file.name for file in folder.checkpoints.iterdir()] == ["epoch-0001.npz"]
    assert len(folder.history()) == 2


def test_the_first_of_many_losses_is_found_at_the_next_check():
    read = []

    class Loss:
        def __init__(self, value):
            self.value = value

        def __float__(self):
            read.append(self.value)
            return self.value

    guard = NaNGuard(lambda before, loss: InputError(f"{before}: {loss}"))
    for step in range(60):
        guard.add(Position(2, step), Loss(1.0))
    # Waiting for each step's loss would cost speed.
    assert len(read) == 1
    with mentioning(InputError, "after step 71 of epoch 3: inf"):
        for step in range(60, 200):
            guard.add(Position(2, step), Loss(1.0 if step < 71 else math.inf))
    guard.check()


def test_batch_numbers_are_those_of_the_pipeline(few_digits):
    batches = training_batches(
        few_digits.training, classes=10, size=32, crop_fraction=1.0, augmentation=Augmentation(), batch_size=24, seed=3,
        epochs=range(2, 4),
    )  # fmt: skip
    steps = len(few_digits.training) // 24
    for number, (images, labels) in enumerate(batches):
        taken = few_digits.training.take(batch_numbers(160, 24, 3, 2 + number // steps, number % steps))
        np.testing.assert_array_equal(np.argmax(labels, axis=1), taken.labels)
        means = tf.reduce_mean(images, axis=(1, 2, 3))
        np.testing.assert_allclose(means, np.stack(taken.images).mean(axis=(1, 2, 3)), rtol=0.02)
    assert number == 2 * steps - 1


def test_names_of_images(photographs, tmp_path):
    loaded = data.load(photographs)
    assert isinstance(loaded.training, FileExamples)
    assert image_names(loaded.training, np.array([3, 1])) == [str(loaded.training.paths[n]) for n in (3, 1)]
    shards = data.load(data.write_records(loaded, tmp_path / "shards"))
    [name] = image_names(shards.training, np.array([2]))
    assert name.endswith(f" at byte {shards.training.offset[2]}")
    assert str(shards.training.shards[0]) in name
