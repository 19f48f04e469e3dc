"""A training of seconds in which everything has a state: for tests that stop it, here or in processes of its own."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras

from kerascnn import data
from kerascnn.applications import registry
from kerascnn.data import Augmentation
from kerascnn.layers import BatchNormalization
from kerascnn.training import Averaging, Recipe, Run, RunConfig, RunFolder, Schedule, assembly, resume, train
from kerascnn.training.strategy import WorkerLostError, choose_devices

EPOCHS = 4
STEPS = 6

# Of the training that workers share.
WORKERS_EPOCHS = 3


def network(
    name, *, input_tensor, classes, aux_heads=False, dropout=0.3, classifier_activation="softmax", batch_norm=True
):
    """A convolution with batch normalization, dropout, and one or two classifiers."""
    assert batch_norm
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(input_tensor)
    x = keras.layers.ReLU(name="relu1")(BatchNormalization(name="conv1_bn")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    heads = {
        head: keras.layers.Dense(classes, activation=classifier_activation, name=f"{head}_fc")(
            keras.layers.Dropout(dropout, name=f"{head}_dropout")(x)
        )
        for head in (("main", "aux_4a") if aux_heads else ("main",))
    }
    outputs = heads if aux_heads else heads["main"]
    return keras.Model(keras.utils.get_source_inputs(input_tensor), outputs, name=name)


def recipe() -> Recipe:
    """With auxiliary heads, dropout, L2 decay, momentum, augmentation, averages and a plateau that is met."""
    values = steady_recipe(epochs=EPOCHS, batch_size=16)
    return replace(
        values,
        schedule=Schedule("plateau", factor=0.5, patience=1),
        optimizer=replace(values.optimizer, learning_rate=0.05),
    )


def steady_recipe(**values) -> Recipe:
    """The same at GoogLeNet's own learning rates; the augmentation is one whose graph is made in a moment."""
    found = Recipe.load("googlenet").with_values(image_size=16, precision="float32", seed=5, **values)
    return replace(found, augmentation=Augmentation(pad=2), averaging=Averaging(0.8, statistics_batches=2))


def scaled(*arguments):
    """The optimizer behind a loss scale that is too large for float32 at first, so that some steps are skipped."""
    return keras.optimizers.LossScaleOptimizer(plain(*arguments), initial_scale=2.0**127, dynamic_growth_steps=5)


plain = assembly.optimizer_for


def tiny_networks():
    """Has every recipe train the tiny network, by its own optimizer."""
    return mock.patch.object(registry, "create", network)


@contextlib.contextmanager
def tiny():
    """Has every recipe train the tiny network, with a loss scale."""
    with mock.patch.object(registry, "create", network), mock.patch.object(assembly, "optimizer_for", scaled):
        yield


def images() -> data.DataSet:
    """6 steps of 16 digits."""
    return data.load("digits", limit=120)


class Steps(keras.callbacks.Callback):
    """Says when a step is done, and waits to be killed after some of them."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def on_train_batch_end(self, batch, logs=None):
        print("step", flush=True)
        self.most -= 1
        time.sleep(0.02 if self.most else 600)


def until_killed(runs: str, most: int) -> None:
    """Begins a training, or goes on with the one that is there, and waits to be killed when some steps are done."""
    found = sorted(Path(runs).glob("*/recipe.yaml"))
    steps = [Steps(most)]
    with tiny():
        if not found:
            # A checkpoint every second step or so.
            run_config = RunConfig(checkpoint_minutes=0.03 / 60, best=2)
            train(recipe(), images(), runs=runs, limit=120, callbacks=steps, run_config=run_config)
        else:
            folder = RunFolder.open(found[0].parent)
            resume(folder, folder.read_recipe()[0], images(), callbacks=steps)


class Slow(keras.callbacks.Callback):
    """Has a worker wait to be killed towards the end of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch >= 10:
            time.sleep(600)


def on_workers(runs: Path) -> Run:
    """Begins a training that several devices may share, or goes on with the one that is there.

    It has auxiliary heads, L2 decay, momentum and averages; 12 steps an epoch, validation on 24 images. It has no
    dropout, which differs from device to device.
    """
    devices = choose_devices("cpu")
    found = sorted(runs.glob("*/recipe.yaml"))
    with mock.patch.object(registry, "create", functools.partial(network, dropout=0.0)):
        if found:
            folder = RunFolder.open(found[0].parent)
            return resume(folder, folder.read_recipe()[0], images(), devices=devices)
        values = steady_recipe(epochs=WORKERS_EPOCHS, batch_size=8)
        values = replace(values, synchronized_normalization=True, label_smoothing=0.1)
        # A checkpoint after every step, or as often as the workers agree.
        run_config, slow = RunConfig(checkpoint_minutes=0), [Slow()] if devices.worker == 1 else []
        return train(values, images(), runs=runs, limit=120, callbacks=slow, run_config=run_config, devices=devices)


def one_of_workers(runs: str) -> int:
    """A worker of it; status 3 says that another was lost."""
    try:
        on_workers(Path(runs))
    except WorkerLostError as lost:
        print(lost, lost.folder)
        return 3
    return 0
