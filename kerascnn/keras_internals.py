"""Every private name of Keras and TensorFlow that the package uses, in one place.

Private names may change in any release; `TESTED_VERSIONS` lists the releases that this module was seen to work with.
Two private methods that Keras calls are overridden elsewhere, in the optimizers of `training/optimizers.py`.

Importing it imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

TESTED_VERSIONS = {"keras": ("3.15.1",), "tensorflow": ("2.21.0",)}


def producing_node(tensor: keras.KerasTensor) -> Any:
    """The call of a layer that returned the tensor: a node with `operation`, `input_tensors`, `parent_nodes`.

    Keras has no public way from a symbolic tensor to its layer and that layer's inputs.
    """
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def nodes_in_order(model: keras.Model) -> list[Any]:
    """The nodes of a functional model, each after its inputs.

    The public `layers` has every layer once, without its calls and their inputs.
    """
    by_depth = model._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers of a model, nested ones included; the public `layers` stops at nested models."""
    return list(model._flatten_layers())


def batch_normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """All batch normalization layers of a model, nested ones included."""
    import keras

    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def compiled_loss(model: keras.Model) -> Any:
    """The losses of a compiled model with their running means; the public `loss` is what `compile` was given."""
    return model._compile_loss


def cached_logits(probabilities: Any) -> Any:
    """The logits that Keras' softmax or sigmoid made these probabilities of; None if another function made them.

    Keras' cross-entropies compute with them. There is no public way to a classifier's logits.
    """
    try:
        return probabilities._keras_logits
    except AttributeError:
        return None


def build_losses_and_metrics(model: keras.Model, batch: tuple[Any, Any]) -> None:
    """Creates the variables of losses and metrics from symbolic images and labels, and never from a batch again.

    Publicly only `fit` and `evaluate` create them, from a batch that they take from the pipeline.
    """
    model._symbolic_build(data_batch=batch)
    model._maybe_symbolic_build = lambda iterator=None, data_batch=None: None


def skip_gradient_sum(optimizer: keras.Optimizer) -> None:
    """Stops the optimizer from summing gradients over devices, because they are summed already.

    The public `apply` always sums them.
    """
    optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables


def observe_gradients(optimizer: keras.Optimizer, observe: Callable[[Sequence[Any]], None]) -> None:
    """Calls `observe` in every step with the gradients, summed and unscaled, before they are clipped.

    The public `apply` gets them before they are summed.
    """
    clip = optimizer._clip_gradients

    def observe_and_clip(gradients):
        observe(gradients)
        return clip(gradients)

    # Every gradient passes here, whether it is clipped or not.
    optimizer._clip_gradients = observe_and_clip


def optimized_weights(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """The weights that the optimizer was built for; the public `variables` are its own."""
    return optimizer._trainable_variables


def weight_averages(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Moving averages, in the order of `optimized_weights`; `variables` has them among others. Needs `use_ema`."""
    return optimizer._model_variables_moving_average


def weight_index(optimizer: keras.Optimizer, weight: keras.Variable) -> int:
    """The index in `optimized_weights`; Keras' own optimizers look up their state by this method."""
    return optimizer._get_variable_index(weight)


def optimizer_state(optimizer: keras.Optimizer, weight: tf.Variable, *names: str) -> list[tf.Tensor]:
    """The handles of a weight's own variables in the optimizer's lists of these names.

    Of Adam and RMSprop these are private; the public `variables` has those of all weights in one list.
    """
    return [getattr(optimizer, name)[weight_index(optimizer, weight)].value.handle for name in names]


def is_decayed(optimizer: keras.Optimizer, weight: keras.Variable) -> bool:
    """Whether `exclude_from_weight_decay` left the weight in, which has no public way to be read."""
    return optimizer._use_weight_decay(weight)


def set_cardinality(batches: tf.distribute.DistributedDataset, steps: int) -> None:
    """Sets the number of batches, which Keras reads and TensorFlow does not know; the public name is read-only."""
    batches._cardinality = steps


def slurm_tasks(resolver: tf.distribute.cluster_resolver.SlurmClusterResolver) -> tuple[dict[str, int], int]:
    """The number of tasks per host in Slurm's order, and the rank of this process.

    The public `cluster_spec()` sorts hosts as texts, node10 before node9, which Slurm does not.
    """
    return resolver._task_configuration, resolver._rank


def converter_of(saved_model: str) -> tf.lite.TFLiteConverter:
    """A converter of a SavedModel with one signature, for `converted`.

    The public `from_saved_model` loads it first, only to find its signatures.
    """
    from tensorflow.lite.python.lite import TFLiteSavedModelConverterV2

    return TFLiteSavedModelConverterV2(saved_model, {"serve"}, ["serving_default"])


def converted(converter: tf.lite.TFLiteConverter) -> bytes:
    """What the converter's `convert` returns, without a note of TensorFlow's version.

    The public method first loads the SavedModel and collects garbage, only for messages about operations that it cannot
    convert; that takes longer than the conversion.
    """
    graph, _, _ = converter._load_saved_model(converter.saved_model_dir, {"serve"})
    return converter._convert_from_saved_model(graph)


def calibrated(converter: tf.lite.TFLiteConverter) -> bytes:
    """The converter's network with the range of every tensor, not yet quantized; publicly both is one step."""
    converter._experimental_calibrate_only = True
    return converted(converter)


def quantized(calibrated_network: bytes, **options: Any) -> bytes:
    """Quantizes what `calibrated` returned.

    The public converter leaves no layers in float32, and TensorFlow's QuantizationDebugger, which calls this function
    too, cannot set the types of input and output.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    return mlir_quantize(calibrated_network, **options)


def with_gradient(function: Callable[..., tf.Tensor], gradient: Callable[..., Any], *inputs: tf.Tensor) -> tf.Tensor:
    """`function(*inputs)`, with the gradients `gradient(*inputs, upstream)` where gradients are asked for.

    The public `tf.custom_gradient` adds an operation after the function's, which TensorFlow then does not fuse with
    those that follow.
    """
    from tensorflow.python.eager import record

    with record.stop_recording():
        outputs = function(*inputs)
    record.record_operation("Function", [outputs], inputs, lambda upstream: gradient(*inputs, upstream))
    return outputs
