"""Compares kerascnn's input pipeline with Keras' and PyTorch's, on your photographs.

All of them read JPEG files from disk and return batches of 224 x 224 float32 crops, cut at random from the image with
its shorter side resized to 256 pixels; half of them are flipped. They take turns of a few epochs each. The clock starts
at the first batch, since a training starts once. Keras is image_dataset_from_directory with RandomCrop and RandomFlip
mapped over its batches, with the aspect ratio kept (crop_to_aspect_ratio) and without, which is its default. PyTorch,
if it is installed, is a DataLoader with two worker processes and torchvision's transforms. Keras' resizing weights four
pixels and does not antialias, like ours in "bilinear", its default; ours in "antialias" and PyTorch's weight all
pixels. If other programs run at the same time, CPU time is more reliable than speed.

    python benchmarks/input_pipeline.py photographs/
    python benchmarks/input_pipeline.py pets.zip --rounds 9 --json
    python benchmarks/input_pipeline.py pets.zip --memory 25000
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerascnn import data
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.dataset import FileExamples
from kerascnn.data.pipeline.pipeline import training_batches

SIZE, RESIZED_SIDE, BATCH = 224, 256, 32


def ours(examples: FileExamples, epochs: int, resize: str = "bilinear") -> tf.data.Dataset:
    return training_batches(
        examples,
        classes=int(examples.labels.max()) + 1,
        size=SIZE,
        crop_fraction=SIZE / RESIZED_SIDE,
        augmentation=Augmentation(resize_range=(RESIZED_SIDE, RESIZED_SIDE), flip=True, resize=resize),
        batch_size=BATCH,
        seed=0,
        epochs=range(epochs),
    )


def of_keras(folder: Path, epochs: int, keep_aspect_ratio: bool) -> tf.data.Dataset:
    layers = keras.Sequential([keras.layers.RandomCrop(SIZE, SIZE), keras.layers.RandomFlip("horizontal")])
    loaded = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(RESIZED_SIDE, RESIZED_SIDE),
        crop_to_aspect_ratio=keep_aspect_ratio,
        batch_size=BATCH,
        seed=0,
        verbose=False,
    )
    augmented = loaded.map(
        lambda images, labels: (layers(images, training=True), labels), num_parallel_calls=tf.data.AUTOTUNE
    )
    return augmented.repeat(epochs).prefetch(tf.data.AUTOTUNE)


class Repeated:
    """An iterable that repeats another one several times."""

    def __init__(self, batches: Iterable, epochs: int):
        self.batches, self.epochs = batches, epochs

    def __iter__(self):
        return itertools.chain.from_iterable(self.batches for _ in range(self.epochs))


def of_pytorch(folder: Path, epochs: int) -> Iterable:
    import torch
    from torchvision import datasets, transforms

    view = transforms.Compose(
        [
            transforms.Resize(RESIZED_SIDE),
            transforms.RandomCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    images = datasets.ImageFolder(folder, view)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    return Repeated(loader, epochs)


def clean_copy(examples: FileExamples, class_names: tuple[str, ...], folder: Path) -> FileExamples:
    """Copies of the files that every pipeline can read, in one folder per class."""
    examples = examples.take(np.flatnonzero(examples.plain))
    paths = []
    for number, (path, label) in enumerate(zip(examples.paths, examples.labels, strict=True)):
        paths.append(folder / class_names[label] / f"{number}.jpg")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, paths[-1])
    return FileExamples(np.array([str(path) for path in paths], object), examples.plain, examples.labels)


def measure(pipelines: dict[str, Iterable], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Images per second and milliseconds of CPU time per image, of each pipeline in each round after a warm-up."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in pipelines}
    names = list(pipelines)
    for number in range(rounds + 1):
        for name in names if number % 2 == 0 else names[::-1]:
            count, batches = 0, iter(pipelines[name])
            next(batches)
            wall, cpu = time.perf_counter(), time.process_time()
            for images, _ in batches:
                count += len(images)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                results[name].append((count / wall, 1000 * cpu / count))
    return results


def resident_megabytes() -> float:
    """The process' current memory; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(examples: FileExamples, count: int) -> list[tuple[int, float]]:
    """Resident memory after every thousand of `count` images; the photographs are repeated."""
    repeated = examples.take(np.arange(count) % len(examples))
    seen, rows = 0, []
    for images, _ in ours(repeated, epochs=1):
        seen += len(images)
        if seen // 1000 > len(rows):
            rows.append((seen, resident_megabytes()))
            print(f"{seen:6d} images  {rows[-1][1]:7.1f} MiB", file=sys.stderr)
    return rows


def report(results: dict[str, list[tuple[float, float]]]) -> Table:
    table = Table("pipeline", "images/s", "kerascnn / this", "least – most", "CPU ms per image", "this / kerascnn")
    first = next(iter(results.values()))
    for name, rounds in results.items():
        ratios = [own[0] / other[0] for own, other in zip(first, rounds, strict=True)]
        costs = [other[1] / own[1] for own, other in zip(first, rounds, strict=True)]
        table.add_row(
            name,
            f"{statistics.median(speed for speed, _ in rounds):.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} – {max(ratios):.2f}",
            f"{statistics.median(cost for _, cost in rounds):.2f}",
            # Worker processes are not counted as time of this one.
            "–" if name.startswith("PyTorch") else f"{statistics.median(costs):.2f}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", help="a folder or an archive, as kerascnn train --data takes it")
    parser.add_argument("--rounds", type=int, default=7, help="timed turns of each pipeline (default: 7)")
    parser.add_argument("--epochs", type=int, default=4, help="passes over the photographs per turn (default: 4)")
    parser.add_argument(
        "--memory", type=int, metavar="COUNT", help="print the memory over an epoch of COUNT images instead"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    loaded = data.load(options.photographs)
    with tempfile.TemporaryDirectory(prefix="kerascnn-benchmark-") as folder:
        examples = clean_copy(loaded.training, loaded.class_names, Path(folder))
        if options.memory:
            rows = memory(examples, options.memory)
            settled = [megabytes for seen, megabytes in rows if seen > 2000]
            print(f"{min(settled):.0f} to {max(settled):.0f} MiB after the first 2,000 images", file=sys.stderr)
            print(json.dumps(rows) if options.json else "")
            return
        pipelines: dict[str, Iterable] = {
            "kerascnn, bilinear": ours(examples, options.epochs),
            "kerascnn, antialias": ours(examples, options.epochs, "antialias"),
            "Keras": of_keras(Path(folder), options.epochs, keep_aspect_ratio=False),
            "Keras, aspect ratio kept": of_keras(Path(folder), options.epochs, keep_aspect_ratio=True),
        }
        if importlib.util.find_spec("torchvision"):
            pipelines["PyTorch, 2 workers"] = of_pytorch(Path(folder), options.epochs)
        else:
            print("PyTorch and torchvision are not installed; they are left out.", file=sys.stderr)
        print(f"{len(examples)} photographs, {options.rounds} rounds …", file=sys.stderr)
        results = measure(pipelines, options.rounds)
    if options.json:
        print(json.dumps(results))
    else:
        Console().print(report(results))


if __name__ == "__main__":
    main()
