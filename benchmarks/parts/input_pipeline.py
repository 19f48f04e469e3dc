"""From JPEG files to batches of random crops, beside Keras' and PyTorch's pipelines, on your photographs.

All return 224 x 224 float32 crops, cut at random from the image with its shorter side resized to 256 pixels; half of
them are flipped. A round is one or more epochs, and its clock starts at the first batch. Keras is
image_dataset_from_directory with RandomCrop and RandomFlip, PyTorch a DataLoader with two workers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import clean_copy, data_set_of

SIZE, RESIZED_SIDE = 224, 256


def rows(options: Options) -> Iterator[Row]:
    """One row: images a second."""
    common = {"source": str(options.photographs), "images": options.images, "batch": (options.batches or [32])[0]}
    contestants = (
        Contestant("kerascnn", ours, common),
        Contestant("image_dataset_from_directory", of_keras, common, (), 2.0),
        Contestant("DataLoader, 2 workers", of_torch, common, ("torch", "torchvision"), 2.5),
    )
    yield Row("photographs to batches", "images/s", contestants)


def ours(source: str, images: int | None, batch: int) -> Measure:
    from kerascnn.data import Augmentation
    from kerascnn.data.pipeline.pipeline import training_batches

    photographs = data_set_of(clean_copy(source, images))
    batches = training_batches(
        photographs.training,
        classes=len(photographs.class_names),
        size=SIZE,
        crop_fraction=SIZE / RESIZED_SIDE,
        augmentation=Augmentation(resize_range=(RESIZED_SIDE, RESIZED_SIDE), flip=True),
        batch_size=batch,
        seed=0,
        epochs=range(4),
    )
    return _speed(batches)


def of_keras(source: str, images: int | None, batch: int) -> Measure:
    import keras
    import tensorflow as tf

    folder = clean_copy(source, images) / "training"
    layers = keras.Sequential([keras.layers.RandomCrop(SIZE, SIZE), keras.layers.RandomFlip("horizontal")])
    loaded = keras.utils.image_dataset_from_directory(
        folder, label_mode="categorical", image_size=(RESIZED_SIDE, RESIZED_SIDE), batch_size=batch, verbose=False
    )
    batches = loaded.map(lambda views, labels: (layers(views, training=True), labels), tf.data.AUTOTUNE)
    return _speed(batches.repeat(4).prefetch(tf.data.AUTOTUNE))


def of_torch(source: str, images: int | None, batch: int) -> Measure:
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
    folder = datasets.ImageFolder(clean_copy(source, images) / "training", view)
    repeated = torch.utils.data.ConcatDataset([folder] * 4)
    loader = torch.utils.data.DataLoader(repeated, batch, shuffle=True, num_workers=2, persistent_workers=True)
    return _speed(loader)


def _speed(batches: Iterable) -> Measure:
    """Images a second after the first batch; one pass is not measured."""

    def measure() -> float:
        count, iterator = 0, iter(batches)
        next(iterator)
        start = time.perf_counter()
        for images, _ in iterator:
            count += len(images)
        return count / (time.perf_counter() - start)

    measure()
    return measure


PART = Part(
    "from photographs to batches, beside image_dataset_from_directory and a DataLoader",
    ("photographs", "images", "batches"),
    rows,
    needs="photographs",
)
