"""What makes Keras' `fit` and `evaluate` exact on several devices and on several machines.

Keras 3.15 cannot train with MultiWorkerMirroredStrategy: it averages batches to learn their shapes, and scalars along
an axis that they do not have (keras issues 20585 and 20329). With any strategy it clips each device's gradients instead
of their sum, and every device keeps moving statistics of its own, of which those of the first are saved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras


def prepare(model: keras.Model) -> None:
    """Has a compiled model train on all devices of the strategy in whose scope it was made as on one.

    Gradients are summed before they are looked at, clipped and applied. The moving statistics of batch normalization
    are the same everywhere after every step: the mean over the devices, each of which normalizes its share of the batch
    with the share's own statistics, unless the layer is `synchronized`. Dropout draws differently on every device. On
    one device nothing is changed.

    The model's class stays what it was, and so do its files. It has to be done again when the model is compiled again.

    Args:
        model: compiled, with its losses and metrics built.

    Example:
        >>> with strategy.scope():
        ...     model = ResNet20(classes=10)
        ...     compile_for(model, recipe, steps_per_epoch=100)  # prepares it
        >>> model.fit(strategy.experimental_distribute_dataset(batches), steps_per_epoch=100)
    """
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    _sum_first(model.optimizer)
    _draw_apart(model)
    _build(model)

    def make_train_function(force=False):
        if model.train_function is None or force:
            model.train_function = _function(model, _training_step(model))

    def make_test_function(force=False):
        if model.test_function is None or force:
            # What a device saw is enough on the way; at the end Keras reads the metrics' sums over all devices.
            model.test_function = _function(model, model.test_step)

    model.make_train_function, model.make_test_function = make_train_function, make_test_function
    # It is built; Keras would take a batch from the pipeline to do it.
    model._maybe_symbolic_build = lambda iterator=None, data_batch=None: None


def synchronize(model: keras.Model) -> None:
    """Has batch normalization on several devices take the statistics of the whole batch; for use before `prepare`.

    It costs an exchange between the devices at every such layer, forwards and backwards.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _build(model: keras.Model) -> None:
    """Makes the metrics' variables, which cannot be made within a step."""

    def one(tensor):
        return keras.KerasTensor((1, *tensor.shape[1:]), tensor.dtype)

    images, outputs = keras.tree.map_structure(one, model.input), keras.tree.map_structure(one, model.output)
    with model.distribute_strategy.scope():
        model._symbolic_build(data_batch=(images, outputs))


def _training_step(model: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """Keras' step, then the means over all devices of what it left behind: statistics and figures, in one exchange."""
    import tensorflow as tf

    # Those of frozen layers do not change, but for the rounding of a mean.
    statistics = [
        variable
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized and layer.trainable
        for variable in (layer.moving_mean, layer.moving_variance)
    ]

    def step(data):
        figures = model.train_step(data)
        # Shares are equal, so the mean of the devices' means is the mean. A copy lies on the device itself.
        mine = [tf.identity(tf.convert_to_tensor(value)) for value in (*statistics, *figures.values())]
        means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, mine)
        for variable, mean in zip(statistics, means, strict=False):
            variable.assign(mean)
        return dict(zip(figures, means[len(statistics) :], strict=True))

    return step


def _function(model: keras.Model, step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """What Keras' `fit` calls with an iterator for every step."""
    import tensorflow as tf

    strategy = model.distribute_strategy

    def on_batch(data):
        figures = strategy.run(step, args=(data,))
        return {name: strategy.experimental_local_results(value)[0] for name, value in figures.items()}

    def on_next(iterator):
        return on_batch(iterator.get_next())

    if not model.run_eagerly:
        on_batch, on_next = (
            tf.function(function, reduce_retracing=True, autograph=False) for function in (on_batch, on_next)
        )

    def function(iterator):
        for _ in range(model.steps_per_execution):
            distributed = isinstance(iterator, tf.data.Iterator | tf.distribute.DistributedIterator)
            figures = on_next(iterator) if distributed else on_batch(next(iterator))
        return figures

    return function


def _sum_first(optimizer: keras.Optimizer) -> None:
    """Has the optimizer see the sum of all devices' gradients, which Keras takes after clipping and the loss scale."""
    import tensorflow as tf

    apply = optimizer.apply

    def apply_sum(grads, trainable_variables=None):
        present = [gradient for gradient in grads if gradient is not None]
        sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
        apply([None if gradient is None else next(sums) for gradient in grads], trainable_variables)

    optimizer.apply = apply_sum
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables


def _draw_apart(model: keras.Model) -> None:
    """Adds the number of the device to every seed that is drawn; the state of the seeds stays common to all."""
    import tensorflow as tf

    def apart(plain: Callable) -> Callable:
        def drawn(ordered=True):
            seed = plain(ordered)
            context = tf.distribute.get_replica_context()
            number = context.replica_id_in_sync_group if context else 0
            return seed + tf.cast(tf.stack([number, 0]), seed.dtype)

        return drawn

    for layer in model._flatten_layers():
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            # Not the one in place, which may be drawn apart already.
            generator.next = apart(functools.partial(type(generator).next, generator))
