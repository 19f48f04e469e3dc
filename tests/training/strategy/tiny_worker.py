"""A worker of a training of seconds: `tiny_worker.py RUNS DEVICES`, which begins there or goes on with the run there.

Exit status 3 says that another worker was lost.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras

from kerascnn import data
from kerascnn.applications import registry
from kerascnn.layers import BatchNormalization
from kerascnn.training import Averaging, Conduct, Recipe, Run, RunFolder, resume, train
from kerascnn.training.strategy import WorkerLost, choose_devices

EPOCHS = 3


def network(name, *, input_tensor, classes, aux_heads):
    """Two classifiers over a convolution with batch normalization."""
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(input_tensor)
    x = keras.layers.ReLU(name="relu1")(BatchNormalization(name="conv1_bn")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    heads = {
        head: keras.layers.Dense(classes, activation="softmax", name=f"{head}_fc")(x) for head in ("main", "aux_4a")
    }
    return keras.Model(keras.utils.get_source_inputs(input_tensor), heads, name=name)


def recipe() -> Recipe:
    """With auxiliary heads, L2 decay, momentum, averages; 12 steps an epoch, validation on 24 pictures."""
    values = Recipe.load("googlenet").with_values(
        image_size=16, epochs=EPOCHS, batch_size=8, precision="float32", seed=5
    )
    averaging = Averaging(0.8, statistics_batches=2)
    return replace(values, averaging=averaging, synchronized_normalization=True, label_smoothing=0.1)


class Slow(keras.callbacks.Callback):
    """Leaves time to be killed towards the end of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch >= 10:
            time.sleep(5)


def run(runs: Path, asked: str) -> Run:
    devices = choose_devices(asked)
    pictures = data.load("digits", limit=120)
    found = sorted(runs.glob("*/recipe.yaml"))
    with mock.patch.object(registry, "create", network):
        if found:
            folder = RunFolder.open(found[0].parent)
            return resume(folder, folder.read_recipe()[0], pictures, devices=devices)
        # A state after every step, or as often as the workers agree.
        conduct, slow = Conduct(checkpoint_minutes=0), [Slow()] if devices.workers > 1 else []
        return train(recipe(), pictures, runs=runs, limit=120, callbacks=slow, conduct=conduct, devices=devices)


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]), sys.argv[2])
    except WorkerLost as lost:
        print(lost, lost.folder)
        sys.exit(3)
