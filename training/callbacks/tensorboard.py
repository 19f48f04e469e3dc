"""A run in TensorBoard: its curves, recipe, network and training images."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from kerascnn.complexity import analyze
from kerascnn.errors import InputError
from kerascnn.image_shape import RGB
from kerascnn.training.batches import Batches
from kerascnn.training.callbacks.event_files import EventFile, flatten
from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
from kerascnn.training.callbacks.throughput import Profiler
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.recipe.recipe import Recipe

# Titles of Keras' metrics.
TITLES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "map": "mAP",
    "microf1": "micro F1",
    "macrof1": "macro F1",
}
HEADS = ("main", "aux")  # The first parts of the classifiers' names: main, aux, aux_4a

# Tags of the metrics that runs are compared by, and their names in Keras' logs.
RESULTS = {
    "result/top-1 accuracy": ("val_main_top1", "val_top1"),
    "result/top-5 accuracy": ("val_main_top5", "val_top5"),
    "result/loss": ("val_main_loss", "val_loss"),
}
MULTI_LABEL_RESULTS = {
    "result/mAP": ("val_main_map", "val_map"),
    "result/micro F1": ("val_main_microf1", "val_microf1"),
    "result/macro F1": ("val_main_macrof1", "val_macrof1"),
    "result/loss": RESULTS["result/loss"],
}

# The HParams table shows few columns at first: those that are declared to differ.
FIRST_COLUMNS = ("model", "image_size", "batch_size", "epochs", "optimizer.learning_rate")
GRID = 6  # Columns and rows of the grid of training images


def logging_callbacks(
    folder: Path, recipe: Recipe, batches: Batches, position: Position | None, profile: tuple[int, int] | None
) -> list[keras.callbacks.Callback]:
    """The callbacks that write TensorBoard's files; `ThroughputMonitor` must come before them.

    `position` is where a training is resumed, None for a new one; `profile` are the steps for `Profiler`.
    """
    steps_done = position.epochs * batches.steps + position.step if position else 0
    logging = [TensorBoard(folder, recipe, batches.images), GradientNormLogger(folder, batches.steps, steps_done)]
    return [*logging, Profiler(folder, profile)] if profile else logging


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's curves, recipe, table of layers, graph and a grid of augmented training images.

    Training and validation curves have one point per epoch and a common tag, so that TensorBoard draws them in one
    chart; curves of several classifiers are grouped by the classifier's name. The recipe's values and the newest
    metrics are one row of the HParams table. `folder` gets the subfolders `train` and `validation`.

    `images` are float32 (count, height, width, channels) in [0, 255], a batch as the network sees it; none for a
    resumed run, whose images, recipe and network are written already.
    """

    def __init__(self, folder: Path, recipe: Recipe, images: np.ndarray):
        super().__init__()
        self.folder, self.recipe, self.images = folder, recipe, images
        self.results = MULTI_LABEL_RESULTS if recipe.task == MULTI_LABEL else RESULTS

    def on_train_begin(self, logs=None):
        self._files = {split: EventFile(self.folder / split) for split in ("train", "validation", "")}
        if not len(self.images):
            return
        values = flatten({name: value for name, value in self.recipe.to_dict().items() if name != "about"})
        titles = {tag: f"validation {tag.removeprefix('result/')}" for tag in self.results}
        self._files[""].hparams(values, titles, FIRST_COLUMNS)
        train = self._files["train"]
        train.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        train.text("architecture", _layer_table(self.model))
        train.image("augmented training images", image_grid(self.images), step=0)
        train.graph(_graph(self.model))
        self.flush()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            self._files[split].scalar(tag(name.removeprefix("val_")), value, step=epoch + 1)
        for result, names in self.results.items():
            for name in [name for name in names if name in logs][:1]:
                self._files[""].scalar(result, logs[name], epoch + 1)
        self.flush()

    def on_train_end(self, logs=None):
        self._files[""].success()
        self.close()

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        # Otherwise an interrupted run could lose its last values.
        for file in self._files.values():
            file.close()


def tag(name: str) -> str:
    """TensorBoard's tag for one of Keras' metrics: "aux_4a/top-1 accuracy" for "aux_4a_top1"."""
    head, _, metric = name.rpartition("_")
    if head.partition("_")[0] not in HEADS:
        return TITLES.get(name, name)
    return f"{head}/{TITLES.get(metric, metric)}"


def image_grid(images: np.ndarray) -> np.ndarray:
    """A grid of up to 36 images: float (count, height, width, 3 or 1) in [0, 255] to uint8 (height, width, 3)."""
    columns = min(GRID, len(images))
    rows = min(GRID, len(images) // columns)
    height, width, channels = images.shape[1:]
    tiles = images[: rows * columns].reshape(rows, columns, height, width, channels)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    return np.clip(np.round(grid), 0, 255).astype(np.uint8).repeat(RGB // channels, axis=2)


def _layer_table(model: keras.Model) -> str:
    try:
        return analyze(model).to_markdown()
    except InputError as error:
        return str(error)


def _graph(model: keras.Model) -> bytes:
    import tensorflow as tf

    forward = tf.function(lambda pixels: model(pixels, training=False))
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    return forward.get_concrete_function(signature).graph.as_graph_def().SerializeToString()
