"""A run in TensorBoard: its curves, recipe, network and training images."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path

import keras
import numpy as np

from kerascnn.complexity import analyze
from kerascnn.complexity.report import stage_of
from kerascnn.errors import InputError
from kerascnn.image_shape import RGB
from kerascnn.keras_internals import nodes_in_order
from kerascnn.metric_names import HELD_OUT
from kerascnn.training.batches import Batches
from kerascnn.training.callbacks.event_files import EventFile, flatten
from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
from kerascnn.training.callbacks.throughput import Profiler
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.recipe.recipe import Recipe

# Titles of Keras' metrics, which come first, and of what else is measured once per epoch, with its group.
TITLES = {
    "loss": "loss",
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "map": "mAP",
    "microf1": "micro F1",
    "macrof1": "macro F1",
}
MACHINE = ("images_per_second", "memory_gigabytes", "seconds", "waiting_share")
MAIN, HEADS = "main", ("main", "aux")  # The first parts of the classifiers' names: main, aux, aux_4a

# The validation's metrics that runs are compared by.
RESULTS = ("epoch/top-1 accuracy", "epoch/top-5 accuracy", "epoch/loss")
MULTI_LABEL_RESULTS = ("epoch/mAP", "epoch/micro F1", "epoch/macro F1", "epoch/loss")

# The HParams table shows few columns at first: those that are declared to differ.
FIRST_COLUMNS = ("model", "image_size", "batch_size", "epochs", "optimizer.learning_rate")
GRID = 6  # Columns and rows of the grid of training images


def logging_callbacks(
    folder: Path, recipe: Recipe, batches: Batches, position: Position | None, profile: tuple[int, int] | None
) -> list[keras.callbacks.Callback]:
    """The callbacks that write TensorBoard's files; `ThroughputMonitor` must come before them.

    `position` is where a training is resumed, None for a new one; `profile` are the steps for `Profiler`.
    """
    steps_done = position.epochs * batches.steps + position.step if position else 0
    logging = [TensorBoard(folder, recipe, batches.images), GradientNormLogger(folder, batches.steps, steps_done)]
    return [*logging, Profiler(folder, profile)] if profile else logging


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's curves, recipe, table of layers, graph and a grid of augmented training images.

    `folder` gets the subfolders `train` and `validation`, as with Keras' own callback: their curves have one point per
    epoch and a common tag, so that TensorBoard draws them in one chart. The recipe's values and the newest validation
    metrics are one row of the HParams table.

    `images` are float32 (count, height, width, channels) in [0, 255], a batch as the network sees it; none for a
    resumed run, whose images, recipe and network are written already.
    """

    def __init__(self, folder: Path, recipe: Recipe, images: np.ndarray):
        super().__init__()
        self.folder, self.recipe, self.images = folder, recipe, images
        self.results = MULTI_LABEL_RESULTS if recipe.task == MULTI_LABEL else RESULTS

    def on_train_begin(self, logs=None):
        self._files = {split: EventFile(self.folder / split) for split in ("train", "validation", "")}
        if not len(self.images):
            return
        titles = {("validation", tag): f"validation {tag.partition('/')[2]}" for tag in self.results}
        self._files[""].hparams(hyperparameters(self.recipe), titles, FIRST_COLUMNS)
        train = self._files["train"]
        train.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        train.text("architecture", _layer_table(self.model))
        train.image("images/augmented training images", image_grid(self.images), step=0)
        train.graph(conceptual_graph(self.model))
        self.flush()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            split, title = curve(name, logs)
            self._files[split].scalar(title, value, step=epoch + 1)
        self.flush()

    def on_train_end(self, logs=None):
        self._files[""].success()
        self.close()

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        # Otherwise an interrupted run could lose its last values.
        for file in self._files.values():
            file.close()


def hyperparameters(recipe: Recipe) -> dict[str, bool | float | str]:
    """Every value of a recipe by its name for `--set`."""
    return flatten({name: value for name, value in recipe.to_dict().items() if name != "about"})


def curve(name: str, logs: Container[str] = ()) -> tuple[str, str]:
    """The split and the tag of one of Keras' metrics: "val_top1" is ("validation", "epoch/top-1 accuracy")."""
    return "validation" if name.startswith("val_") else "train", tag(name.removeprefix("val_"), logs)


def tag(name: str, logs: Container[str] = ()) -> str:
    """TensorBoard's tag for one of Keras' metrics: the main classifier's are in the group that is shown first.

    `logs` are the names of all metrics: with auxiliary classifiers, "loss" is the sum of all losses, not the main one.
    """
    if name.endswith(HELD_OUT):
        return f"{tag(name.removesuffix(HELD_OUT), logs)} of held-out training images"
    head, _, metric = name.rpartition("_")
    if head.partition("_")[0] in HEADS:
        title = TITLES.get(metric, metric)
        return f"epoch/{title}" if head == MAIN else f"heads/{head} {title}"
    if name == "loss" and f"{MAIN}_loss" in logs:
        return "heads/sum of all losses"
    if name in TITLES:
        return f"epoch/{TITLES[name]}"
    return f"{'machine' if name in MACHINE else 'optimizer'}/{name}"


def image_grid(images: np.ndarray) -> np.ndarray:
    """A grid of up to 36 images: float (count, height, width, 3 or 1) in [0, 255] to uint8 (height, width, 3)."""
    columns = min(GRID, len(images))
    rows = min(GRID, len(images) // columns)
    height, width, channels = images.shape[1:]
    tiles = images[: rows * columns].reshape(rows, columns, height, width, channels)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    return np.clip(np.round(grid), 0, 255).astype(np.uint8).repeat(RGB // channels, axis=2)


def _layer_table(model: keras.Model) -> str:
    try:
        return analyze(model).to_markdown()
    except InputError as error:
        return str(error)


def conceptual_graph(model: keras.Model) -> str:
    """The layers and what they take, a box for each stage, in the JSON of Keras' models that TensorBoard reads.

    Of that JSON it has what TensorBoard draws; nested boxes are named as folders.
    """
    layers, names = [], {}
    for number, node in enumerate(nodes_in_order(model)):
        layer = node.operation
        name = layer.name if (stage := stage_of(layer.name)) == layer.name else f"{stage}/{layer.name}"
        # A layer that is called again has a node for every call.
        name = f"{name}_call_{number}" if name in names.values() else name
        inputs = [{"config": {"keras_history": (names[id(tensor)], 0, 0)}} for tensor in node.input_tensors]
        names |= {id(tensor): name for tensor in node.outputs}
        config = {"name": name, "dtype": node.outputs[0].dtype}
        layers.append({"class_name": type(layer).__name__, "config": config, "inbound_nodes": [{"args": [inputs]}]})
    return json.dumps({"config": {"name": "", "layers": layers}})
