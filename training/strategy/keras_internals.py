"""Every private name of Keras and TensorFlow that distribution and callbacks use, in one place.

Private names may change in any release; `TESTED_VERSIONS` lists the releases that this module was seen to work with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

TESTED_VERSIONS = {"keras": ("3.15.1",), "tensorflow": ("2.21.0",)}


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers of a model, nested ones included."""
    return list(model._flatten_layers())


def batch_normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """All batch normalization layers of a model, nested ones included."""
    import keras

    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def build_losses_and_metrics(model: keras.Model, batch: tuple[Any, Any]) -> None:
    """Creates the variables of losses and metrics from symbolic images and labels, and never from a batch again."""
    model._symbolic_build(data_batch=batch)
    model._maybe_symbolic_build = lambda iterator=None, data_batch=None: None


def skip_gradient_sum(optimizer: keras.Optimizer) -> None:
    """Stops the optimizer from summing gradients over devices, because they are summed already."""
    optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables


def observe_gradients(optimizer: keras.Optimizer, observe: Callable[[Sequence[Any]], None]) -> None:
    """Calls `observe` in every step with the gradients, summed and unscaled, before they are clipped."""
    clip = optimizer._clip_gradients

    def observe_and_clip(gradients):
        observe(gradients)
        return clip(gradients)

    # Every gradient passes here, whether it is clipped or not.
    optimizer._clip_gradients = observe_and_clip


def weights_and_averages(optimizer: keras.Optimizer) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """The trainable weights of an optimizer with `use_ema`, and their moving averages."""
    return optimizer._trainable_variables, optimizer._model_variables_moving_average


def set_cardinality(batches: tf.distribute.DistributedDataset, steps: int) -> None:
    """Sets the number of batches, which Keras reads and TensorFlow does not know."""
    batches._cardinality = steps


def slurm_tasks(resolver: tf.distribute.cluster_resolver.SlurmClusterResolver) -> tuple[dict[str, int], int]:
    """The number of tasks per host in Slurm's order, and the rank of this process.

    The public `cluster_spec()` sorts hosts as texts, node10 before node9, which Slurm does not.
    """
    return resolver._task_configuration, resolver._rank
