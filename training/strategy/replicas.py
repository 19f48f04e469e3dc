"""Exact training and evaluation with Keras' `fit` and `evaluate` on several devices and machines.

Keras 3.15 cannot train with MultiWorkerMirroredStrategy: it averages batches to learn their shapes, and scalars along
an axis that they do not have (keras issues 20585 and 20329). With every strategy it clips each device's gradients
instead of their sum, and every device has its own moving statistics, of which only the first device's are saved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerascnn.keras_internals import (
    all_layers,
    batch_normalizations,
    build_losses_and_metrics,
    skip_gradient_sum,
)

if TYPE_CHECKING:
    import keras


def prepare(model: keras.Model) -> None:
    """Changes a compiled model so that it trains on all devices of its strategy as on one.

    Gradients are summed before they are checked, clipped and applied. Moving statistics of batch normalization are
    averaged over the devices after every step; each device normalizes its share of the batch with the share's own
    statistics, unless the layer is `synchronized`. Dropout differs between devices. On one device nothing changes.

    The model is compiled in the scope of its strategy. Its class and its files stay the same. Call it again after every
    `compile`.
    """
    import keras

    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    _sum_gradients_first(model.optimizer)
    _vary_seeds(model)
    # A step cannot create the metrics' variables, and Keras would take a batch from the pipeline to create them.
    images, outputs = keras.tree.map_structure(
        lambda tensor: keras.KerasTensor((1, *tensor.shape[1:]), tensor.dtype), (model.input, model.output)
    )
    with strategy.scope():
        build_losses_and_metrics(model, (images, outputs))

    def make_train_function(force=False):
        if model.train_function is None or force:
            model.train_function = _distributed_function(model, _train_step(model))

    def make_test_function(force=False):
        if model.test_function is None or force:
            # One device's values are enough during the evaluation; at its end Keras sums the metrics over all devices.
            model.test_function = _distributed_function(model, model.test_step)

    model.make_train_function, model.make_test_function = make_train_function, make_test_function


def synchronize(model: keras.Model) -> None:
    """Makes batch normalization use the statistics of the whole batch over all devices; call it before `prepare`.

    It adds an exchange between the devices at every such layer, in the forward and the backward pass.
    """
    if model.distribute_strategy.num_replicas_in_sync > 1:
        for layer in batch_normalizations(model):
            layer.synchronized = True


def _train_step(model: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """Keras' training step, and one exchange that averages moving statistics and metrics over all devices."""
    import tensorflow as tf

    # Statistics of frozen layers do not change, except for rounding when they are averaged.
    statistics = [
        variable
        for layer in batch_normalizations(model)
        if not layer.synchronized and layer.trainable
        for variable in (layer.moving_mean, layer.moving_variance)
    ]

    def step(data):
        logs = model.train_step(data)
        # Shares are equal, so the mean over devices is the mean over images. The copies are on the device itself.
        values = [tf.identity(tf.convert_to_tensor(value)) for value in (*statistics, *logs.values())]
        means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
        for variable, mean in zip(statistics, means, strict=False):
            variable.assign(mean)
        return dict(zip(logs, means[len(statistics) :], strict=True))

    return step


def _distributed_function(model: keras.Model, step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """The function that `fit` or `evaluate` calls with an iterator at every step."""
    import tensorflow as tf

    strategy = model.distribute_strategy

    def on_batch(data):
        logs = strategy.run(step, args=(data,))
        return {name: gathered(value) for name, value in logs.items()}

    def gathered(value):
        """One device's metric, which has no axes; the rows of all devices of what has one row per image."""
        first = strategy.experimental_local_results(value)[0]
        return first if first.shape.rank == 0 else strategy.gather(value, axis=0)

    def on_next(iterator):
        return on_batch(iterator.get_next())

    if not model.run_eagerly:
        on_batch, on_next = (
            tf.function(function, reduce_retracing=True, autograph=False) for function in (on_batch, on_next)
        )

    def function(iterator):
        for _ in range(model.steps_per_execution):
            distributed = isinstance(iterator, tf.data.Iterator | tf.distribute.DistributedIterator)
            logs = on_next(iterator) if distributed else on_batch(next(iterator))
        return logs

    return function


def _sum_gradients_first(optimizer: keras.Optimizer) -> None:
    """Sums gradients over devices before clipping and loss scaling, and not after them as Keras does."""
    import tensorflow as tf

    apply = optimizer.apply

    def apply_sum(grads, trainable_variables=None):
        present = [gradient for gradient in grads if gradient is not None]
        sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
        apply([None if gradient is None else next(sums) for gradient in grads], trainable_variables)

    optimizer.apply = apply_sum
    skip_gradient_sum(getattr(optimizer, "inner_optimizer", optimizer))


def _vary_seeds(model: keras.Model) -> None:
    """Adds the number of the device to every seed that is drawn; the state of the seed generators stays common."""
    import tensorflow as tf

    def vary(next_seed: Callable) -> Callable:
        def varied(ordered=True):
            seed = next_seed(ordered)
            context = tf.distribute.get_replica_context()
            device = context.replica_id_in_sync_group if context else 0
            return seed + tf.cast(tf.stack([device, 0]), seed.dtype)

        return varied

    for layer in all_layers(model):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            # The class' method, because the instance's may be varied already.
            generator.next = vary(functools.partial(type(generator).next, generator))
