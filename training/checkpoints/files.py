"""Checkpoint files, from which a training resumes bit-exact."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

MAX_FILES = 2  # The newest checkpoint, and one to fall back to
PROGRESS = "progress"  # The name, in the archive, of everything that is no array


@dataclass(frozen=True, order=True)
class Position:
    """Completed `epochs`, validation included, and completed steps of the next: all if only validation is missing."""

    epochs: int = 0
    step: int = 0

    def __str__(self) -> str:
        if self.step:
            return f"after step {self.step} of epoch {self.epochs + 1}"
        return f"after epoch {self.epochs}" if self.epochs else "at the start"


class Snapshot(NamedTuple):
    """What a validation changes: values of the metrics' variables, and the sizes in bytes of TensorBoard's files."""

    metrics: list[np.ndarray]
    events: dict[str, int]


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to continue as if it had not stopped."""

    position: Position  # where it continues
    history: list[dict[str, float]]  # one row of metrics per completed epoch
    events: dict[str, int]  # see `Snapshot`
    # The values of all variables of the "model" (with dropout's seeds), of the "optimizer" (with loss scale and
    # averages) and of the epoch's "metrics".
    variables: dict[str, list[np.ndarray]]

    def restore(self, model: keras.Model) -> None:
        """Assigns the values to a compiled model and its optimizer; raises InputError if they do not fit."""
        _assign(model.variables, self.variables["model"])
        _assign(model.optimizer.variables, self.variables["optimizer"])

    def restore_metrics(self, model: keras.Model) -> None:
        """Assigns the values of the epoch so far to the model's metrics."""
        if len(model.metrics_variables) < len(self.variables["metrics"]):
            # Keras would create the variables at the first step.
            outputs = keras.tree.map_structure(lambda tensor: np.zeros((1, *tensor.shape[1:]), "float32"), model.output)
            model.compute_loss(y=outputs, y_pred=outputs)
            model.compute_metrics(None, outputs, outputs)
        _assign(model.metrics_variables, self.variables["metrics"])


class NotFiniteError(ArithmeticError):
    """A checkpoint was not written because a weight is not finite."""


class Checkpoints:
    """A run's checkpoint files: `epoch-0003.npz`, `epoch-0003-step-000120.npz`.

    A file gets its name when it is complete and on the disk. Only the newest two remain.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def files(self) -> list[Path]:
        """All checkpoint files, the oldest first."""
        return sorted(self.folder.glob("epoch-*.npz"), key=_position)

    def write(self, position: Position, model: keras.Model, history: Sequence[dict], snapshot: Snapshot) -> None:
        """Writes a checkpoint of a compiled model, and deletes older ones; for `history` see `Checkpoint`.

        If a weight is not finite, or the file cannot be written (NotFiniteError, OSError), older ones remain.
        """
        step = f"-step-{position.step:06d}" if position.step else ""
        file_name = f"epoch-{position.epochs:04d}{step}.npz"
        groups = {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": snapshot.metrics}
        progress = {"position": astuple(position), "history": history, "events": snapshot.events}
        with atomic_write(self.folder / file_name) as file, zipfile.ZipFile(file, "w") as archive:
            for group, variables in groups.items():
                for number, variable in enumerate(variables):
                    # One by one, where np.savez would hold all of them in memory.
                    with archive.open(f"{group}/{number}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, _finite_value(variable), allow_pickle=False)
            archive.writestr(PROGRESS, json.dumps(progress))
        for old in [*self.files()[:-MAX_FILES], *self.folder.glob("damaged-*")]:
            old.unlink()

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is not damaged; None if there are no files, InputError if all are damaged.

        Damaged files are renamed, and `warn` is called with a sentence about each.
        """
        damaged = []
        for file in reversed(self.files()):
            try:
                checkpoint = _read(file)
            except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
                damaged.append((file, " ".join(str(error).split()) or type(error).__name__))
                continue
            for wrong, reason in damaged:
                warn(f"{wrong} is damaged ({reason}); resuming from the checkpoint before it, {file.name}.")
                wrong.rename(wrong.with_name(f"damaged-{wrong.name}"))
            return checkpoint
        if damaged:
            raise InputError(f"{damaged[0][0]} cannot be read ({damaged[0][1]}), and there is no checkpoint before it.")
        return None

    def clear_partial(self) -> None:
        """Deletes the files of interrupted writes."""
        for partial in self.folder.glob(".*.partial"):
            partial.unlink()


def _position(file: Path) -> Position:
    _, epochs, *step = file.stem.replace("-step-", "-").split("-")
    return Position(int(epochs), int(step[0]) if step else 0)


def _finite_value(variable) -> np.ndarray:
    value = np.asarray(keras.ops.convert_to_numpy(variable), order="C")
    # NumPy's files have no bfloat16.
    value = value.astype("float32") if value.dtype.kind == "V" else value
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise NotFiniteError(f"{getattr(variable, 'path', 'a metric')} is not finite")
    return value


def _read(file: Path) -> Checkpoint:
    with np.load(file) as archive:
        progress = json.loads(archive[PROGRESS])
        groups = ("model", "optimizer", "metrics")
        variables = {name: [archive[key] for key in archive if key.startswith(f"{name}/")] for name in groups}
    return Checkpoint(Position(*progress["position"]), progress["history"], progress["events"], variables)


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise InputError("the checkpoint does not fit the recipe: it is of another network or optimizer.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
