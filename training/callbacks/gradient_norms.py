"""Norms of gradients and weights in TensorBoard, and the distribution of each layer's weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from kerascnn.keras_internals import observe_gradients
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.callbacks.throughput import loss_scale

POINTS_PER_EPOCH = 10
MAX_LAYERS = 64  # Layers with charts; of deeper networks, layers at equal distances
SAMPLE = 2**16  # Weights per layer in a histogram, at equal distances


class GradientNormLogger(keras.callbacks.Callback):
    """Logs loss, learning rate, loss scale and gradient norm by step, and norms and weights of layers by epoch.

    Ten times per epoch the training step itself records the learning rate and the gradients' norms, summed over all
    devices and before they are clipped; at other steps it computes nothing extra. The last record of an epoch is
    written layer by layer, with histograms of the layers' weights. They are in the subfolder `train` of the run's
    `folder`; `steps_done` is the number of steps before this training.
    """

    def __init__(self, folder: Path, steps_per_epoch: int, steps_done: int = 0):
        super().__init__()
        self.folder, self.steps_per_epoch, self.steps_done = folder, steps_per_epoch, steps_done
        self.every = math.ceil(steps_per_epoch / POINTS_PER_EPOCH)

    def on_train_begin(self, logs=None):
        self._events = EventFile(self.folder / "train")
        self._variables = list(self.model.trainable_variables)
        self._recorder = _StepRecorder(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        if (self.steps_done + 1) % self.every == 0:
            self._recorder.due.assign(True)

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self.steps_done % self.every == 0:
            self._write(self._recorder.read(), float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        weights = [keras.ops.convert_to_numpy(variable).ravel() for variable in self._variables]
        norm = math.sqrt(sum(float(np.dot(values, values)) for values in weights))
        self._events.scalar("steps/weight norm", norm, self.steps_done)
        for number, layer in self._layers():
            sample = weights[number][:: math.ceil(weights[number].size / SAMPLE)]
            self._events.histogram(f"weights/{layer}", sample[np.isfinite(sample)], self.steps_done)
        self.flush()

    def on_train_end(self, logs=None):
        self.close()

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        # Otherwise the last values could be lost.
        self._events.close()

    def _layers(self) -> Iterator[tuple[int, str]]:
        """The layers with charts: the index of their kernel among the variables, and their name."""
        kernels = [number for number, variable in enumerate(self._variables) if len(variable.shape) > 1]
        for number in kernels[:: math.ceil(len(kernels) / MAX_LAYERS) or 1]:
            yield number, self._variables[number].path.removesuffix("/kernel")

    def _write(self, record: list[float], loss: float) -> None:
        values = {"loss, mean of the epoch so far": loss}
        if record:
            values |= {"learning rate": record[0], "gradient norm": math.hypot(*record[1:])}
        scale = loss_scale(self.model)
        if scale is not None:
            values["loss scale"] = scale
        for name, value in values.items():
            self._events.scalar(f"steps/{name}", value, self.steps_done)
        if record and -self.steps_done % self.steps_per_epoch < self.every:
            for number, layer in self._layers():
                self._events.scalar(f"steps of layers/gradient norm of {layer}", record[1 + number], self.steps_done)


class _StepRecorder:
    """Records learning rate and gradient norms of a model inside the steps for which `due` is set."""

    def __init__(self, model: keras.Model):
        import tensorflow as tf

        # The model is not trained yet, and nothing is frozen; weights that are frozen later have a norm of 0.
        indices = {id(variable): number for number, variable in enumerate(model.trainable_variables)}
        self.due = tf.Variable(False, trainable=False)
        self._empty = tf.fill([1 + len(indices)], math.nan)
        self._record = tf.Variable(self._empty, trainable=False)
        # With loss scaling the inner optimizer gets the unscaled gradients, and none that overflow.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)

        def record(gradients: Sequence) -> bool:
            norms = [tf.constant(0.0)] * len(indices)
            for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
                norms[indices[id(variable)]] = tf.sqrt(2 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)))
            self._record.assign(tf.stack([tf.cast(optimizer.learning_rate, tf.float32), *norms]))
            return True

        def observe(gradients: Sequence) -> None:
            # Keras leaves out the gradients of weights that the loss does not depend on.
            if len(gradients) == len(model.trainable_variables):
                first_device = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
                tf.cond(self.due & first_device, lambda: record(gradients), lambda: True)

        observe_gradients(optimizer, observe)

    def read(self) -> list[float]:
        """The learning rate and the norms of the last due step; empty if the step was skipped."""
        self.due.assign(False)
        record = self._record.numpy().tolist()
        self._record.assign(self._empty)
        return [] if math.isnan(record[0]) else record
