"""The teacher of a distillation: where it is, whether it fits, and what it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.errors import InputError, first_of, refused
from kerascnn.files.checksums import Checksum
from kerascnn.files.run_names import find_run, named_file
from kerascnn.files.user_file import checked_file
from kerascnn.image_shape import RGB, ImageSize
from kerascnn.metric_names import main_accuracy
from kerascnn.shown_text import literal
from kerascnn.training.model_files import first_of_class, layers_of
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Taught(NamedTuple):
    """What the file of a trained model says: the classes, whether an image has several, and the images' shape."""

    classes: list[str]
    several: bool
    image_shape: tuple[int, int, int]


def with_teacher(recipe: Recipe, teacher: str | Path, hints: Mapping[str, str] | None = None) -> Recipe:
    """The recipe for a training by a teacher, see `Distillation`; InputError if there is no such run.

    `hints` replace those of the recipe; None keeps them.

    Example:
        >>> hints = {"conv3_2_relu": "conv3_5_relu"}
        >>> recipe = with_teacher(Recipe.for_model("resnet20"), "resnet56-photos@best", hints)
    """
    # The name of a run may stand for another one later.
    found = {"teacher": str(find_run(teacher)), "digest": ""}
    found |= {} if hints is None else {"hints": dict(hints)}
    return replace(recipe, distillation=replace(recipe.distillation, **found))


def find_teacher(recipe: Recipe) -> Path | None:
    """The file of the recipe's teacher, without reading it; None for a training without one.

    InputError if there is none, or the recipe trains in a way in which it would not be asked.
    """
    name, tuning = recipe.distillation.teacher, recipe.fine_tuning
    if not name:
        return None
    if tuning.probe:
        raise InputError(
            "a probe solves for a classifier and asks no teacher; set fine_tuning.probe=false, or name no teacher."
        )
    if tuning.weights and recipe.distillation.hints:
        raise InputError(
            f"hints are for layers that have not learned yet, and these begin with {tuning.weights}; begin without "
            "weights, or without hints (distillation.hints={})."
        )
    path = named_file(name)
    if not os.path.isfile(path):
        raise InputError(f"there is no teacher at {name}; give the folder of a run, or a .keras file of one.")
    return path


def check_teacher(recipe: Recipe, data: DataSet) -> Recipe:
    """The recipe with the digest of its teacher's file, or as it is without a teacher.

    InputError if the file cannot be read, is another one than the recipe's, or its classes are not those of the data;
    or the data are a fold.
    """
    path = find_teacher(recipe)
    if path is None:
        return recipe
    if data.options.fold:
        raise InputError(
            "a fold holds images out that a teacher may have been trained on; train folds without a teacher."
        )
    settings, taught = recipe.distillation, read_teacher(path)
    with refused(f"{path} cannot be read"):
        digest = Checksum.of(checked_file(path)).digits
    if settings.digest not in ("", digest):
        raise InputError(
            f"{path} is not the teacher that the recipe names: its contents have changed; put the file back, or set "
            "distillation.digest='' to learn from this one."
        )
    classes = [literal(str(name)) for name in data.class_names]
    if taught.classes != classes:
        raise InputError(f"the teacher {path} must have the classes of {data.source}, {_difference(taught, classes)}")
    if taught.several != data.multi_label:
        kinds = {True: "any number of classes", False: "one class"}
        raise InputError(
            f"the teacher {path} knows {kinds[taught.several]} per image, and {data.source} has "
            f"{kinds[data.multi_label]}."
        )
    return replace(recipe, distillation=replace(settings, digest=digest))


def read_teacher(path: Path) -> Taught:
    """What the file of a model says that this package trained; InputError if it is none, or cannot be read."""
    layers = layers_of(path)
    with refused(f"{path} is damaged"):
        labels, images = first_of_class(layers, "ClassLabels"), first_of_class(layers, "InputLayer")
        if labels is None or images is None or first_of_class(layers, "Preprocessing") is None:
            raise InputError(
                f"{path} does not say how its pixels are scaled and which classes it knows; a teacher is a model that "
                "kerascnn has trained."
            )
        classes, (_, height, width, channels) = [str(name) for name in labels["class_names"]], images["batch_shape"]
        return Taught(classes, labels.get("threshold") is not None, (int(height), int(width), int(channels)))


def _difference(taught: Taught, classes: list[str]) -> str:
    """The end of a sentence about classes that differ."""
    missing = [name for name in classes if name not in taught.classes]
    others = [name for name in taught.classes if name not in classes]
    parts = [f"it lacks {first_of(missing)}"] if missing else []
    parts += [f"it also has {first_of(others)}"] if others else []
    return f"in the same order; {' and '.join(parts) or 'their order differs'}."


def describe_teacher(recipe: Recipe, heads: bool) -> str:
    """A line about a resolved recipe's teacher and how it teaches; `heads` of a student with auxiliary classifiers."""
    settings, path = recipe.distillation, find_teacher(recipe)
    taught = read_teacher(path)
    weights = f"{settings.weight:g}" + (
        f" to {settings.final_weight:g}" if settings.weight != settings.final_weight else ""
    )
    lines = [
        f"taught by {settings.teacher}{_known(path)}: soft targets at temperature {settings.temperature:g} with weight "
        f"{weights} beside the labels' {settings.label_weight:g}; change it with --set distillation.temperature=…, "
        "distillation.weight=… and distillation.label_weight=…"
    ]
    if taught.image_shape != recipe.image_shape:
        size, gray = ImageSize(*taught.image_shape[:2]), "" if taught.image_shape[2] == RGB else " and gray"
        lines.append(f"it sees the same images resized to {size}{gray}, as it was trained")
    if heads:
        lines.append("of the student's classifiers it teaches the main one")
    if settings.hints:
        pairs = ", ".join(f"{student} from its {teacher}" for student, teacher in settings.hints.items())
        lines.append(f"first hints (distillation.hint_epochs={settings.hint_epochs}): {pairs}")
    return "; ".join(lines)


def _known(path: Path) -> str:
    """The network of a run's file, and the last accuracy, of model.keras: " (resnet56, val_top1 91.20%)"."""
    folder = RunFolder.around(path)
    if folder is None:
        return ""
    recipe, *_, facts = folder.read_recipe()
    of_last_epoch = path == folder.model_file and "exported" not in facts
    history = folder.history() if of_last_epoch else []
    name = main_accuracy(history[-1]) if history else None
    measured = f", {name} {history[-1][name]:.2%}" if name else ""
    return f" ({recipe.model}{measured})"


def load_teacher(recipe: Recipe) -> keras.Model:
    """The recipe's teacher, in its own precision, which nothing trains; InputError if it cannot be opened."""
    import keras

    path = find_teacher(recipe)
    with refused(f"{path} cannot be opened as a Keras model"):
        model = keras.saving.load_model(path, compile=False)
    model.trainable = False
    return model


def seen_by(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Images as a model takes them: (batch, height, width, 1 or 3) in [0, 255], in its size and channels.

    No gradient passes.
    """
    import keras

    *size, channels = model.input_shape[1:]
    images = with_channels(keras.ops.cast(keras.ops.stop_gradient(images), "float32"), channels)
    if [*images.shape[1:3]] != size:
        # Not antialiased, which XLA cannot compile.
        images = keras.ops.image.resize(images, size, interpolation="bilinear", data_format="channels_last")
    return images
