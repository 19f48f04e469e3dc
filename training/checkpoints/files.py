"""Checkpoint files, from which a training resumes bit-exact."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import keras
import numpy as np

from kerascnn.errors import InputError, one_line
from kerascnn.files.atomic import atomic_write
from kerascnn.files.user_file import open_file

MAX_FILES = 2  # The newest checkpoint, and one to fall back to
PROGRESS = "progress"  # The name, in the archive, of everything that is no array
NAME = re.compile(r"epoch-(\d{4,9})(?:-step-(\d{6,9}))?\.npz")
DAMAGED_NAME, PARTIAL_NAME = re.compile(f"damaged-{NAME.pattern}"), re.compile(r"\..*\.partial")
# At the end of a file, as the archive's comment: the SHA-256 of everything before, in hexadecimal.
DIGEST_BYTES = 64
CHUNK = 1 << 20


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
    recipe: dict[str, Any] = field(default_factory=dict)  # of the run, with which it was trained up to here

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

    A file gets its name when it is complete and on the disk. Only the newest two remain. Other files and folders in
    `folder` are nobody's business here.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def files(self) -> list[Path]:
        """All checkpoint files, the oldest first."""
        return sorted(self._named(NAME), key=_position)

    def _named(self, pattern: re.Pattern) -> list[Path]:
        return [file for file in self.folder.glob("*") if pattern.fullmatch(file.name) and file.is_file()]

    def write(
        self, position: Position, model: keras.Model, history: Sequence[dict], snapshot: Snapshot, recipe: dict
    ) -> None:
        """Writes a checkpoint of a compiled model, and deletes others; for `history` and `recipe` see `Checkpoint`.

        If a weight is not finite, or the file cannot be written (NotFiniteError, OSError), the others remain.
        """
        step = f"-step-{position.step:06d}" if position.step else ""
        file_name = f"epoch-{position.epochs:04d}{step}.npz"
        groups = {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": snapshot.metrics}
        progress = {"position": astuple(position), "history": history, "events": snapshot.events, "recipe": recipe}
        with atomic_write(self.folder / file_name) as file:
            with zipfile.ZipFile(file, "w") as archive:
                for group, variables in groups.items():
                    for number, variable in enumerate(variables):
                        # One by one, where np.savez would hold all of them in memory.
                        with archive.open(f"{group}/{number}.npy", "w", force_zip64=True) as member:
                            np.lib.format.write_array(member, _finite_value(variable), allow_pickle=False)
                archive.writestr(PROGRESS, json.dumps(progress))
                archive.comment = bytes(DIGEST_BYTES)
            digest = _digest(file)
            file.seek(-DIGEST_BYTES, os.SEEK_END)
            file.write(digest)
        # Later ones are of an epoch that was begun again.
        kept = [file for file in self.files() if _position(file) <= position][-MAX_FILES:]
        for old in {*self.files(), *self._named(DAMAGED_NAME)} - {*kept}:
            old.unlink()

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is not damaged; None if there are no files, InputError if all are damaged.

        Damaged files are renamed, and `warn` is called with a sentence about each. Whatever goes wrong in reading a
        file is damage, but for too little memory.
        """
        damaged = []
        for file in reversed(self.files()):
            try:
                checkpoint = _read(file)
            except MemoryError:
                # The file may be whole, and would be deleted later.
                raise
            except Exception as error:
                damaged.append((file, one_line(error).rstrip(".")))
                continue
            for wrong, reason in damaged:
                warn(f"{wrong} is damaged ({reason}); resuming from the checkpoint before it, {file.name}.")
                with contextlib.suppress(OSError):
                    wrong.rename(wrong.with_name(f"damaged-{wrong.name}"))
            return checkpoint
        if damaged:
            raise InputError(f"{damaged[0][0]} cannot be read ({damaged[0][1]}), and there is no checkpoint before it.")
        return None

    def clear_partial(self) -> None:
        """Deletes the files of interrupted writes."""
        for partial in self._named(PARTIAL_NAME):
            partial.unlink()


def _position(file: Path) -> Position:
    epochs, step = NAME.fullmatch(file.name).groups(default="0")
    return Position(int(epochs), int(step))


def _finite_value(variable) -> np.ndarray:
    value = np.asarray(keras.ops.convert_to_numpy(variable), order="C")
    # NumPy's files have no bfloat16.
    value = value.astype("float32") if value.dtype.kind == "V" else value
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise NotFiniteError(f"{getattr(variable, 'path', 'a metric')} is not finite")
    return value


def _read(file: Path) -> Checkpoint:
    """The checkpoint in a file; ValueError if its contents are not those that were written."""
    with open_file(file) as opened:
        # Before anything is parsed: a damaged header would be misread.
        if _digest(opened) != opened.read():
            raise ValueError("its contents do not have their checksum")
        opened.seek(0)
        with np.load(opened) as archive:
            progress = json.loads(archive[PROGRESS])
            groups = ("model", "optimizer", "metrics")
            variables = {name: [archive[key] for key in archive if key.startswith(f"{name}/")] for name in groups}
    history, events, recipe = (progress[name] for name in ("history", "events", "recipe"))
    return Checkpoint(Position(*progress["position"]), history, events, variables, recipe)


def _digest(file: BinaryIO) -> bytes:
    """The SHA-256 of a file without its last `DIGEST_BYTES`, to which it is read."""
    left, digest = file.seek(0, os.SEEK_END) - DIGEST_BYTES, hashlib.sha256()
    file.seek(0)
    while left > 0:
        part = file.read(min(left, CHUNK))
        digest.update(part)
        left -= len(part)
    return digest.hexdigest().encode()


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise InputError("the checkpoint does not fit the recipe: it is of another network or optimizer.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
