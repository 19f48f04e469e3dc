"""A trial's training: its data, its devices, and a callback that reports to the search."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.ingest import load
from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.search.trial_process import HEARTBEAT, METRICS, is_finished, read_curve
from kerascnn.training.strategy import choose_devices
from kerascnn.training.trainer import resume, train

HELD_OUT = 0.2  # The fraction of the training images that trials are compared on
SECONDS_BETWEEN_HEARTBEATS = 1.0


def train_trial(folder: Path, config: dict[str, Any]) -> None:
    """Trains the trial of `folder`, or resumes it from its newest checkpoint; `config` is its `trial_config.json`."""
    import tensorflow as tf

    if is_finished(folder, len(read_curve(folder)), config["epochs"]):
        # It was killed between its last epoch and its outcome.
        return
    one = "gpu:0" if tf.config.list_physical_devices("GPU") else "cpu"
    devices = choose_devices(one if config["devices"] == "one" else config["devices"])
    data = hold_out(load(config["data"], limit=config["limit"], options=DataOptions.from_dict(config["options"])))
    recipe = Recipe.from_dict(config["recipe"], "the trial")
    callbacks = [TrialReporter(folder, config["epochs"], min(recipe.batch_size, len(data.training)))]
    runs = sorted(folder.glob("run/*/recipe.yaml"))
    if runs and list(runs[0].parent.glob("checkpoints/*.npz")):
        run = RunFolder.open(runs[0].parent)
        resume(run, run.read_recipe()[0], data, callbacks=callbacks, devices=devices, warn=print, verbose=0)
        return
    # A run without a checkpoint starts again.
    shutil.rmtree(folder / "run", ignore_errors=True)
    more = {"run_config": RunConfig(best=0, cache=config["cache"]), "devices": devices, "limit": config["limit"]}
    train(recipe, data, runs=folder / "run", callbacks=callbacks, verbose=0, **more)


def hold_out(data: DataSet) -> DataSet:
    """The data with a fifth of the training images instead of the validation images.

    A search that used the validation images would overestimate the accuracy on them. The selection is random but the
    same every time: a fifth of each class, at least one image and never all, and of groups whole ones. Raises
    InputError if no class has two.
    """
    chance = np.random.default_rng(0)
    held: Sequence[int] = []
    groups = getattr(data.training, "groups", None)
    if groups is not None:
        held = _fifth_in_groups(data.training.labels, groups, chance)
    elif data.multi_label:
        held = _fifth_of_every_class(data.training.labels, chance)
    else:
        for label in np.unique(data.training.labels):
            members = chance.permutation(np.flatnonzero(data.training.labels == label))
            held.extend(members[: min(max(1, round(HELD_OUT * len(members))), len(members) - 1)])
    if not len(held):
        raise InputError(
            f"{data.source} has one training image or group per class; a search needs two, to hold out one."
        )
    rest = np.setdiff1d(np.arange(len(data.training)), held)
    return replace(data, training=data.training.take(rest), validation=data.training.take(np.sort(held)))


def _fifth_in_groups(labels: np.ndarray, groups: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """About a fifth of the images of each class, or a little more, in whole groups; one group of a class is left."""
    of_class = [np.flatnonzero(column) for column in labels.T] if labels.ndim == 2 else []
    of_class = of_class or [np.flatnonzero(labels == label) for label in np.unique(labels)]
    held: set[int] = set()
    kept: set[int] = set()
    for members in sorted(of_class, key=len):
        found, counts = np.unique(groups[members], return_counts=True)
        sizes = dict(zip(found.tolist(), counts.tolist(), strict=True))
        done = sum(size for group, size in sizes.items() if group in held)
        for group in chance.permutation(found).tolist()[:-1]:
            if done < HELD_OUT * len(members) and group not in held and group not in kept:
                held.add(group)
                done += sizes[group]
        kept.update([group for group in sizes if group not in held][:1])
    return np.flatnonzero(np.isin(groups, np.array(sorted(held), groups.dtype)))


def _fifth_of_every_class(labels: np.ndarray, chance: np.random.Generator) -> list[int]:
    """About a fifth of the images with each class, uint8 (images, classes), and of those without; never all of one.

    Rare classes choose first. One image of each class is kept, so that no other class takes the last.
    """
    labels = np.column_stack([labels, ~labels.any(axis=1)])
    held: set[int] = set()
    kept: set[int] = set()
    for column in np.argsort(labels.sum(axis=0), kind="stable"):
        members = chance.permutation(np.flatnonzero(labels[:, column])).tolist()
        wanted = min(max(1, round(HELD_OUT * len(members))), len(members) - 1)
        free = [number for number in members if number not in held and number not in kept]
        held.update(free[: max(0, wanted - len(held.intersection(members)))])
        kept.update([number for number in members if number not in held][:1])
    return sorted(held)


class TrialReporter(keras.callbacks.Callback):
    """Writes every epoch's metrics and a heartbeat, and ends the training after `epochs` or when the search asks."""

    def __init__(self, folder: Path, epochs: int | None, batch_size: int):
        super().__init__()
        self.folder, self.epochs, self.batch_size = folder, epochs, batch_size
        self.parent, self.images, self._written = os.getppid(), 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.images += self.batch_size
        self._send_heartbeat()

    def on_test_batch_end(self, batch, logs=None):
        self._send_heartbeat()

    def on_epoch_end(self, epoch, logs=None):
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}) + "\n")
        self.model.stop_training |= is_finished(self.folder, epoch + 1, self.epochs)

    def on_train_end(self, logs=None):
        self._written = 0.0
        self._send_heartbeat()

    def _send_heartbeat(self) -> None:
        """Writes the number of images, and stops if the search is gone."""
        if os.getppid() != self.parent:
            raise KeyboardInterrupt
        if time.monotonic() - self._written > SECONDS_BETWEEN_HEARTBEATS:
            self._written = time.monotonic()
            (self.folder / HEARTBEAT).write_text(str(self.images))
