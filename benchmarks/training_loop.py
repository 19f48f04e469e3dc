"""Training ResNet-50 on photographs from file to update, beside keras.applications' with the loop of Keras' guides.

Ours is `kerascnn.training.train` with the recipe "resnet50", in the precision that "auto" chooses: its pipeline, its
loop, its callbacks. Keras' is image_dataset_from_directory, RandomCrop and RandomFlip mapped over it, Rescaling and
keras.applications.ResNet50 in one model, `compile` and `fit`, all as the guides have it: in float32 and in our
precision; and in our precision with XLA switched off, which `compile` switches on. Every contestant gets the same
files, those that our ingestion takes for good, in batches of the same size.

They take turns, each turn in a process of its own: an epoch to warm up, then one that is timed without its validation.

    python benchmarks/training_loop.py pets.zip
    python benchmarks/training_loop.py pets.zip --images 640 --rounds 5 --json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerascnn import data
from kerascnn.data.dataset import DataSet, FileExamples
from kerascnn.training import Recipe, choose_precision, train
from kerascnn.training.callbacks.throughput import ThroughputMonitor

SIZE, SHORTER_SIDE = 224, 256


class Processor(keras.callbacks.Callback):
    """Adds the processor's seconds of an epoch's training to its figures, which say more beside other work."""

    def on_epoch_begin(self, epoch, logs=None):
        self._began, self._seconds = time.process_time(), None

    def on_test_begin(self, logs=None):
        self._seconds = time.process_time() - self._began

    def on_epoch_end(self, epoch, logs=None):
        if self._seconds is None:
            self.on_test_begin()
        logs["processor_seconds"] = self._seconds


def ours(folder: Path, batch: int) -> dict[str, float]:
    """The figures of the second epoch of `train`."""
    examples = examples_of(folder)
    classes = tuple(sorted(entry.name for entry in folder.iterdir()))
    images = DataSet("photographs", str(folder), classes, examples, examples.take(np.arange(batch)))
    recipe = Recipe.load("resnet50").with_values(epochs=2, batch_size=batch)
    with tempfile.TemporaryDirectory(prefix="kerascnn-benchmark-") as runs:
        history = keras.callbacks.History()
        train(recipe, images, runs=runs, callbacks=[Processor(), history])
    return {name: values[1] for name, values in history.history.items()}


def of_keras(folder: Path, batch: int, policy: str, jit_compile: str | bool = "auto") -> dict[str, float]:
    """The figures of the second epoch of `fit`."""
    keras.config.set_dtype_policy(policy)
    views = keras.Sequential([keras.layers.RandomCrop(SIZE, SIZE), keras.layers.RandomFlip("horizontal")])
    loaded = keras.utils.image_dataset_from_directory(
        folder, label_mode="categorical", image_size=(SHORTER_SIDE, SHORTER_SIDE), batch_size=batch, verbose=False
    )
    classes = len(loaded.class_names)
    augmented = loaded.map(lambda images, labels: (views(images, training=True), labels), tf.data.AUTOTUNE)
    inputs = keras.Input((SIZE, SIZE, 3))
    network = keras.applications.ResNet50(weights=None, classes=classes)
    model = keras.Model(inputs, network(keras.layers.Rescaling(1 / 255)(inputs)))
    optimizer = keras.optimizers.SGD(0.1 * batch / 256, momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    history = model.fit(
        augmented.prefetch(tf.data.AUTOTUNE), epochs=2, callbacks=[ThroughputMonitor(batch), Processor()], verbose=0
    )
    figures = {name: values[1] for name, values in history.history.items()}
    # Its last batch is smaller than the others.
    return {**figures, "images_per_second": len(examples_of(folder)) / figures["seconds"]}


POLICY = choose_precision("auto").policy
CONTESTANTS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    f"kerascnn, {POLICY}": ours,
    "Keras' guides, float32": lambda folder, batch: of_keras(folder, batch, "float32"),
    f"Keras' guides, {POLICY}": lambda folder, batch: of_keras(folder, batch, POLICY),
    f"Keras' guides, {POLICY}, no XLA": lambda folder, batch: of_keras(folder, batch, POLICY, jit_compile=False),
}


def examples_of(folder: Path) -> FileExamples:
    """The images of a folder that `clean_copy` made."""
    files = sorted(folder.glob("*/*.jpg"))
    classes = sorted(entry.name for entry in folder.iterdir())
    labels = np.array([classes.index(file.parent.name) for file in files])
    return FileExamples(np.array([str(file) for file in files], object), np.ones(len(files), bool), labels)


def clean_copy(source: str, most: int, folder: Path) -> int:
    """At most `most` training images that every contestant can read, in folders named by class; how many they are."""
    loaded = data.load(source)
    plain = loaded.training.take(np.flatnonzero(loaded.training.plain))
    chosen = plain.take(np.random.default_rng(0).permutation(len(plain))[:most])
    for number, (path, label) in enumerate(zip(chosen.paths, chosen.labels, strict=True)):
        target = folder / loaded.class_names[label] / f"{number:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return len(chosen)


def turn(name: str, folder: Path, batch: int) -> dict[str, float]:
    """A contestant's figures, measured in a process of its own."""
    arguments = [sys.executable, __file__, str(folder), "--batch", str(batch), "--contestant", name]
    ended = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def processor_ms(figures: dict[str, float]) -> float:
    return 1000 * figures["processor_seconds"] / (figures["images_per_second"] * figures["seconds"])


def report(results: dict[str, list[dict[str, float]]]) -> Table:
    table = Table("contestant", "images/s", "kerascnn / this", "least – most", "waiting", "processor ms an image", "GB")
    first = next(iter(results.values()))
    for name, rounds in results.items():
        speeds = [figures["images_per_second"] for figures in rounds]
        ratios = [own["images_per_second"] / speed for own, speed in zip(first, speeds, strict=True)]
        waiting = [figures["waiting_share"] for figures in rounds if "waiting_share" in figures]
        table.add_row(
            name,
            f"{statistics.median(speeds):.1f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} – {max(ratios):.2f}",
            f"{statistics.median(waiting):.1%}" if waiting else "–",
            f"{statistics.median(map(processor_ms, rounds)):.0f}",
            f"{max(figures['memory_gigabytes'] for figures in rounds):.1f}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", help="a folder or an archive, as kerascnn train --data takes it")
    parser.add_argument("--images", type=int, default=320, help="how many are trained on (default: 320)")
    parser.add_argument("--batch", type=int, default=16, help="images a step (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(CONTESTANTS[options.contestant](Path(options.photographs), options.batch)))
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory(prefix="kerascnn-benchmark-") as folder:
        count = clean_copy(options.photographs, options.images, Path(folder))
        print(f"{count} photographs, {options.rounds} rounds …", file=sys.stderr)
        for number in range(options.rounds):
            for name in list(CONTESTANTS)[:: 1 if number % 2 == 0 else -1]:
                results[name].append(turn(name, Path(folder), options.batch))
                print(f"{name}: {results[name][-1]['images_per_second']:.1f} images/s", file=sys.stderr)
    if options.json:
        print(json.dumps(results))
    else:
        Console().print(report(results))


if __name__ == "__main__":
    main()
