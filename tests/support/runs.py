"""Trainings that are stopped, and two runs, compared."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np

from kerascnn.training import RunFolder

# Figures of time, and of the machine.
OF_THE_MACHINE = ("seconds", "images_per_second", "waiting_share", "memory_gigabytes")


class StopAfter(keras.callbacks.Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps -= 1
        if self.steps == 0:
            raise KeyboardInterrupt


def curves(folder: RunFolder) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Every point of every curve in a run's event files, by TensorBoard's run and tag, but for the machine's."""
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for file in sorted(folder.path.rglob("*tfevents*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                if array.ndim == 0 and array.dtype.kind == "f" and value.tag.split("/")[-1] not in OF_THE_MACHINE:
                    name = (file.parent.relative_to(folder.path).as_posix(), value.tag)
                    found.setdefault(name, []).append((event.step, float(array)))
    return {name: sorted(points) for name, points in found.items()}


def rows(folder: RunFolder) -> list[dict[str, float]]:
    """A run's history but for the machine's figures."""
    found = [{name: row[name] for name in row if name not in OF_THE_MACHINE} for row in folder.history()]
    assert all(math.isfinite(value) for row in found for value in row.values())
    return found


def newest(folder: RunFolder) -> Path:
    """A run's newest state."""
    return sorted(folder.checkpoints.glob("epoch-*.npz"))[-1]


def assert_same(folder: RunFolder, other: RunFolder) -> None:
    """Whether two runs ended the same: weights to the bit, figures, and every point of TensorBoard's curves once."""
    with np.load(newest(folder)) as ours, np.load(newest(other)) as theirs:
        names = [name for name in ours.files if name != "progress"]
        assert len(names) > 20
        for name in names:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert rows(folder) == rows(other)
    assert curves(folder) == curves(other)
    assert len(curves(folder)) > 5


def assert_same_weights(model, other) -> None:
    """Whether two networks have the same weights to the bit."""
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
