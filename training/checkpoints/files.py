"""The state of a training, in files from which it goes on to the bit."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

# The newest, and one to fall back to.
KEPT = 2

FACTS = "facts"


@dataclass(frozen=True, order=True)
class Position:
    """How far a training has come.

    Attributes:
        epochs: that are done, validation included.
        step: how many steps of the next one are done; all of them where only its validation is missing.
    """

    epochs: int = 0
    step: int = 0

    def __str__(self) -> str:
        if self.step:
            return f"after step {self.step} of epoch {self.epochs + 1}"
        return f"after epoch {self.epochs}" if self.epochs else "at the start"


@dataclass(frozen=True)
class State:
    """All that a training needs to go on as if it had not stopped.

    Attributes:
        position: where it goes on.
        history: a row of figures for every whole epoch.
        events: how long TensorBoard's files were, in bytes, by their path in the run's folder for them.
        variables: the values of the model's variables, dropout's seeds included, of the optimizer's (loss scale and
            averages are among them), and of the metrics of the epoch.
    """

    position: Position
    history: list[dict[str, float]]
    events: dict[str, int]
    variables: dict[str, list[np.ndarray]]

    def restore(self, model: keras.Model) -> None:
        """Gives a compiled model and its optimizer the values of the state.

        Raises:
            InputError: it is another network's or another optimizer's.
        """
        for group, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
            _assign(variables, self.variables[group])

    def restore_metrics(self, model: keras.Model) -> None:
        """Lets the model's metrics go on from what they had seen of the epoch."""
        if len(model.metrics_variables) < len(self.variables["metrics"]):
            _build_metrics(model)
        _assign(model.metrics_variables, self.variables["metrics"])


class NotFiniteError(ArithmeticError):
    """A state was not written because a weight in it is not a finite number."""


class Checkpoints:
    """The files of a run's states: `epoch-0003.npz`, `epoch-0003-step-000120.npz`.

    A file has its name when it is whole and on the disk. The newest and the one before are kept.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def file(self, position: Position) -> Path:
        """Where the state at a position is kept."""
        step = f"-step-{position.step:06d}" if position.step else ""
        return self.folder / f"epoch-{position.epochs:04d}{step}.npz"

    def files(self) -> list[Path]:
        """All of them, the oldest first."""
        return sorted(self.folder.glob("epoch-*.npz"), key=_position)

    def write(
        self,
        position: Position,
        model: keras.Model,
        metrics: Sequence[np.ndarray],
        history: list[dict[str, float]],
        events: dict[str, int],
    ) -> None:
        """Writes a state, and removes what it makes superfluous.

        Args:
            position: where a training goes on from it.
            model: compiled; the values of its variables are written.
            metrics: the values of its metrics.
            history, events: as in `State`.

        Raises:
            NotFiniteError: nothing was written.
            OSError: neither.
        """
        groups = {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": metrics}
        facts = {"epochs": position.epochs, "step": position.step, "history": history, "events": events}
        with atomic_write(self.file(position)) as file, zipfile.ZipFile(file, "w") as archive:
            for group, variables in groups.items():
                for number, variable in enumerate(variables):
                    _write_array(archive, f"{group}/{number}", _finite(variable))
            archive.writestr(FACTS, json.dumps(facts))
        for file in [*self.files()[:-KEPT], *self.folder.glob("damaged-*")]:
            file.unlink()

    def newest(self, tell: Callable[[str], None]) -> State | None:
        """The newest state that can be read; None where there is no file.

        Files that are damaged get other names.

        Args:
            tell: takes a sentence for each of them.

        Raises:
            InputError: none can be read.
        """
        damaged = []
        for file in reversed(self.files()):
            try:
                state = _read(file)
            except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
                damaged.append((file, " ".join(str(error).split()) or type(error).__name__))
                continue
            for wrong, reason in damaged:
                tell(f"{wrong} is damaged ({reason}); going on from {file.name}, the state before it.")
                wrong.rename(wrong.with_name(f"damaged-{wrong.name}"))
            return state
        if damaged:
            raise InputError(f"{damaged[0][0]} cannot be read ({damaged[0][1]}), and there is no state before it.")
        return None

    def clear_partial(self) -> None:
        """Removes what a kill in the middle of writing left."""
        for partial in self.folder.glob(".*.partial"):
            partial.unlink()


def _position(file: Path) -> Position:
    _, epochs, *step = file.stem.replace("-step-", "-").split("-")
    return Position(int(epochs), int(step[0]) if step else 0)


def _finite(variable) -> np.ndarray:
    value = np.asarray(keras.ops.convert_to_numpy(variable))
    # NumPy's files know no floats of 16 bits but its own.
    value = value.astype("float32") if value.dtype.kind == "V" else value
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise NotFiniteError(f"{getattr(variable, 'path', 'a metric')} is not finite")
    return value


def _write_array(archive: zipfile.ZipFile, name: str, value: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(value).reshape(value.shape), allow_pickle=False)


def _read(file: Path) -> State:
    with zipfile.ZipFile(file) as archive:
        facts = json.loads(archive.read(FACTS))
        names = archive.namelist()
        groups = {group: list(_arrays(archive, group, names)) for group in ("model", "optimizer", "metrics")}
    return State(Position(facts["epochs"], facts["step"]), facts["history"], facts["events"], groups)


def _arrays(archive: zipfile.ZipFile, group: str, names: list[str]) -> Iterator[np.ndarray]:
    for number in range(sum(name.startswith(f"{group}/") for name in names)):
        with archive.open(f"{group}/{number}.npy") as file:
            yield np.lib.format.read_array(file, allow_pickle=False)


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise InputError("the checkpoint does not fit the recipe: it is of another network or optimizer.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _build_metrics(model: keras.Model) -> None:
    """Makes the variables that Keras makes at the first step."""
    outputs = keras.tree.map_structure(lambda output: np.zeros((1, *output.shape[1:]), "float32"), model.output)
    model.compute_loss(y=outputs, y_pred=outputs)
    model.compute_metrics(None, outputs, outputs)
