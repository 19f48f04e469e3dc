"""From recipe and data to a model that is ready for `fit`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.deep import functional
from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError
from kerascnn.layers import ClassLabels, Preprocessing
from kerascnn.training.callbacks.weight_averaging import AveragedWeights
from kerascnn.training.fine_tuning.gradual_unfreezing import GradualUnfreezing, lr_multipliers, plan
from kerascnn.training.fine_tuning.pretrained import OF_WEIGHTS, load_weights, mean_image
from kerascnn.training.optimizers import bound_filters, optimizer_for
from kerascnn.training.recipe.fields import Pixels
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.schedules import Plateau
from kerascnn.training.strategy import choose_xla, prepare, synchronize

# Enough images for a mean to be good to a grey level, few enough to wait for.
MEAN_SAMPLE = 2000

# Of the range of pixels.
MIDDLE = 127.5

# The head that is kept for inference.
MAIN = "main"


def assemble(recipe: Recipe, data: DataSet, own: keras.Model | None = None) -> keras.Model:
    """The recipe's network between a preprocessing layer and the class names, with the weights it begins with.

    The model takes pixels in [0, 255] and is complete: it knows how they are scaled and what its classes are called.

    Args:
        recipe: with its image size resolved.
        data: whose class names and, where the recipe says so, mean pixels the model gets.
        own: a network to take instead of the recipe's.

    Raises:
        InputError: the network cannot take the image size or an argument, or has another number of classes, or what is
            to be fine-tuned does not fit it.
    """
    model = build(recipe, data.class_names, own)
    if recipe.pixels.mean != "none":
        model.get_layer("preprocessing").set_mean(_mean(recipe, data))
    _zero(model, recipe.initialization.zeros)
    if recipe.fine_tuning.weights:
        load_weights(model, recipe)
        # Whether it can be frozen as it says is told before anything is written.
        plan(model, recipe.fine_tuning)
    return model


def _mean(recipe: Recipe, data: DataSet) -> np.ndarray | list[float] | float:
    """What is subtracted from the pixels."""
    stated = recipe.pixels.mean
    if isinstance(stated, list):
        return stated
    if stated == "middle":
        return MIDDLE
    if stated == OF_WEIGHTS:
        return mean_image(recipe)
    mean = _mean_image(recipe, data)
    return mean if stated == "pixel" else mean.mean(axis=(0, 1))


def _mean_shape(pixels: Pixels, size: int) -> tuple[int, ...]:
    if isinstance(pixels.mean, list):
        return (3,)
    # Of weights, a mean that is no image is stated as numbers by now.
    image = (size, size, 3)
    return {"pixel": image, OF_WEIGHTS: image, "channel": (3,)}.get(pixels.mean, ())


def build(recipe: Recipe, class_names: Sequence[str], own: keras.Model | None = None) -> keras.Model:
    """What `assemble` gives before it has seen images, for weights that come from elsewhere.

    Raises:
        InputError: as for `assemble`.
    """
    size = recipe.image_size
    pixels = keras.Input((size, size, 3), name="pixels")
    preprocessing = Preprocessing(
        _mean_shape(recipe.pixels, size), recipe.pixels.std, recipe.pixels.crop_fraction, name="preprocessing"
    )
    if own is None:
        network = _network(recipe, preprocessing(pixels), len(class_names))
        name, outputs = network.name, network.output
    else:
        check_own(own, recipe, len(class_names))
        name, outputs = own.name, own(preprocessing(pixels))
    labels = ClassLabels(class_names, dtype="float32", name="labels")
    outputs = {**outputs, MAIN: labels(outputs[MAIN])} if isinstance(outputs, dict) else labels(outputs)
    return functional(pixels, outputs, name=name)


def _network(recipe: Recipe, tensor: keras.KerasTensor, classes: int) -> keras.Model:
    """The recipe's own, on a tensor of scaled pixels."""
    arguments = dict(recipe.model_arguments)
    if registry.info(recipe.model).aux_heads:
        arguments.setdefault("aux_heads", recipe.auxiliary_heads.use)
    return registry.create(recipe.model, input_tensor=tensor, classes=classes, **arguments)


def check_own(own: keras.Model, recipe: Recipe, classes: int) -> None:
    """Raises InputError where a network from outside does not fit the recipe's images or the classes."""
    size = recipe.image_size
    if any(wanted not in (None, given) for wanted, given in zip(own.input_shape[1:], (size, size, 3), strict=True)):
        raise InputError(f"{own.name} takes images of {own.input_shape[1:]}, not of {(size, size, 3)}.")
    if isinstance(own.output, dict) and MAIN not in own.output:
        raise InputError(f"{own.name} has the outputs {', '.join(own.output)}, and none of them is called '{MAIN}'.")
    for output in keras.tree.flatten(own.output):
        if output.shape[1:] != (classes,):
            raise InputError(f"{own.name} has an output of shape {output.shape[1:]} for {classes} classes.")


def _zero(network: keras.Model, pattern: str) -> None:
    """Sets the weights to zero whose paths match.

    Raises:
        InputError: no path does.
    """
    if not pattern:
        return
    found = [weight for weight in network.trainable_variables if re.search(pattern, weight.path)]
    if not found:
        raise InputError(f"initialization.zeros '{pattern}' matches no weight of {network.name}.")
    for weight in found:
        weight.assign(keras.ops.zeros_like(weight))


def _mean_image(recipe: Recipe, data: DataSet) -> np.ndarray:
    """The mean of the training images' evaluation views, (size, size, 3)."""
    examples = data.training
    if len(examples) > MEAN_SAMPLE:
        examples = examples.take(np.linspace(0, len(examples) - 1, MEAN_SAMPLE).astype(int))
    batches = evaluation_batches(
        examples,
        classes=len(data.class_names),
        size=recipe.image_size,
        crop_fraction=recipe.pixels.crop_fraction,
        batch_size=64,
    )
    return sum(images.numpy().astype(np.float64).sum(axis=0) for images, _ in batches) / len(examples)


def compile_for(
    model: keras.Model, recipe: Recipe, steps_per_epoch: int | None = None, *, metrics: Sequence[str] = ()
) -> None:
    """Compiles any builder's model with the recipe's optimizer, losses and metrics, for Keras' own `fit`.

    Every classifier reports its `top1` accuracy, and `top5` where there are more than five classes; auxiliary
    classifiers' losses are weighted as the recipe says. Labels are one-hot: one array for all classifiers, with which
    `class_weight` works too, or a dict of one each. What a recipe wants at the end of an epoch is done by
    `callbacks_for`. Label smoothing takes the classifiers' outputs for probabilities. In the scope of a strategy of
    tf.distribute, where the model was made as well, it is made ready for several devices
    (`kerascnn.training.strategy.prepare`).

    Args:
        model: with one output, or a dict of `main` and auxiliary ones.
        recipe: the source of every number.
        steps_per_epoch: what the schedule's epochs are long, the training images over the batch size; None is enough
            where the schedule counts steps or waits for a plateau.
        metrics: more of Keras' metrics for every classifier, by their names.

    Raises:
        InputError: the schedule counts epochs, and their length is not known.

    Example:
        >>> model = kerascnn.applications.GoogLeNet(aux_heads=True)
        >>> recipe = Recipe.load("googlenet")
        >>> compile_for(model, recipe, steps_per_epoch=len(images) // recipe.batch_size)
        >>> model.fit(images, labels, batch_size=recipe.batch_size, epochs=recipe.epochs)
    """
    heads = list(model.output) if isinstance(model.output, dict) else [None]
    losses = {head: keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing) for head in heads}
    weights = {head: 1.0 if head in (None, MAIN) else recipe.auxiliary_heads.weight for head in heads}
    single = heads == [None]
    classes = (model.output if single else model.output[MAIN]).shape[-1]
    measured = {head: [*_metrics(classes), *metrics] for head in heads}
    model.compile(
        optimizer=optimizer_for(
            recipe, model.trainable_variables, steps_per_epoch, lr_multipliers(model, recipe.fine_tuning)
        ),
        loss=losses[None] if single else losses,
        loss_weights=None if single else weights,
        metrics=measured[None] if single else measured,
        jit_compile=choose_xla().jit_compile,
    )
    model.optimizer.build(model.trainable_variables)
    if recipe.optimizer.max_filter_rms:
        bound_filters(model, recipe.optimizer.max_filter_rms)
    if not single:
        _share_labels(model)
    if recipe.synchronized_normalization:
        synchronize(model)
    prepare(model)


def _share_labels(model: keras.Model) -> None:
    """Lets one array of labels stand for a dict of it for every classifier, and counts each image once.

    Keras wants the dict, and refuses `class_weight` with it. In each classifier's mean loss it lets every batch weigh
    the same, though the last one of an evaluation is smaller.
    """
    compute_loss, compute_metrics = type(model).compute_loss, type(model).compute_metrics
    losses, images = model._compile_loss, []
    losses.build(model.output, model.output)
    for tracker in losses.metrics:
        tracker.update_state = _weighted_by(images, tracker.update_state)

    def for_heads(y, y_pred):
        return dict.fromkeys(y_pred, y) if isinstance(y_pred, dict) and not isinstance(y, dict) else y

    def loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        images[:] = [keras.ops.shape(keras.tree.flatten(y_pred)[0])[0]]
        return compute_loss(model, x, for_heads(y, y_pred), y_pred, sample_weight, training)

    def metrics(x, y, y_pred, sample_weight=None):
        return compute_metrics(model, x, for_heads(y, y_pred), y_pred, sample_weight)

    model.compute_loss, model.compute_metrics = loss, metrics


def _weighted_by(weight: list, update_state: Callable) -> Callable:
    return lambda values, sample_weight=None: update_state(values, sample_weight=weight[0])


def callbacks_for(
    recipe: Recipe, batches: Iterable = (), accuracies: Sequence[float] = ()
) -> list[keras.callbacks.Callback]:
    """The callbacks without which `fit` is not what the recipe says: averages, a plateau's rate, what is frozen when.

    Args:
        recipe: which of them are needed.
        batches: training batches for `AveragedWeights`.
        accuracies: of the epochs so far, for `Plateau`.

    Example:
        >>> model.fit(x, y, validation_data=validation, callbacks=callbacks_for(recipe, batches=[x[:256]]))
    """
    callbacks: list[keras.callbacks.Callback] = []
    if recipe.averaging.decay:
        callbacks.append(AveragedWeights(batches))
    if recipe.schedule.name == "plateau":
        callbacks.append(Plateau(recipe, accuracies))
    if recipe.fine_tuning.freezes:
        callbacks.append(GradualUnfreezing(recipe.fine_tuning))
    return callbacks


def _metrics(classes: int) -> list[keras.metrics.Metric]:
    metrics = [keras.metrics.CategoricalAccuracy(name="top1")]
    if classes > 5:
        metrics.append(keras.metrics.TopKCategoricalAccuracy(5, name="top5"))
    return metrics
