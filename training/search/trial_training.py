"""The program that trains one trial, in the folder that its argument names.

It reads `trial_config.json`, trains or resumes, and writes each epoch's metrics to `metrics.jsonl` and the reason of a
failure to `outcome.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.ingest import load
from kerascnn.errors import InputError, one_line
from kerascnn.files.folder_owner import owned_when_free
from kerascnn.parent_process import exit_with_parent
from kerascnn.training.callbacks.loggers import LOGGERS
from kerascnn.training.callbacks.nan_guard import TrainingDivergedError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run import TrainingInterruptedError
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.search import trial_process
from kerascnn.training.search.trial_process import CRASH, HEARTBEAT, INVALID, MEMORY, METRICS, NOT_FINITE
from kerascnn.training.strategy import choose_devices
from kerascnn.training.trainer import resume, train

HELD_OUT = 0.2  # The fraction of the training images that trials are compared on
SECONDS_BETWEEN_HEARTBEATS = 1.0


def main(folder: Path) -> int:
    """Trains the trial of a folder; returns 0, or `INTERRUPTED`."""
    config = json.loads((folder / trial_process.TRIAL_CONFIG).read_text())
    exit_with_parent(config["parent"])
    reason, detail = None, ""
    try:
        # Its worker may have been lost, and not this program.
        with owned_when_free(folder, print):
            train_trial(folder, config)
    except TrainingInterruptedError:
        return trial_process.INTERRUPTED
    except TrainingDivergedError as error:
        reason, detail = NOT_FINITE, str(error)
    except InputError as error:
        reason, detail = INVALID, str(error)
    except Exception as error:
        traceback.print_exc()
        detail = f"{type(error).__name__}: {one_line(error)}"
        message = f"{type(error).__name__}: {error}".lower()
        memory = isinstance(error, MemoryError) or any(phrase in message for phrase in trial_process.OUT_OF_MEMORY)
        reason = MEMORY if memory else CRASH
    (folder / trial_process.OUTCOME).write_text(json.dumps({"reason": reason, "detail": detail}))
    return 0


def train_trial(folder: Path, config: dict[str, Any]) -> None:
    """Trains the trial of `folder`, or resumes it from its newest checkpoint; `config` is its `trial_config.json`."""
    import tensorflow as tf

    if trial_process.is_finished(folder, len(trial_process.read_curve(folder)), config["epochs"]):
        # It was killed between its last epoch and its outcome.
        return
    one = "gpu:0" if tf.config.list_physical_devices("GPU") else "cpu"
    devices = choose_devices(one if config["devices"] == "one" else config["devices"])
    data = hold_out(load(config["data"], limit=config["limit"], options=DataOptions.from_dict(config["options"])))
    recipe = Recipe.from_dict(config["recipe"], "the trial")
    reporter = TrialReporter(folder, config["epochs"], min(recipe.batch_size, len(data.training)))
    callbacks = [reporter, *(LOGGERS[service]() for service in config["log"])]
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
    same every time: about a fifth of each class (of multi-label data, of the images without one, too), at least one
    image and never all, and of groups whole ones. Raises InputError if no class has two.
    """
    labels, groups = data.training.labels, getattr(data.training, "groups", None)
    groups = np.arange(len(labels)) if groups is None else groups
    if labels.ndim == 2:
        of_class = map(np.flatnonzero, np.column_stack([labels, ~labels.any(axis=1)]).T)
    else:
        of_class = (np.flatnonzero(labels == label) for label in np.unique(labels))
    away = np.isin(groups, _fifth_of_every_class([groups[members] for members in of_class], groups.dtype))
    if not away.any():
        raise InputError(
            f"{data.source} has one training image or group per class; a search needs two, to hold out one."
        )
    parts = (data.training.take(np.flatnonzero(part)) for part in (~away, away))
    return replace(data, **dict(zip(("training", "validation"), parts, strict=True)))


def _fifth_of_every_class(of_class: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Groups with about a fifth of each class, given the group of each image of the classes.

    Rare classes choose first. One group of each class is kept, so that no other class takes the last.
    """
    chance = np.random.default_rng(0)
    held: set[int] = set()
    kept: set[int] = set()
    for members in sorted(of_class, key=len):
        found, counts = np.unique(members, return_counts=True)
        sizes = dict(zip(found.tolist(), counts.tolist(), strict=True))
        wanted = max(1, round(HELD_OUT * len(members)))
        done = sum(sizes[group] for group in held.intersection(sizes))
        for group in chance.permutation(found).tolist()[:-1]:
            if done < wanted and group not in held and group not in kept:
                held.add(group)
                done += sizes[group]
        kept.update([group for group in sizes if group not in held][:1])
    return np.array(sorted(held), dtype)


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
        self.model.stop_training |= trial_process.is_finished(self.folder, epoch + 1, self.epochs)

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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
