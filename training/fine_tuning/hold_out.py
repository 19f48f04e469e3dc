"""Training images that are held out to choose by, and the callback that chooses the epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.data.dataset import Examples
from kerascnn.files.atomic import atomic_path
from kerascnn.metric_names import HELD_OUT, deciding_accuracy
from kerascnn.training.fine_tuning.gradual_unfreezing import all_trainable
from kerascnn.training.fine_tuning.logistic_regression import calibrated_loss

CALIBRATED = f"calibrated_loss{HELD_OUT}"  # In the history
LARGEST_SHARE, LEAST_HELD_OUT = 0.25, 50  # Of few training images


def hold_out(examples: Examples, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the images that are trained on, and of those held out, in ascending order.

    About the same share of each class is held out, a group of images as a whole; every class is trained on. Of few
    images more is held out, a quarter at most, for 50 images to choose by. With too few none is held out.

    Example:
        >>> part, held = hold_out(data.training, 0.15, seed=0)
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    labels, groups = examples.labels, getattr(examples, "groups", None)
    share = max(share, min(LARGEST_SHARE, LEAST_HELD_OUT / len(labels)))
    folds = max(2, round(1 / share))
    every, none = np.arange(len(labels)), np.array([], int)
    units = len(labels) if groups is None else len(np.unique(groups))
    if units < 2 * folds or (labels.ndim == 1 and np.bincount(labels).max() < folds):
        return every, none
    kind = {
        (1, False): StratifiedKFold, (1, True): StratifiedGroupKFold, (2, False): KFold, (2, True): GroupKFold,
    }[labels.ndim, groups is not None]  # fmt: skip
    with warnings.catch_warnings():
        # A class with fewer images than folds is divided as far as it can be.
        warnings.simplefilter("ignore", UserWarning)
        part, held = next(kind(folds, shuffle=True, random_state=seed).split(every, labels, groups))
    if labels.ndim == 1:
        # All of a rare class, or of its one group, may have been held out.
        lost = ~np.isin(labels[held], labels[part])
        part, held = np.sort(np.concatenate([part, held[lost]])), held[~lost]
    return part, held


class HoldOut(keras.callbacks.Callback):
    """Measures the model on held-out training images after each epoch, saves the one to keep, and stops early.

    The last epoch is kept whose accuracy, or mAP, is at most a standard error below the best one's: the learning rate
    falls to zero, so that later epochs are better than so few images can show. What it does depends on the earlier
    epochs' metrics only, so a resumed training chooses the same epoch. The model is measured and saved as it is
    validated, so this callback must come before `AveragedWeights`.

    Args:
        whole: the model to save, of which the trained model is a part.
        batches: of the held-out images.
        labels: theirs.
        file: a function from the number of an epoch, the first of `rows` being 1, to the file of its model.
        rows: the earlier epochs' metrics.
        patience: after so many epochs that are not to be kept the training stops; 0 for never.
    """

    def __init__(
        self,
        whole: keras.Model,
        batches: Any,
        labels: np.ndarray,
        file: Callable[[int], Path],
        rows: Sequence[dict[str, float]],
        patience: int,
    ):
        super().__init__()
        self.whole, self.batches, self.labels, self.file, self.patience = whole, batches, labels, file, patience
        self.accuracies, self.measured = [accuracy(row) for row in rows], {}

    def on_train_begin(self, logs=None):
        self._stop_if_due()

    def on_test_end(self, logs=None):
        self.measured = measured(self.model, self.batches, self.labels)
        self.accuracies.append(accuracy(self.measured))
        if kept_epoch(self.accuracies, len(self.labels)) == len(self.accuracies) - 1:
            file = self.file(len(self.accuracies))
            with atomic_path(file) as partial, all_trainable(self.whole):
                self.whole.save(partial)
            for old in set(file.parent.glob("best-epoch-*.keras")) - {file}:
                old.unlink()

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.measured)
        self._stop_if_due()

    def _stop_if_due(self) -> None:
        waited = len(self.accuracies) - 1 - kept_epoch(self.accuracies, len(self.labels))
        if self.patience and waited >= self.patience:
            self.model.stop_training = True


def kept_epoch(accuracies: Sequence[float], count: int) -> int:
    """The index of the last accuracy on so many images that is at most a standard error below the best; -1 of none.

    Example:
        >>> kept_epoch([0.60, 0.70, 0.68, 0.50], count=100)
        2
    """
    best = max(accuracies, default=0.0)
    least = best - math.sqrt(best * (1 - best) / count)
    return max((number for number, value in enumerate(accuracies) if value >= least), default=-1)


def accuracy(metrics: Mapping[str, float]) -> float:
    """The accuracy, or mAP, on held-out images."""
    return metrics[deciding_accuracy(metrics)]


def measured(model: keras.Model, batches: Any, labels: np.ndarray) -> dict[str, float]:
    """A compiled model's metrics on held-out images by their names in the history, such as `top1_held_out`.

    The last of them is the calibrated loss, see `calibrated_loss`.
    """
    found = {f"{name}{HELD_OUT}": value for name, value in model.evaluate(batches, return_dict=True, verbose=0).items()}
    return found | {CALIBRATED: calibrated_loss(labels, model.predict(batches, verbose=0))}
