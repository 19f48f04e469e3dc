"""Small trainings on the devices that are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn.layers import BatchNormalization
from kerascnn.training import Recipe, callbacks_for, compile_for
from kerascnn.training.distillation.hints import learner, stage_recipe
from kerascnn.training.distillation.soft_targets import teacher_of
from kerascnn.training.strategy import Devices, choose_devices, prepare

BATCH, STEPS, EPOCHS, CLASSES = 16, 3, 2, 6
# Two batches, the second of 5 images: not a whole number for each of two devices.
VALIDATION = 21

# Everything that the update of the weights can have in it; clipped hard, so that it always is.
SETTINGS = [
    f"batch_size={BATCH}", f"epochs={EPOCHS}", "precision=float32", "synchronized_normalization=true",
    "optimizer.clip_norm=0.5", "optimizer.weight_decay=0.01", "averaging.decay=0.9", "auxiliary_heads.weight=0.3",
]  # fmt: skip

# The convolution waits for an epoch and then learns at half the rate.
TUNED = ["fine_tuning.head_epochs=1", "fine_tuning.layer_lr_decay=0.5"]


def network(filters: int = 8) -> keras.Model:
    """Two classifiers over a convolution with batch normalization."""
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(filters, 3, use_bias=False, name="conv1")(pixels)
    x = keras.layers.ReLU()(BatchNormalization(name="conv1_bn")(x))
    main = keras.layers.Dense(CLASSES, activation="softmax", name="fc")(keras.layers.Flatten()(x))
    side = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, {"main": main, "aux": keras.layers.Dense(CLASSES, activation="softmax")(side)})


def taught_by(file: Path) -> list[str]:
    """An epoch of hints and then soft targets, by a wider network in a file, which is written if it is not there."""
    if not file.exists():
        keras.utils.set_random_seed(9)
        network(filters=12).save(file)
    hints = ["distillation.hints={conv1_bn: conv1_bn}", "distillation.hint_epochs=1"]
    return [f"distillation.teacher={file}", *hints]


def random_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    images = generator.uniform(-1, 1, (count, 8, 8, 3)).astype("float32")
    return images, np.eye(CLASSES, dtype="float32")[generator.integers(0, CLASSES, count)]


def own_batches(devices: Devices, images: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    """This worker's part of every batch: the batches one after the other, each cut among the workers."""
    share = devices.share(BATCH)
    parts = [slice(first, first + share) for first in range(devices.worker * share, len(images), BATCH)]
    chosen = np.concatenate([np.arange(len(images))[part] for part in parts])
    return tf.data.Dataset.from_tensor_slices((images[chosen], labels[chosen])).repeat().batch(share, True)


def trained(devices: Devices, *more: str) -> tuple[keras.Model, dict[str, list[float]]]:
    """The model and its history, of Keras' own `fit`; `more` are settings of the recipe."""
    keras.utils.set_random_seed(3)
    recipe = Recipe.load("resnet20").with_settings([*SETTINGS, *more])
    with devices.scope():
        model = network()
        compile_for(model, recipe, STEPS)
        hinted = recipe.distillation.begins_with_hints
        first = [learner(model, teacher_of(model), stage_recipe(recipe), STEPS)] if hinted else []
    images, labels = random_images(BATCH * STEPS * EPOCHS, seed=0)
    own = [array[devices.worker :: devices.workers] for array in random_images(VALIDATION, seed=1)]
    validation = tf.data.Dataset.from_tensor_slices(tuple(own)).batch(devices.share(BATCH))
    for stage in first:
        batches = devices.training(own_batches(devices, images, labels), BATCH)
        stage.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    history = model.fit(
        devices.training(own_batches(devices, images, labels), BATCH),
        validation_data=devices.evaluation(validation, BATCH, VALIDATION),
        steps_per_epoch=STEPS, epochs=EPOCHS, callbacks=callbacks_for(recipe, [images[:BATCH]]),
        shuffle=False, verbose=0,
    )  # fmt: skip
    return model, history.history


def tagged(devices: Devices) -> dict[str, float]:
    """What an evaluation of a multi-label model returns for 21 images; its probabilities are their first pixels."""
    with devices.scope():
        pixels = keras.Input((8, 8, 3))
        first = keras.layers.Flatten()(pixels)[:, :CLASSES]
        dense = keras.layers.Dense(CLASSES, activation="sigmoid", kernel_initializer="identity")
        model = keras.Model(pixels, dense(first))
        compile_for(model, Recipe.load("resnet20").with_settings([*SETTINGS, "task=multi-label"]), STEPS)
    own = [array[devices.worker :: devices.workers] for array in tagged_images()]
    batches = tf.data.Dataset.from_tensor_slices(tuple(own)).batch(devices.share(BATCH))
    return model.evaluate(devices.evaluation(batches, BATCH, VALIDATION), return_dict=True, verbose=0)


def tagged_images() -> tuple[np.ndarray, np.ndarray]:
    """21 random images, and multi-hot labels that their first pixels predict somewhat."""
    images, _ = random_images(VALIDATION, seed=4)
    noise = np.random.default_rng(5).normal(0, 0.7, (VALIDATION, CLASSES))
    return images, (images.reshape(VALIDATION, -1)[:, :CLASSES] + noise > 0.3).astype("float32")


def per_device_statistics(devices: Devices) -> dict[str, list[float]]:
    """Moving statistics after one step with momentum 0.9, from a batch of 8 in the shares of the devices."""
    images = np.random.default_rng(2).normal(2, 3, (8, 4, 4, 3)).astype("float32")
    with devices.scope():
        pixels = keras.Input((4, 4, 3))
        x = keras.layers.Flatten()(BatchNormalization(momentum=0.9, name="bn")(pixels))
        model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", jit_compile=False)
        prepare(model)
    labels = np.eye(2, dtype="float32")[[0, 1] * 4]
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8, drop_remainder=True)
    model.fit(devices.training(batches, 8), steps_per_epoch=1, verbose=0, shuffle=False)
    layer = model.get_layer("bn")
    return {"mean": layer.moving_mean.numpy().tolist(), "variance": layer.moving_variance.numpy().tolist()}


def scaled_loss(devices: Devices) -> list[list[float]]:
    """Loss scale, steps done and the weights' sum after three steps; the second overflows on one of the devices."""
    with devices.scope():
        pixels = keras.Input((4,))
        model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", kernel_initializer="ones")(pixels))
        inner = keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.1)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0)
        model.compile(optimizer, "categorical_crossentropy", jit_compile=False, auto_scale_loss=False)
        optimizer.build(model.trainable_variables)
        prepare(model)
    values = np.linspace(-1, 1, 32).reshape(8, 4).astype("float32")
    overflowing = values.copy()
    overflowing[-1] = np.inf
    labels = np.eye(2, dtype="float32")[[0, 1, 1, 0, 0, 1, 1, 1]]
    found = []
    for images in (values, overflowing, values):
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8, drop_remainder=True)
        model.fit(devices.training(batches, 8), steps_per_epoch=1, verbose=0, shuffle=False)
        state = (optimizer.dynamic_scale, optimizer.iterations, keras.ops.sum(model.trainable_variables[0][:, 0]))
        found.append([float(keras.ops.convert_to_numpy(value)) for value in state])
    return found


def dropped(devices: Devices) -> list[list[float]]:
    """Which of 8 units dropout leaves, on each device."""
    with devices.scope():
        units = keras.Input((8,))
        model = keras.Model(units, keras.layers.Dropout(0.5, seed=7)(units))
        model.compile(keras.optimizers.SGD(), "mse", jit_compile=False)
        prepare(model)
    step = tf.function(lambda: devices.strategy.run(lambda: model(tf.ones((1, 8)), training=True)))
    return [result.numpy()[0].tolist() for result in devices.strategy.experimental_local_results(step())]


def main(asked: str, target: str) -> None:
    """Writes the results to weights-WORKER.npz and metrics-WORKER.json in a folder."""
    folder = Path(target)
    tf.config.experimental.enable_op_determinism()
    devices = choose_devices(asked)
    model, history = trained(devices)
    np.savez(folder / f"weights-{devices.worker}.npz", *model.get_weights())
    metrics = {"history": history, "devices": str(devices), "replicas": devices.replicas, "tagged": tagged(devices)}
    if devices.workers == 1:
        metrics |= {"statistics": per_device_statistics(devices), "scale": scaled_loss(devices)}
        metrics |= {"dropped": dropped(devices)}
        np.savez(folder / "tuned.npz", *trained(devices, *TUNED)[0].get_weights())
        taught, _ = trained(devices, *taught_by(folder / "teacher.keras"))
        np.savez(folder / "taught.npz", *taught.get_weights())
        model.save(folder / "model.keras")
    (folder / f"metrics-{devices.worker}.json").write_text(json.dumps(metrics))
