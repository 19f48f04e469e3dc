"""Loggers for tracking services: a training's recipe and metrics in Weights & Biases, or in MLflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from kerascnn.console import messages, print_text
from kerascnn.errors import InputError, check_installed, one_line, refused
from kerascnn.training.callbacks.tensorboard import curve, hyperparameters
from kerascnn.training.recipe.recipe import Recipe


class RunLogger(keras.callbacks.Callback):
    """Logs a training's recipe and the metrics of its epochs, under TensorBoard's names, to a tracking service.

    The service's run is named as the run folder, which keeps its identifier in a file: a resumed training continues
    it. A service that fails once a training has begun does not stop it. Subclasses have `begin`, `describe`, `log` and
    `finish`.

    Args:
        options: more arguments of `wandb.init`, or of `mlflow.start_run`.

    Raises:
        InputError: the service's package is not installed.
    """

    name = ""

    def __init__(self, **options: Any):
        super().__init__()
        check_installed(type(self).__name__, self.name, self.name)
        self.options, self.stopped, self.begun = options, False, False

    def prepare(self, folder: Path, recipe: Recipe) -> None:
        """Takes the run folder and the resolved recipe, before the training begins."""
        self.folder, self.values = folder, hyperparameters(recipe)

    def begin(self, earlier: str | None) -> str:
        """Begins a run, or continues the one with an earlier identifier; returns the identifier."""
        raise NotImplementedError

    def describe(self) -> None:
        """Logs the recipe in the run that has begun."""
        raise NotImplementedError

    def log(self, values: dict[str, float], epoch: int) -> None:
        """Logs the metrics of an epoch, counted from 1."""
        raise NotImplementedError

    def finish(self, status: str) -> None:
        """Ends the run as "FINISHED", "KILLED" or "FAILED"."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        file = self.folder / f"{self.name}-run.txt"
        self.stopped = False
        try:
            with refused(f"{self.name} cannot begin a run"):
                identifier = self.begin(file.read_text().strip() if file.is_file() else None)
                self.begun = True
                self.describe()
        except InputError:
            self._end("FAILED")
            raise
        file.write_text(f"{identifier}\n")

    def on_epoch_end(self, epoch, logs=None):
        self._attempt(self.log, {"/".join(curve(name, logs)): float(value) for name, value in logs.items()}, epoch + 1)

    def on_train_end(self, logs=None):
        self._end("FINISHED")

    def stopping(self) -> None:
        """The user asks to stop."""
        self.stopped = True

    def close(self) -> None:
        """Ends the run of a training that was stopped, or failed."""
        self._end("KILLED" if self.stopped else "FAILED")

    def _end(self, status: str) -> None:
        if self.begun:
            self._attempt(self.finish, status)
        self.begun = False

    def _attempt(self, call: Callable[..., None], *arguments) -> None:
        try:
            call(*arguments)
        except Exception as error:
            print_text(messages(), f"{self.name} failed, and the training goes on: {one_line(error)}")


class WandbLogger(RunLogger):
    """Logs to Weights & Biases; needs `pip install 'kerascnn[wandb]'`.

    The project is that of WANDB_PROJECT, or else kerascnn. A run that is active already is used, and left open. See
    `RunLogger`.

    Example:
        >>> run = train("resnet20", "digits", callbacks=[WandbLogger(project="digits")])
    """

    name = "wandb"

    def begin(self, earlier: str | None) -> str:
        import wandb

        self.owned = wandb.run is None
        if self.owned:
            options = {"project": os.environ.get("WANDB_PROJECT", "kerascnn"), "name": self.folder.name}
            # Its own files belong to the run, not to the working directory.
            options |= {"id": earlier, "resume": "allow", "dir": os.environ.get("WANDB_DIR", str(self.folder))}
            self.run = wandb.init(**{**options, **self.options})
        else:
            self.run = wandb.run
        return self.run.id

    def describe(self) -> None:
        self.run.config.update(self.values, allow_val_change=True)
        for split in ("train", "validation"):
            self.run.define_metric(f"{split}/*", step_metric="epoch")

    def log(self, values: dict[str, float], epoch: int) -> None:
        self.run.log({"epoch": epoch, **values})

    def finish(self, status: str) -> None:
        if self.owned:
            self.run.finish(exit_code=0 if status == "FINISHED" else 1)


class MLflowLogger(RunLogger):
    """Logs to MLflow; needs `pip install 'kerascnn[mlflow]'`.

    The server and the experiment are those of MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME. Within a run that is
    active already, it is a child of that. See `RunLogger`.

    Example:
        >>> run = train("resnet20", "digits", callbacks=[MLflowLogger(tags={"team": "vision"})])
    """

    name = "mlflow"

    def begin(self, earlier: str | None) -> str:
        import mlflow

        named = {"run_id": earlier} if earlier else {"run_name": self.folder.name}
        return mlflow.start_run(**{"nested": True, **named, **self.options}).info.run_id

    def describe(self) -> None:
        import mlflow

        mlflow.log_params(self.values)

    def log(self, values: dict[str, float], epoch: int) -> None:
        import mlflow

        mlflow.log_metrics(values, step=epoch)

    def finish(self, status: str) -> None:
        import mlflow

        mlflow.end_run(status)


def with_run(
    callbacks: Sequence[keras.callbacks.Callback], folder: Path, recipe: Recipe, chief: bool
) -> list[keras.callbacks.Callback]:
    """The callbacks; loggers take the run folder and the recipe, and are left out on workers but the chief."""
    loggers = [callback for callback in callbacks if isinstance(callback, RunLogger)]
    if not chief:
        return [callback for callback in callbacks if callback not in loggers]
    for logger in loggers:
        logger.prepare(folder, recipe)
    return [*callbacks]


LOGGERS = {logger.name: logger for logger in (WandbLogger, MLflowLogger)}
