"""A training step with everything that watches it, as `kerascnn train` has it, beside the same without.

Watched are the metrics of every epoch, TensorBoard's curves, norms and histograms, the time waiting for data and the
live line of a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen
from benchmarks.parts.training_step import batch_of
from benchmarks.photographs import temporary_folder

# Image size, batch, classes, steps of an epoch.
NETWORKS = {"resnet20": (32, 64, 10, 22), "resnet50": (224, 16, 1000, 10)}
EPOCHS = 1000


def rows(options: Options) -> Iterator[Row]:
    """One row per network."""
    for name in chosen(options.networks, NETWORKS, "network"):
        watched, bare = (
            Contestant(how, epochs, {"network": name, "watched": how == "kerascnn, watched"}, (), wanted)
            for how, wanted in (("kerascnn, watched", 0), ("the same, not watched", 0.97))
        )
        yield Row(name, "ms a step", (watched, bare))


def epochs(network: str, watched: bool) -> Measure:
    import keras
    import tensorflow as tf

    from kerascnn import applications
    from kerascnn.training import Recipe, choose_precision, compile_for

    size, batch, classes, steps = NETWORKS[network]
    keras.config.set_dtype_policy(choose_precision("auto").policy)
    model = applications.create(network, input_shape=(size, size, 3), classes=classes)
    recipe = Recipe.for_model(network).with_values(batch_size=batch, epochs=EPOCHS)
    compile_for(model, recipe, steps)
    model.make_train_function()
    images, labels = batch_of(batch, size, classes)
    batches = tf.data.Dataset.from_tensors((images, keras.utils.to_categorical(labels, classes)))
    callbacks, iterator = _watching(model, recipe, steps, iter(batches.cache().repeat().prefetch(2)), watched)
    numbers = iter(range(EPOCHS))

    def measure() -> float:
        start, number = time.perf_counter(), next(numbers)
        model.reset_metrics()
        for callback in callbacks:
            callback.on_epoch_begin(number)
        for step in range(steps):
            for callback in callbacks:
                callback.on_train_batch_begin(step)
            logs = model.train_function(iterator)
            for callback in callbacks:
                callback.on_train_batch_end(step, logs)
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        logs.update({f"val_{name}": value for name, value in logs.items()})
        for callback in callbacks:
            callback.on_epoch_end(number, logs)
        return 1000 * (time.perf_counter() - start) / steps

    for _ in range(2):
        measure()
    return measure


def _watching(model, recipe, steps: int, iterator, watched: bool):
    """The callbacks, and the iterator with a timer on it."""
    import io

    import numpy as np
    from rich.console import Console

    from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
    from kerascnn.training.callbacks.progress_bar import LiveProgress
    from kerascnn.training.callbacks.tensorboard import TensorBoard
    from kerascnn.training.callbacks.throughput import DataWaitTimer, ThroughputMonitor

    if not watched:
        return [], iterator
    waiting, folder = DataWaitTimer(), temporary_folder()
    callbacks = [
        ThroughputMonitor(recipe.batch_size, waiting),
        TensorBoard(folder, recipe, np.zeros((36, *model.input_shape[1:]))),
        GradientNormLogger(folder, steps),
        LiveProgress(EPOCHS, steps, recipe.batch_size, Console(file=io.StringIO(), force_terminal=True)),
    ]
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    return callbacks, waiting.on(iterator)


PART = Part("a step with everything that watches it beside one without", ("networks",), rows)
