"""Builds and compiles the model that a recipe describes, ready for `fit`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.cutting import cut
from kerascnn.applications.deep import functional
from kerascnn.applications.network import dtype_policy_scope
from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.keras_internals import all_layers, compiled_loss, producing_node
from kerascnn.layers import ClassLabels, Preprocessing, product_gradient
from kerascnn.training.callbacks.weight_averaging import AveragedWeights
from kerascnn.training.companion_losses import companion_losses
from kerascnn.training.distillation.soft_targets import MAIN, teach
from kerascnn.training.fine_tuning.gradual_unfreezing import GradualUnfreezing, lr_multipliers, plan
from kerascnn.training.fine_tuning.pretrained import FROM_WEIGHTS, Pretrained, resolve_pretrained
from kerascnn.training.fine_tuning.probe import ProbeResult, linear_probe
from kerascnn.training.losses import IntegerCrossentropy
from kerascnn.training.multi_label import (
    MULTI_LABEL,
    THRESHOLD,
    LabelCrossentropy,
    f1_metrics,
    measure_map,
    start_with_shares,
)
from kerascnn.training.optimizers import bound_filters, optimizer_for, with_factors
from kerascnn.training.pixel_statistics import fit_whitening, mean_image
from kerascnn.training.recipe.fields import BEST, WHOLE
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.schedules import EarlyStopping, Plateau
from kerascnn.training.strategy import choose_xla, prepare, synchronize

Labels = Literal["one-hot", "integer"]


def assemble(
    recipe: Recipe, data: DataSet, network: keras.Model | None = None, pretrained: Pretrained | None = None
) -> keras.Model:
    """Builds the recipe's network between a preprocessing layer and the class names, with its initial weights.

    The model takes pixels in [0, 255]. The recipe's image size must be resolved; `network` replaces its network;
    `pretrained` is that of `resolve_pretrained(recipe)`, or None to resolve it here. Raises InputError if the network
    does not fit the image size, an argument, the number of classes or the pretrained weights.
    """
    pretrained = pretrained or resolve_pretrained(recipe)
    model = _cut(_whole(recipe, data, network, pretrained), recipe.fine_tuning.cut)
    if recipe.task == MULTI_LABEL and network is None and recipe.class_weights == "none":
        start_with_shares(model, data.counts(data.training) / len(data.training))
    if pretrained:
        # Checks `fine_tuning.frozen` before anything is written.
        plan(model, recipe.fine_tuning)
        if recipe.fine_tuning.probe:
            if isinstance(model.output, dict):
                raise InputError(
                    "a probe fits the main classifier only; set auxiliary_heads.use=false, or fine_tuning.probe=false."
                )
            probe_of(recipe, data, pretrained).install(model)
    return model


def probe_of(recipe: Recipe, data: DataSet, pretrained: Pretrained) -> ProbeResult:
    """The linear probe of a recipe with everything but the cut resolved; computed once and then read from the cache.

    The network is built if its features are not in the cache. InputError as for `linear_probe`.
    """

    def whole() -> keras.Model:
        with dtype_policy_scope(recipe.precision):
            return _whole(recipe, data, None, pretrained)

    return linear_probe(recipe, data, pretrained, whole)


def _whole(recipe: Recipe, data: DataSet, network: keras.Model | None, pretrained: Pretrained | None) -> keras.Model:
    """The model of `assemble` before it is cut and probed: as far up as the pretrained weights go."""
    model = _built(recipe, data.class_names, network)
    preprocessing = model.get_layer("preprocessing")
    if recipe.pixels.mean != "none":
        preprocessing.set_mean(_mean(recipe, data, pretrained))
    if recipe.pixels.whitening and pretrained and pretrained.whitens_as(recipe.pixels.whitening):
        preprocessing.whitening_matrix.assign(pretrained.whitening[0])
        preprocessing.whitening_bias.assign(pretrained.whitening[1])
    elif recipe.pixels.whitening:
        fit_whitening(preprocessing, recipe, data)
    _zero(model, recipe.initialization.zeros)
    if pretrained:
        model = _cut(model, pretrained.cut)
        pretrained.load_into(model)
    return model


def _cut(model: keras.Model, place: str) -> keras.Model:
    """The model, cut unless the place is "none"; InputError if it is "auto", which only a resolved recipe replaces."""
    if place == BEST:
        raise InputError("fine_tuning.cut 'auto' is for pretrained weights, whose features are compared.")
    return model if place == WHOLE else cut(model, place)


def _mean(recipe: Recipe, data: DataSet, pretrained: Pretrained | None) -> np.ndarray | list[float] | float:
    mean = recipe.pixels.mean
    if isinstance(mean, list | float):
        return mean
    if mean == "middle":
        return 127.5
    if mean == FROM_WEIGHTS:
        return pretrained.mean
    image = mean_image(recipe, data)
    return image if mean == "pixel" else image.mean(axis=(0, 1))


def build(recipe: Recipe, class_names: Sequence[str], network: keras.Model | None = None) -> keras.Model:
    """Builds the model of `assemble` without data and pretrained weights, to load weights into; errors are the same."""
    return _cut(_built(recipe, class_names, network), recipe.fine_tuning.cut)


def _built(recipe: Recipe, class_names: Sequence[str], network: keras.Model | None) -> keras.Model:
    shape = recipe.image_shape
    # In a resolved recipe a mean of pretrained weights that is no image is stated as numbers.
    mean = "channel" if isinstance(recipe.pixels.mean, list) else recipe.pixels.mean
    mean_shape = {"pixel": shape, FROM_WEIGHTS: shape, "channel": shape[2:]}.get(mean, ())
    pixels = keras.Input(shape, name="pixels")
    scaling = recipe.pixels
    options = {"contrast": scaling.contrast, "whitening": scaling.whitening, "name": "preprocessing"}
    scaled = Preprocessing(mean_shape, scaling.std, scaling.crop_fraction, **options)(pixels)
    if network is None:
        arguments = dict(recipe.model_arguments)
        if registry.info(recipe.model).aux_heads:
            arguments.setdefault("aux_heads", recipe.auxiliary_heads.use)
        if recipe.task == MULTI_LABEL:
            arguments.setdefault("classifier_activation", "sigmoid")
        with _channels_last():
            network = registry.create(recipe.model, input_tensor=scaled, classes=len(class_names), **arguments)
        outputs = network.output
    else:
        _check_network(network, shape, len(class_names), recipe.task)
        outputs = network(scaled)
    threshold = THRESHOLD if recipe.task == MULTI_LABEL else None
    labels = ClassLabels(class_names, threshold, dtype="float32", name="labels")
    outputs = {**outputs, MAIN: labels(outputs[MAIN])} if isinstance(outputs, dict) else labels(outputs)
    return functional(pixels, outputs, name=network.name)


@contextmanager
def _channels_last() -> Iterator[None]:
    """Builds for images with the channels last, as the pipeline makes them, whatever the user's keras.json says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def _check_network(network: keras.Model, shape: tuple[int, int, int], classes: int, task: str) -> None:
    if any(accepted not in (None, size) for accepted, size in zip(network.input_shape[1:], shape, strict=True)):
        raise InputError(f"{network.name} takes images of {network.input_shape[1:]}, not of {shape}.")
    if isinstance(network.output, dict) and MAIN not in network.output:
        raise InputError(f"{network.name} has the outputs {', '.join(network.output)}; one must be named '{MAIN}'.")
    for output in keras.tree.flatten(network.output):
        if output.shape[1:] != (classes,):
            raise InputError(f"{network.name} has an output of shape {output.shape[1:]} for {classes} classes.")
        last = producing_node(output).operation
        softmax = (
            isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
        )
        if task == MULTI_LABEL and softmax:
            raise InputError(
                f"{network.name} ends in a softmax, which allows one class per image; multi-label data need a sigmoid."
            )


def _zero(network: keras.Model, pattern: str) -> None:
    if not pattern:
        return
    found = [weight for weight in network.trainable_variables if re.search(pattern, weight.path)]
    if not found:
        raise InputError(f"initialization.zeros '{pattern}' matches no weight of {network.name}.")
    for weight in found:
        weight.assign(keras.ops.zeros_like(weight))


def compile_for(
    model: keras.Model,
    recipe: Recipe,
    steps_per_epoch: int | None = None,
    *,
    metrics: Sequence[str] = (),
    labels: Labels = "one-hot",
) -> None:
    """Compiles any builder's model with the recipe's optimizer, losses and metrics, for Keras' own `fit`.

    Every classifier reports `top1` accuracy, and `top5` for more than five classes. Its outputs are probabilities, and
    its loss has the recipe's weight. Labels are one array for all classifiers, which `class_weight` works with too, or
    a dict of one each. Use `callbacks_for` too: it returns what the recipe does at the end of an epoch. In the
    scope of a tf.distribute strategy, in which the model must have been created, the model is prepared for several
    devices (`kerascnn.training.strategy.prepare`).

    If the recipe's task is "multi-label", labels are multi-hot, classifiers report `microf1` and `macrof1`, and every
    evaluation also the mean average precision of the main one, `map`.

    A recipe's teacher is asked at every step. The epochs of hints before the first are those of `train` alone.

    Args:
        model: with one output, or a dict of `main` and auxiliary ones.
        recipe: the source of every number.
        steps_per_epoch: training images over batch size; None if the schedule counts steps or waits for a plateau.
        metrics: names of more Keras metrics for every classifier.
        labels: "one-hot", (batch, classes); or "integer", (batch,) or (batch, 1), of single-label data.

    Raises:
        InputError: the schedule counts epochs, and `steps_per_epoch` is None; integer labels for a multi-label task; or
            the recipe's teacher cannot be opened, or its hints do not fit.

    Example:
        >>> model = kerascnn.applications.GoogLeNet(aux_heads=True)
        >>> recipe = Recipe.load("googlenet")
        >>> compile_for(model, recipe, steps_per_epoch=len(images) // recipe.batch_size)
        >>> model.fit(images, labels, batch_size=recipe.batch_size, epochs=recipe.epochs)
    """
    single = not isinstance(model.output, dict)
    outputs = {MAIN: model.output} if single else model.output
    multi_label = recipe.task == MULTI_LABEL
    if multi_label and labels == "integer":
        raise InputError("multi-label data have multi-hot labels, not integers.")
    one_hot = LabelCrossentropy if multi_label else keras.losses.CategoricalCrossentropy
    loss = one_hot if labels == "one-hot" else IntegerCrossentropy
    weights = {head: 1.0 if head == MAIN else recipe.auxiliary_heads.weight for head in outputs}
    measured = {
        head: [*(f1_metrics() if multi_label else _metrics(outputs[MAIN].shape[-1], labels)), *metrics]
        for head in outputs
    }
    trained = model.trainable_variables
    multipliers = with_factors(lr_multipliers(model, recipe.fine_tuning), trained, recipe.optimizer)
    optimizer = optimizer_for(recipe, trained, steps_per_epoch, multipliers)
    losses = {head: loss(label_smoothing=recipe.label_smoothing) for head in outputs}
    heads = {head: one for head, one in losses.items() if head != MAIN}
    losses |= companion_losses(heads, recipe, labels, optimizer.iterations, steps_per_epoch) if heads else {}
    for layer in all_layers(model):  # Those of a model from a file are plain.
        product_gradient(layer)
    model.compile(
        optimizer=optimizer,
        loss=losses[MAIN] if single else losses,
        loss_weights=None if single else weights,
        metrics=measured[MAIN] if single else measured,
        jit_compile=choose_xla()[0],
    )
    model.optimizer.build(model.trainable_variables)
    bound_filters(model, recipe.optimizer)
    if not single:
        _share_labels(model)
    if recipe.synchronized_normalization:
        synchronize(model)
    prepare(model)
    if recipe.distillation.teacher:
        teach(model, recipe, steps_per_epoch)
    if multi_label:
        measure_map(model, None if single else MAIN)


def _share_labels(model: keras.Model) -> None:
    """Accepts one array of labels for all classifiers, and weights each image equally in their mean losses.

    Keras needs a dict, and rejects `class_weight` with it; it averages over batches, though the last one of an
    evaluation is smaller.
    """
    compute_loss, compute_metrics = type(model).compute_loss, type(model).compute_metrics
    losses, batch_size = compiled_loss(model), []
    losses.build(model.output, model.output)

    def weighted(update_state):
        return lambda values, sample_weight=None: update_state(values, sample_weight=batch_size[0])

    def for_heads(y, y_pred):
        return dict.fromkeys(y_pred, y) if isinstance(y_pred, dict) and not isinstance(y, dict) else y

    def loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        batch_size[:] = [keras.ops.shape(keras.tree.flatten(y_pred)[0])[0]]
        return compute_loss(model, x, for_heads(y, y_pred), y_pred, sample_weight, training)

    def metrics(x, y, y_pred, sample_weight=None):
        return compute_metrics(model, x, for_heads(y, y_pred), y_pred, sample_weight)

    for tracker in losses.metrics:
        tracker.update_state = weighted(tracker.update_state)
    model.compute_loss, model.compute_metrics = loss, metrics


def callbacks_for(
    recipe: Recipe, batches: Iterable = (), accuracies: Sequence[float] = ()
) -> list[keras.callbacks.Callback]:
    """The callbacks that `fit` needs to follow the recipe: weight averaging, plateaus, early stopping, unfreezing.

    Args:
        recipe: which of them are needed.
        batches: training batches for `AveragedWeights`.
        accuracies: of the epochs so far, for `Plateau` and `EarlyStopping`.

    Example:
        >>> model.fit(x, y, validation_data=validation, callbacks=callbacks_for(recipe, batches=[x[:256]]))
    """
    callbacks: list[keras.callbacks.Callback] = []
    if recipe.averaging.decay:
        callbacks.append(AveragedWeights(batches))
    if recipe.schedule.name == "plateau":
        callbacks.append(Plateau(recipe, accuracies))
    if recipe.early_stopping:
        callbacks.append(EarlyStopping(recipe.early_stopping, accuracies))
    if recipe.fine_tuning.freezes:
        callbacks.append(GradualUnfreezing(recipe.fine_tuning))
    return callbacks


def _metrics(classes: int, labels: Labels) -> list[keras.metrics.Metric]:
    top1, top5 = {
        "one-hot": (keras.metrics.CategoricalAccuracy, keras.metrics.TopKCategoricalAccuracy),
        "integer": (keras.metrics.SparseCategoricalAccuracy, keras.metrics.SparseTopKCategoricalAccuracy),
    }[labels]
    return [top1(name="top1"), *([top5(5, name="top5")] if classes > 5 else [])]
