"""A training of seconds in which everything has a state: for tests that stop it.

Run as a program, it takes lines of a number of steps and a folder: a process of its own begins there, or goes on with
the run that is there, and waits to be killed when the steps are done.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras

from kerascnn import data
from kerascnn.applications import registry
from kerascnn.layers import BatchNormalization
from kerascnn.training import Averaging, Conduct, Recipe, RunFolder, Schedule, assembly, resume, train

EPOCHS = 4
STEPS = 6


def network(name, *, input_tensor, classes, aux_heads=False):
    """A convolution with batch normalization, dropout, and one or two classifiers."""
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(input_tensor)
    x = keras.layers.ReLU(name="relu1")(BatchNormalization(name="conv1_bn")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    heads = {
        head: keras.layers.Dense(classes, activation="softmax", name=f"{head}_fc")(
            keras.layers.Dropout(0.3, name=f"{head}_dropout")(x)
        )
        for head in (("main", "aux_4a") if aux_heads else ("main",))
    }
    outputs = heads if aux_heads else heads["main"]
    return keras.Model(keras.utils.get_source_inputs(input_tensor), outputs, name=name)


def recipe() -> Recipe:
    """With auxiliary heads, dropout, L2 decay, momentum, augmentation, averages and a plateau that is met."""
    values = Recipe.load("googlenet").with_values(
        image_size=16, epochs=EPOCHS, batch_size=16, precision="float32", seed=5
    )
    return replace(
        values,
        schedule=Schedule("plateau", factor=0.5, patience=1),
        averaging=Averaging(0.8, statistics_batches=2),
        optimizer=replace(values.optimizer, learning_rate=0.05),
    )


def scaled(*arguments):
    """The optimizer behind a loss scale that is too large for float32 at first, so that some steps are skipped."""
    return keras.optimizers.LossScaleOptimizer(plain(*arguments), initial_scale=2.0**127, dynamic_growth_steps=5)


plain = assembly.optimizer_for


@contextlib.contextmanager
def tiny():
    """Has every recipe train the tiny network, with a loss scale."""
    with mock.patch.object(registry, "create", network), mock.patch.object(assembly, "optimizer_for", scaled):
        yield


def pictures() -> data.DataSet:
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


def main(runs: Path, most: int) -> None:
    print("ready", os.getpid(), flush=True)
    found = sorted(runs.glob("*/recipe.yaml"))
    steps = [Steps(most)]
    with tiny():
        if not found:
            # A state every second step or so.
            conduct = Conduct(checkpoint_minutes=0.03 / 60, best=2)
            train(recipe(), pictures(), runs=runs, limit=120, callbacks=steps, conduct=conduct)
        else:
            folder = RunFolder.open(found[0].parent)
            resume(folder, folder.read_recipe()[0], pictures(), callbacks=steps)
    print("done", flush=True)


def serve() -> None:
    """A process for each line; they need not import TensorFlow again."""
    for line in sys.stdin:
        most, runs = line.rstrip("\n").split(" ", 1)
        process = os.fork()
        if not process:
            main(Path(runs), int(most))
            return
        print("ended", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
