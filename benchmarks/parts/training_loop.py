"""Training ResNet-50 on photographs from file to update, beside the loop of Keras' guides.

Ours is `kerascnn.training.train` with its pipeline and callbacks. Keras' is image_dataset_from_directory, RandomCrop
and RandomFlip mapped over it, Rescaling and keras.applications.ResNet50, `compile` and `fit`. A round is a training of
two epochs, of which the second is measured without its validation.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import clean_copy, data_set_of, temporary_folder

SIZE, SHORTER_SIDE = 224, 256


def rows(options: Options) -> Iterator[Row]:
    """One row, which takes long."""
    common = {"source": str(options.photographs), "images": options.images or 160}
    common |= {"batch": (options.batches or [16])[0], "size": options.image_size or SIZE}
    contestants = [Contestant("kerascnn", ours, common)]
    for policy in options.policies or ("mixed_bfloat16", "float32"):
        for how, jit_compile in (("as it is", "auto"), ("no XLA", False)):
            arguments = common | {"policy": policy, "jit_compile": jit_compile}
            contestants.append(Contestant(f"Keras' guides, {policy}, {how}", of_keras, arguments, (), 1.8))
    yield Row("resnet50, photographs to updates", "images/s", tuple(contestants), rounds=2)


def ours(source: str, images: int, batch: int, size: int) -> Measure:
    import keras

    from kerascnn.training import Recipe, train

    photographs = data_set_of(clean_copy(source, images))
    recipe = Recipe.load("resnet50").with_values(epochs=2, batch_size=batch, image_size=size)

    def measure() -> float:
        history = keras.callbacks.History()
        train(recipe, photographs, runs=temporary_folder(), callbacks=[history], verbose=0)
        return history.history["images_per_second"][1]

    return measure


def of_keras(source: str, images: int, batch: int, size: int, policy: str, jit_compile: str | bool) -> Measure:
    import keras
    import tensorflow as tf

    from kerascnn.training.callbacks.throughput import ThroughputMonitor

    keras.config.set_dtype_policy(policy)
    views = keras.Sequential([keras.layers.RandomCrop(size, size), keras.layers.RandomFlip("horizontal")])
    loaded = keras.utils.image_dataset_from_directory(
        clean_copy(source, images) / "training",
        label_mode="categorical",
        image_size=(SHORTER_SIDE, SHORTER_SIDE),
        batch_size=batch,
        verbose=False,
    )
    augmented = loaded.map(lambda images, labels: (views(images, training=True), labels), tf.data.AUTOTUNE)
    inputs = keras.Input((size, size, 3))
    classes = len(loaded.class_names)
    network = keras.applications.ResNet50(weights=None, input_shape=(size, size, 3), classes=classes)
    model = keras.Model(inputs, network(keras.layers.Rescaling(1 / 255)(inputs)))
    optimizer = keras.optimizers.SGD(0.1 * batch / 256, momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)

    def measure() -> float:
        monitor = [ThroughputMonitor(batch)]
        history = model.fit(augmented.prefetch(tf.data.AUTOTUNE), epochs=2, callbacks=monitor, verbose=0)
        return len(loaded.file_paths) / history.history["seconds"][1]

    return measure


PART = Part(
    "ResNet-50 from photographs to updates beside the loop of Keras' guides",
    ("photographs", "images", "batches", "image_size", "policies"),
    rows,
    needs="photographs",
)
