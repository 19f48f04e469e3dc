"""What TensorBoard shows of a run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

# Keras' names for figures, and what the field calls them.
TITLES = {"top1": "top-1 accuracy", "top5": "top-5 accuracy"}
# What names of classifiers begin with: main, aux, aux_4a.
HEADS = ("main", "aux")

GRID = 6


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's curves, its graph and a grid of augmented training pictures.

    Curves are written once an epoch, for training and validation under one tag each, so that TensorBoard lays them
    over each other; the figures of a classifier among several are grouped under its name.

    Args:
        folder: gets the subfolders `train` and `validation`.
        pictures: float32 (count, height, width, 3) in [0, 255], a batch as the network sees it; none when
            a run goes on.
    """

    def __init__(self, folder: Path, pictures: np.ndarray):
        super().__init__()
        self.folder = folder
        self.pictures = pictures

    def on_train_begin(self, logs=None):
        import tensorflow as tf

        self._writers = {
            split: tf.summary.create_file_writer(str(self.folder / split)) for split in ("train", "validation")
        }
        if not len(self.pictures):
            return
        with self._writers["train"].as_default(step=0):
            tf.summary.image("augmented training pictures", picture_grid(self.pictures)[None])
            tf.summary.graph(_graph(self.model))
        self._writers["train"].flush()

    def on_epoch_end(self, epoch, logs=None):
        import tensorflow as tf

        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            with self._writers[split].as_default(step=epoch + 1):
                tf.summary.scalar(tag(name.removeprefix("val_")), value)
        self.flush()

    def flush(self) -> None:
        """Has everything written that was shown so far."""
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Closes the event files; without it an interrupted run could lose its last figures."""
        for writer in self._writers.values():
            writer.close()


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


def picture_grid(pictures: np.ndarray) -> np.ndarray:
    """Up to 36 pictures side by side: float (count, height, width, 3) in [0, 255] to uint8 (height, width, 3)."""
    columns = min(GRID, len(pictures))
    rows = min(GRID, len(pictures) // columns)
    height, width = pictures.shape[1:3]
    tiles = pictures[: rows * columns].reshape(rows, columns, height, width, 3)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    return np.clip(np.round(grid), 0, 255).astype(np.uint8)


def _graph(model: keras.Model):
    import tensorflow as tf

    def forward(pixels):
        return model(pixels, training=False)

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    return tf.function(forward).get_concrete_function(signature).graph
