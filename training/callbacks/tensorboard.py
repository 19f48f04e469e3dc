"""What TensorBoard shows of a run: its curves, its recipe, its network and what it is fed."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from kerascnn.complexity import analyze
from kerascnn.errors import InputError
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.callbacks.hparams import begin_trial, end_trial, show_result
from kerascnn.training.recipe.recipe import Recipe

# Keras' names for figures, and what the field calls them.
TITLES = {"top1": "top-1 accuracy", "top5": "top-5 accuracy"}
# What names of classifiers begin with: main, aux, aux_4a.
HEADS = ("main", "aux")

GRID = 6


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's curves, recipe, table of layers, graph and a grid of augmented training images.

    Curves are written once an epoch, for training and validation under one tag each, so that TensorBoard lays them
    over each other; the figures of a classifier among several are grouped under its name. The recipe's values and
    the newest epoch's figures make a row of TensorBoard's HParams table.

    Args:
        folder: gets the subfolders `train` and `validation`, and the file of the HParams table.
        recipe: with every value resolved.
        images: float32 (count, height, width, 3) in [0, 255], a batch as the network sees it; none where a run goes
            on, which has shown them, its recipe and its network before.
    """

    def __init__(self, folder: Path, recipe: Recipe, images: np.ndarray):
        super().__init__()
        self.folder = folder
        self.recipe = recipe
        self.images = images

    def on_train_begin(self, logs=None):
        self._files = {split: EventFile(self.folder / split) for split in ("train", "validation")}
        self._trial = EventFile(self.folder)
        if not len(self.images):
            return
        begin_trial(self._trial, self.recipe)
        train = self._files["train"]
        train.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        train.text("architecture", _table(self.model))
        train.image("augmented training images", image_grid(self.images), step=0)
        train.graph(_graph(self.model))
        self.flush()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            self._files[split].scalar(tag(name.removeprefix("val_")), value, step=epoch + 1)
        show_result(self._trial, logs, epoch + 1)
        self.flush()

    def on_train_end(self, logs=None):
        end_trial(self._trial)
        self.close()

    def flush(self) -> None:
        """Brings to the disk what was shown so far."""
        for file in (*self._files.values(), self._trial):
            file.flush()

    def close(self) -> None:
        """Closes the event files; without it an interrupted run could lose its last figures."""
        for file in (*self._files.values(), self._trial):
            file.close()


def tag(name: str) -> str:
    """TensorBoard's tag for one of Keras' figures.

    Example:
        >>> tag("aux_4a_top1")
        'aux_4a/top-1 accuracy'
    """
    head, _, figure = name.rpartition("_")
    if head.partition("_")[0] not in HEADS:
        return TITLES.get(name, name)
    return f"{head}/{TITLES.get(figure, figure)}"


def image_grid(images: np.ndarray) -> np.ndarray:
    """Up to 36 images side by side: float (count, height, width, 3) in [0, 255] to uint8 (height, width, 3)."""
    columns = min(GRID, len(images))
    rows = min(GRID, len(images) // columns)
    height, width = images.shape[1:3]
    tiles = images[: rows * columns].reshape(rows, columns, height, width, 3)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    return np.clip(np.round(grid), 0, 255).astype(np.uint8)


def _table(model: keras.Model) -> str:
    """What `kerascnn describe` says of the model; of models of one's own it may not know every layer."""
    try:
        return analyze(model).to_markdown()
    except InputError as error:
        return str(error)


def _graph(model: keras.Model) -> bytes:
    import tensorflow as tf

    def forward(pixels):
        return model(pixels, training=False)

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    return tf.function(forward).get_concrete_function(signature).graph.as_graph_def().SerializeToString()
