"""Fine-tuning that goes on from a probe; how it trains, and its result, are chosen on held-out training images."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.applications.cutting import classifier_of, place_named
from kerascnn.applications.deep import functional
from kerascnn.applications.stages import main_nodes
from kerascnn.data.dataset import DataSet, Examples
from kerascnn.data.pipeline.pipeline import evaluation_batches, training_batches
from kerascnn.errors import refused
from kerascnn.files.atomic import atomic_path, atomic_text
from kerascnn.files.user_file import read_text
from kerascnn.keras_internals import batch_normalizations
from kerascnn.metric_names import main_accuracy
from kerascnn.training.batches import Batches, batches_for
from kerascnn.training.callbacks.epoch_files import HistoryFile
from kerascnn.training.callbacks.weight_averaging import AveragedWeights
from kerascnn.training.checkpoints.files import Checkpoint, Position
from kerascnn.training.default_network import Machine
from kerascnn.training.fine_tuning.cached_maps import CachedMaps, cached_maps, inference, shuffled_batches
from kerascnn.training.fine_tuning.depth import Depth, choose_depth
from kerascnn.training.fine_tuning.hold_out import (
    CALIBRATED,
    HoldOut,
    accuracy,
    hold_out,
    kept_epoch,
    measured,
)
from kerascnn.training.fine_tuning.logistic_regression import cross_validated, fit_head
from kerascnn.training.fine_tuning.probe import problem_of
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.strategy import Devices

MAPS = "maps"  # The subfolder of a run for maps, while it is trained
PROBE_FILE = "probe.keras"  # In the run folder
PROBE = 1  # The number of epochs that the probe counts as
LARGEST_RATE = 3.0  # Over the recipe's learning rate
LOGIT_STEP = 30.0  # The most that a step moves a logit, over the learning rate
OF_WEIGHTS = "frozen, with the statistics of the weights"


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning that is ready to be trained.

    Attributes:
        model: the layers that are trained, compiled; it shares them with the whole model.
        recipe: with the epochs and frozen layers of this fine-tuning.
        data: without the images that are held out of training.
        batches: for the loop.
        keeper: measures and saves every epoch.
        probe: the metrics of a probe of the other images, on those that are held out.
    """

    model: keras.Model
    recipe: Recipe
    data: DataSet
    batches: Batches
    keeper: HoldOut
    probe: dict[str, float]


class _Views:
    """The images of a fine-tuning as its model takes them: pixels, or the maps at the start."""

    def __init__(self, whole: keras.Model, recipe: Recipe, data: DataSet, depth: Depth, folder: Path):
        *size, channels = recipe.image_shape
        self.recipe, self.data, self.depth, self.folder = recipe, data, depth, folder
        self.view = {"size": size, "channels": channels, "crop_fraction": recipe.pixels.crop_fraction}
        self.view["classes"] = len(data.class_names)
        # Another one, because `whole` is compiled already.
        self.model = functional(whole.inputs[0], whole.output, name=whole.name)
        if depth.cached:
            self.start = place_named(whole, depth.start).tensor
            self.below = inference(functional(whole.inputs[0], self.start))
            self.model = functional(self.start, whole.output, name=whole.name)
            folder.mkdir(parents=True, exist_ok=True)
        self.features = inference(_before_classifier(self.model))

    def evaluated(self, examples: Examples, name: str) -> Any:
        """The evaluation views, as batches in order."""
        batches = evaluation_batches(examples, batch_size=32, **self.view)
        return self._maps(batches, name).in_order() if self.depth.cached else batches

    def training(self, position: Position, devices: Devices, cache: str) -> Batches:
        """The batches from a position on, and the rest that the loop needs."""
        recipe, data = self.recipe, self.data
        if not self.depth.cached:
            return batches_for(self.model, recipe, data, position, devices, cache)
        balanced = recipe.sampling == "balanced"
        weights = data.class_weights() if recipe.class_weights == "balanced" else None
        augmented = {"augmentation": recipe.augmentation, "seed": recipe.seed, "batch_size": 1, **self.view}
        views = []
        for number in range(recipe.fine_tuning.tuned_views):
            batches = training_batches(
                data.training, epochs=range(number, number + 1), class_weights=weights, balanced=balanced, **augmented
            )
            views.append(self._maps(batches.unbatch().batch(32), f"view-{number + 1}"))
        plain = evaluation_batches(data.training, batch_size=32, **self.view)
        plain = self._maps(plain, "training")
        if weights is not None:
            plain = replace(plain, weights=data.image_weights())
        # Without augmentation every class has as many images as it has.
        views = views if balanced else [plain, *views]
        epochs = range(position.epochs, recipe.epochs)
        batches = shuffled_batches(views, recipe.batch_size, recipe.seed, epochs, position.step)
        validation = self.evaluated(data.validation, "validation")
        images = np.zeros((0, 1, 1, 3))
        return Batches(batches, validation, plain.in_order(), images, len(data.training) // recipe.batch_size)

    def _maps(self, batches: Iterable, name: str) -> CachedMaps:
        return cached_maps(self.below, self.start, batches, self.folder / name)


def prepare(
    whole: keras.Model,
    recipe: Recipe,
    data: DataSet,
    folder: RunFolder,
    checkpoint: Checkpoint | None,
    *,
    compiled: Callable[[keras.Model, Recipe, DataSet], None],
    devices: Devices,
    cache: str,
    say: Callable[[str], Any],
) -> Tuning | None:
    """Chooses what is trained and how, and computes what every epoch needs.

    Args:
        whole: the model of a probe.
        recipe, data: resolved; the images that are held out are taken from the training images.
        folder: gets fine_tuning.json, which says what was chosen; for a resumed training it is read.
        checkpoint: of a training that had begun, None for a new one.
        compiled: compiles the model that is trained.
        devices, cache: as for `batches_for`.
        say: is called with sentences on what is done and how long it takes.

    Returns:
        None if there are too few images to hold any out; the probe is then the result.
    """
    tuning, began = recipe.fine_tuning, time.perf_counter()
    part, held = hold_out(data.training, tuning.hold_out, recipe.seed)
    if not len(held):
        say(f"{len(data.training)} training images are too few to hold some of them out; the probe is the result")
        return None
    held_out = data.training.take(held)
    data = replace(data, training=data.training.take(part))
    batch_size = min(recipe.batch_size, len(part))
    chosen = read(folder) if checkpoint else None
    can_cache = not (recipe.augmentation.mixes or isinstance(whole.output, dict))
    if chosen:
        depth = Depth(**chosen["depth"])
    else:
        limits = {"can_cache": can_cache, "limited": not Machine.of(devices.name).gpus}
        steps = len(part) // batch_size
        depth = choose_depth(whole, tuning, len(part), steps, recipe.epochs - PROBE, **limits)
    below = _layers_until(whole, depth.start)
    # Where maps are cached, the layers below them are no part of what is trained.
    trained = [layer.name for layer in whole.layers if not (depth.cached and layer.name in below)]
    frozen = [name for name in trained if name in below or (tuning.frozen and re.search(tuning.frozen, name))]
    own = replace(tuning, head_epochs=0, stage_epochs=0, frozen=f"^({'|'.join(map(re.escape, frozen))})$")
    if not any(whole.get_layer(name).weights for name in frozen):
        own = replace(own, frozen="")
    patience = recipe.early_stopping
    length = {"epochs": PROBE + depth.epochs, "iterations": None, "early_stopping": 0}
    recipe = replace(recipe, batch_size=batch_size, fine_tuning=own, **length)
    views = _Views(whole, recipe, data, depth, folder.path / MAPS)
    if chosen is None:
        say(_cost(depth, recipe, data, len(held), _seconds_per_pass(folder, len(part))))
    held_batches = views.evaluated(held_out, "held-out")
    position = checkpoint.position if checkpoint else Position(PROBE)
    batches = views.training(position, devices, cache)
    model = views.model
    for layer in model.layers:
        layer.trainable = layer.name not in below
    if chosen is None:
        chosen = {"depth": depth._asdict(), "trained_on": len(part), "held_out": len(held)}
        chosen |= _choices(views, batches, held_batches, held_out.labels, compiled, say)
        write(folder, chosen)
        folder.add_facts(preparation_seconds=round(time.perf_counter() - began, 2))
    recipe = _as_chosen(recipe, chosen)
    compiled(model, recipe, data)
    rows = checkpoint.history[PROBE:] if checkpoint else []

    def file(epoch: int) -> Path:
        return folder.checkpoints / f"best-epoch-{PROBE + epoch:04d}.keras"

    # Without the optimizer, whose state would triple the files.
    plain = functional(whole.inputs[0], whole.output, name=whole.name)
    keeper = HoldOut(plain, held_batches, held_out.labels, file, rows, patience)
    return Tuning(model, recipe, data, batches, keeper, chosen["probe"])


def _choices(
    views: _Views,
    batches: Batches,
    held: Iterable,
    labels: np.ndarray,
    compiled: Callable[[keras.Model, Recipe, DataSet], None],
    say: Callable[[str], Any],
) -> dict[str, Any]:
    """The start of the training, by the held-out images, and its learning rate, by its number of steps."""
    recipe, data = views.recipe, views.data
    # Another model than the one that is trained, because it is compiled for its measurements alone.
    model = functional(views.model.inputs[0], views.model.output, name=views.model.name)
    compiled(model, recipe, data)
    plain = batches.statistics if views.depth.cached else views.evaluated(data.training, "training")
    chosen = _start(views, model, plain, held, labels)
    say(f"batch normalization {chosen['batch_norm']}")
    rate, steps = recipe.optimizer.learning_rate, recipe.steps(batches.steps)
    share = math.sqrt(recipe.fine_tuning.base_steps / steps) if recipe.fine_tuning.base_steps else 1.0
    chosen["learning_rate"] = min(share, LARGEST_RATE) * rate
    if share != 1:
        say(
            f"learning rate {chosen['learning_rate']:.2g} for {steps} steps: the recipe's {rate:.2g} is for "
            f"{recipe.fine_tuning.base_steps}, and the fewer there are, the larger they are; keep the recipe's with "
            "fine_tuning.base_steps=0"
        )
    return chosen


def _as_chosen(recipe: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """The recipe with the learning rates that were chosen."""
    optimizer = replace(recipe.optimizer, learning_rate=chosen["learning_rate"])
    return replace(recipe, optimizer=optimizer, fine_tuning=replace(recipe.fine_tuning, head_lr=chosen["head_lr"]))


def _layers_until(model: keras.Model, start: str) -> list[str]:
    """The names of all layers up to `start`; none if it is empty."""
    names = [node.operation.name for node in main_nodes(model)]
    return names[: names.index(start) + 1] if start else []


def _start(views: _Views, model: keras.Model, plain: Iterable, held: Iterable, labels: np.ndarray) -> dict[str, Any]:
    """Fits the classifier to the images that are trained on, with the batch statistics that are better for it.

    Those of the weights, which the probe has, are compared with those of the training images, by the loss on the
    held-out ones.

    A step of Adam changes all weights of a class by up to the learning rate, and where features have a mean, often in
    one direction: thousands of them move its logits more than they should. So the more and the larger the features, the
    smaller is the classifier's learning rate.
    """
    classifier = classifier_of(model)
    norms = [layer for layer in batch_normalizations(model) if layer.trainable]
    statistics = [weight for layer in norms for weight in (layer.moving_mean, layer.moving_variance)]

    def fitted() -> tuple[dict[str, float], float, list[np.ndarray]]:
        """What the held-out images show, the sum of an image's features, and the weights and statistics."""
        features = _features(views, plain)
        problem = problem_of(features, views.recipe, views.data)
        choice = cross_validated(problem)
        head = fit_head(problem, choice.penalty, choice.temperature)
        classifier.set_weights([head.kernel, head.bias])
        total = float(np.abs(features).mean(axis=0).sum())
        return measured(model, held, labels), total, [np.array(one) for one in (*classifier.weights, *statistics)]

    found = {OF_WEIGHTS: fitted()}
    if statistics:
        averages = AveragedWeights(plain)
        averages.set_model(model)
        averages.measure()
        found["frozen, with statistics of the training images"] = fitted()
    losses = {kind: metrics[CALIBRATED] for kind, (metrics, *_) in found.items()}
    best = min(losses, key=losses.get)
    _, total, values = found[best]
    adaptive = views.recipe.optimizer.name != "sgd"
    head_lr = min(1.0, LOGIT_STEP / max(total, 1e-9)) if adaptive else 1.0
    for weight, value in zip((*classifier.weights, *statistics), values, strict=True):
        weight.assign(value)
    said = {"batch_norm": best if statistics else "none", "batch_norm_losses": losses}
    return {**said, "head_lr": head_lr, "probe": found[OF_WEIGHTS][0]}


def _before_classifier(model: keras.Model) -> keras.Model:
    """From the model's input to what its classifier gets; the layer's own `input` may be that of another model."""
    classifier = classifier_of(model)
    [tensor] = next(node.input_tensors for node in main_nodes(model) if node.operation is classifier)
    return functional(model.inputs[0], tensor)


def _features(views: _Views, batches: Iterable) -> np.ndarray:
    """What the classifier gets, float32 (images, width)."""
    return np.concatenate([views.features(images).numpy().astype(np.float32) for images, *_ in batches])


def _seconds_per_pass(folder: RunFolder, images: int) -> float:
    """How long a forward pass of so many images through the whole network takes, as the probe measured it."""
    probe = folder.read_recipe()[3]["probe"]
    [milliseconds] = [stage["milliseconds"] for stage in probe["stages"] if stage["place"] == probe["cut"]]
    return images * milliseconds / 1000


def _cost(depth: Depth, recipe: Recipe, data: DataSet, held: int, seconds: float) -> str:
    """A sentence about what is trained, and how long it takes."""
    images = len(data.training)
    layers = (
        f"the layers after {depth.start} ({1 - depth.share:.0%} of the multiply-adds)" if depth.start else "all layers"
    )
    once = f", on maps that are computed once for {recipe.fine_tuning.tuned_views + 1} views" if depth.cached else ""
    return (
        f"fine-tuning trains {layers}{once}, on {images} images, and holds {held} training images out to choose by: "
        f"{depth.epochs} epochs ≈ {depth.passes * seconds:.0f} s at {images / seconds:.0f} images/s; "
        f"change it with fine_tuning.passes ({recipe.fine_tuning.passes:g}) and epochs"
    )


def load_weights(model: keras.Model, file: Path) -> None:
    """Loads a model's weights from its file, without the optimizer's state, which the file may lack."""
    functional(model.inputs[0], model.output, name=model.name).load_weights(file)


def read(folder: RunFolder) -> dict[str, Any]:
    """What fine_tuning.json says; InputError if it cannot be read."""
    file = folder.path / "fine_tuning.json"
    with refused(f"{file} cannot be read"):
        return json.loads(read_text(file))


def write(folder: RunFolder, values: dict[str, Any]) -> None:
    """Writes fine_tuning.json."""
    atomic_text(folder.path / "fine_tuning.json", json.dumps(values, indent=2))


def conclude(folder: RunFolder, images: int) -> str:
    """Makes the better of probe and fine-tuned model that of the run, and returns a sentence about both.

    The better one has the lower calibrated loss on held-out training images: so few cannot tell two accuracies apart,
    but each says how sure a model was of its class. The accuracies are those of the `images` for validation.
    """
    chosen, history = read(folder), folder.history()
    rows = history[PROBE:]
    tuned = kept_epoch([accuracy(row) for row in rows], chosen["held_out"])
    losses = {"probe": chosen["probe"][CALIBRATED], "fine-tuned": rows[tuned][CALIBRATED]}
    better, model, exported = "fine-tuned", f"checkpoints/best-epoch-{PROBE + tuned + 1:04d}.keras", PROBE + tuned
    if losses["probe"] <= losses["fine-tuned"]:
        better, model, exported = "probe", PROBE_FILE, 0
    with atomic_path(folder.model_file) as file:
        shutil.copyfile(folder.path / model, file)
    for number, row in enumerate(history):
        row["exported"] = float(number == exported)
    HistoryFile(folder.history_file, history).write()
    shutil.rmtree(folder.path / MAPS, ignore_errors=True)
    name = main_accuracy(history[0])
    figures = {"probe": history[0][name], "fine-tuned": rows[tuned][name]}
    shown = ", ".join(f"{kind} {_with_interval(value, images, name)}" for kind, value in figures.items())
    why = f"{losses['probe']:.3f} and {losses['fine-tuned']:.3f} on {chosen['held_out']} held-out training images"
    line = f"{shown} of {images} validation images; the {better} model is exported, by calibrated losses of {why}"
    folder.add_facts(exported=better, probe_and_fine_tuned=line)
    return line


def _with_interval(accuracy: float, images: int, name: str) -> str:
    """An accuracy with its 95 % interval, or an mAP, which has none."""
    if not name.endswith("top1"):
        return f"{accuracy:.2%}"
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * images), images).proportion_ci(method="wilson")
    return f"{accuracy:.2%} ({interval.low:.2%} to {interval.high:.2%})"
