"""Gradients and weights in TensorBoard: their norms, and their distribution layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.callbacks.throughput import loss_scale

POINTS_PER_EPOCH = 10

# More charts than these nobody opens; of deeper networks they are of layers at equal distances.
MOST_LAYERS = 64

# Values of a layer that its histogram is made from, at equal distances.
SAMPLE = 2**16


class GradientNormLogger(keras.callbacks.Callback):
    """Writes curves by step: loss, learning rate, loss scale and the norm of all gradients; and of layers, by epoch.

    Ten times an epoch, the training step itself notes its learning rate and the gradients' norms, summed over all
    devices and before they are clipped; at other steps it computes nothing more than without this callback. The last
    ones of an epoch are written layer by layer; after it, histograms of the layers' weights are.

    Args:
        folder: TensorBoard's; gets the subfolder `steps`.
        steps_per_epoch: the steps of a whole epoch.
        steps_done: how many steps of all are behind the training.
    """

    def __init__(self, folder: Path, steps_per_epoch: int, steps_done: int = 0):
        super().__init__()
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self.every = -(-steps_per_epoch // POINTS_PER_EPOCH)
        self.steps_done = steps_done

    def on_train_begin(self, logs=None):
        self._events = EventFile(self.folder / "steps")
        self._variables = list(self.model.trainable_variables)
        self._note = _Note(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        if (self.steps_done + 1) % self.every == 0:
            self._note.ask()

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self.steps_done % self.every == 0:
            self._write(self._note.read(), float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        squares = 0.0
        for variable in self._variables:
            values = keras.ops.convert_to_numpy(variable).ravel()
            squares += float(np.dot(values, values))
        self._events.scalar("training step/weight norm", squares**0.5, self.steps_done)
        for number, layer in self._layers():
            values = keras.ops.convert_to_numpy(self._variables[number]).ravel()
            sample = values[:: -(-values.size // SAMPLE)]
            self._events.histogram(f"weights/{layer}", sample[np.isfinite(sample)], self.steps_done)
        self.flush()

    def on_train_end(self, logs=None):
        self.close()

    def flush(self) -> None:
        """Brings to the disk what was shown so far."""
        self._events.flush()

    def close(self) -> None:
        """Ends the event file; without it the last figures could be lost."""
        self._events.close()

    def _layers(self) -> Iterator[tuple[int, str]]:
        """The layers that have charts: the number of their kernel among the variables, and their name."""
        kernels = [number for number, variable in enumerate(self._variables) if len(variable.shape) > 1]
        for number in kernels[:: -(-len(kernels) // MOST_LAYERS)]:
            yield number, self._variables[number].path.removesuffix("/kernel")

    def _write(self, noted: list[float], loss: float) -> None:
        figures = {"loss, mean of the epoch so far": loss}
        if noted:
            figures |= {"learning rate": noted[0], "gradient norm": math.hypot(*noted[1:])}
        scale = loss_scale(self.model)
        if scale is not None:
            figures["loss scale"] = scale
        for name, value in figures.items():
            self._events.scalar(f"training step/{name}", value, self.steps_done)
        if noted and -self.steps_done % self.steps_per_epoch < self.every:
            for number, layer in self._layers():
                self._events.scalar(f"weight gradient norms/{layer}", noted[1 + number], self.steps_done)


class _Note:
    """Has a model's optimizer note its learning rate and the norms of its gradients in the steps that are due.

    What is noted is in variables that belong to nobody's checkpoint. Weights that are frozen later have a norm of 0.

    Args:
        model: compiled, not trained yet by this process, and with nothing frozen.
    """

    def __init__(self, model: keras.Model):
        import tensorflow as tf

        places = {id(variable): number for number, variable in enumerate(model.trainable_variables)}
        count = len(places)
        self._due = tf.Variable(False, trainable=False)
        self._empty = tf.fill([1 + count], math.nan)
        self._noted = tf.Variable(self._empty, trainable=False)
        # Of a loss that is scaled, the inner optimizer gets the gradients as they are, and none that overflow.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        clip = optimizer._clip_gradients

        def note(gradients, variables):
            norms = [tf.constant(0.0)] * count
            for gradient, variable in zip(gradients, variables, strict=True):
                norms[places[id(variable)]] = tf.sqrt(2 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)))
            self._noted.assign(tf.stack([tf.cast(optimizer.learning_rate, tf.float32), *norms]))
            return True

        def noting(grads):
            variables = model.trainable_variables
            # Keras has left out those that do not exist, of weights that the loss does not depend on.
            if len(grads) == len(variables):
                first_device = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
                tf.cond(self._due & first_device, lambda: note(grads, variables), lambda: True)
            return clip(grads)

        # Every gradient passes here, summed and unscaled, whether it is clipped or not.
        optimizer._clip_gradients = noting

    def ask(self) -> None:
        """The next step is due."""
        self._due.assign(True)

    def read(self) -> list[float]:
        """The rate and the norms of the step that was due; nothing where it moved no weight."""
        self._due.assign(False)
        noted = self._noted.numpy().tolist()
        self._noted.assign(self._empty)
        return [] if math.isnan(noted[0]) else noted
