"""The same training with everything that watches it and without, in turn.

Watched are the figures of every epoch, TensorBoard's curves, norms and histograms, the time waiting for data and the
live line of a terminal, as `kerascnn train` has them; the other training has none of it. A round is an epoch of each.
Processor time says more than the clock where other work runs beside it.

    python benchmarks/watching.py
    python benchmarks/watching.py --tasks photographs --rounds 5 --json
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from alternating import take_turns
from rich.console import Console
from rich.table import Table

from kerascnn import applications, data
from kerascnn.data.pipeline.pipeline import training_batches
from kerascnn.training import Recipe, choose_precision, compile_for
from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
from kerascnn.training.callbacks.progress_bar import LiveProgress
from kerascnn.training.callbacks.tensorboard import TensorBoard
from kerascnn.training.callbacks.throughput import DataWaitTimer, ThroughputMonitor


class Task(NamedTuple):
    """A network, what it is fed, and how many steps an epoch has."""

    network: str
    size: int
    classes: int
    batch: int
    steps: int


TASKS = {
    "digits": Task("resnet20", 32, 10, 64, 22),
    "photographs": Task("resnet50", 224, 1000, 16, 10),
}
MANY = 1000


def batches_of(task: Task) -> tf.data.Dataset:
    """The digits by their pipeline; photographs of noise, ready made."""
    if task.classes == 10:
        recipe = Recipe.for_model(task.network)
        return training_batches(
            data.load("digits").training,
            classes=task.classes,
            size=task.size,
            crop_fraction=1.0,
            augmentation=recipe.augmentation,
            batch_size=task.batch,
            seed=0,
            epochs=range(MANY),
        )
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (task.batch, task.size, task.size, 3)).astype("float32")
    labels = keras.utils.to_categorical(generator.integers(0, task.classes, task.batch), task.classes)
    return tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2)


class Training:
    """Runs epoch after epoch."""

    def __init__(self, task: Task):
        self.task = task
        self.model = applications.create(task.network, input_shape=(task.size, task.size, 3), classes=task.classes)
        self.recipe = Recipe.for_model(task.network).with_values(batch_size=task.batch, epochs=MANY)
        compile_for(self.model, self.recipe, task.steps)
        self.model.make_train_function()
        self.iterator = iter(batches_of(task))
        self.callbacks: list[keras.callbacks.Callback] = []
        self.epochs = 0
        self.processor_seconds: list[float] = []

    def watch(self, folder: Path) -> None:
        """Has it watched from now on."""
        waiting = DataWaitTimer()
        self.iterator = waiting.on(self.iterator)
        images = np.zeros((36, self.task.size, self.task.size, 3))
        console = Console(file=io.StringIO(), force_terminal=True)
        self.callbacks = [
            ThroughputMonitor(self.task.batch, waiting),
            TensorBoard(folder, self.recipe, images),
            GradientNormLogger(folder, self.task.steps),
            LiveProgress(MANY, self.task.steps, self.task.batch, console),
        ]
        for callback in self.callbacks:
            callback.set_model(self.model)
            callback.on_train_begin()

    def epoch(self) -> None:
        """Trains for one."""
        began = time.process_time()
        self.model.reset_metrics()
        for callback in self.callbacks:
            callback.on_epoch_begin(self.epochs)
        for step in range(self.task.steps):
            for callback in self.callbacks:
                callback.on_train_batch_begin(step)
            figures = self.model.train_function(self.iterator)
            for callback in self.callbacks:
                callback.on_train_batch_end(step, figures)
        figures = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        figures.update({f"val_{name}": value for name, value in figures.items()})
        for callback in self.callbacks:
            callback.on_epoch_end(self.epochs, figures)
        self.epochs += 1
        self.processor_seconds.append(time.process_time() - began)

    def end(self) -> None:
        """Closes what watches it."""
        for callback in self.callbacks:
            callback.on_train_end()


def measure(task: Task, rounds: int) -> dict[str, float]:
    """Milliseconds a step of both, by which share watching makes the epochs longer, and their processor time."""
    keras.backend.clear_session(free_memory=True)
    watched, bare = Training(task), Training(task)
    with tempfile.TemporaryDirectory(prefix="kerascnn-benchmark-") as folder:
        watched.watch(Path(folder))
        medians = take_turns(watched.epoch, bare.epoch, rounds=rounds, warm_up=2)
        watched.end()
    costs = [100 * (1 / ratio - 1) for ratio in medians.ratios]
    processor = [statistics.median(training.processor_seconds[-rounds:]) for training in (watched, bare)]
    return {
        "watched_ms": 1000 * medians.ours / task.steps,
        "bare_ms": 1000 * medians.theirs / task.steps,
        "percent": statistics.median(costs),
        "least_percent": min(costs),
        "most_percent": max(costs),
        "processor_percent": 100 * (processor[0] / processor[1] - 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15, help="timed epochs of each (default: 15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    # As `kerascnn train` computes on a processor.
    keras.utils.set_random_seed(0)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    policy = choose_precision("auto").policy
    keras.config.set_dtype_policy(policy)
    results = {}
    for name in options.tasks:
        print(f"{name}: {TASKS[name].network}, {policy} …", file=sys.stderr)
        results[name] = measure(TASKS[name], options.rounds)
    if options.json:
        print(json.dumps({"policy": policy, **results}))
        return
    table = Table(
        "task", "bare, ms a step", "watched, ms a step", "watching costs", "least – most", "processor", title=policy
    )
    for name, row in results.items():
        spread = f"{row['least_percent']:.1f} – {row['most_percent']:.1f} %"
        speeds = [f"{row['bare_ms']:.1f}", f"{row['watched_ms']:.1f}", f"{row['percent']:.1f} %"]
        table.add_row(name, *speeds, spread, f"{row['processor_percent']:.1f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
