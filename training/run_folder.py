"""The run folder: its files, and the recipe, data source and versions in its recipe.yaml."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

import kerascnn
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_text
from kerascnn.files.history import read_history
from kerascnn.files.run_names import HISTORY_FILE, MODEL_FILE, RECIPE_FILE
from kerascnn.metric_names import main_accuracy
from kerascnn.training.recipe.files import read_yaml

# Names of runs are looked up at every start: recipes and pydantic wait until one is read.
if TYPE_CHECKING:
    from kerascnn.data.dataset import DataSet
    from kerascnn.training.recipe.recipe import Recipe
    from kerascnn.training.run_config import RunConfig
    from kerascnn.training.run_record import RunRecord


@dataclass(frozen=True)
class RunFolder:
    """`runs/<model>-<data>-<time>/`: the recipe, the model, the history, the checkpoints and TensorBoard's files."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        return self.path / RECIPE_FILE

    @property
    def images_file(self) -> Path:
        return self.path / "images.csv.gz"

    @property
    def model_file(self) -> Path:
        return self.path / MODEL_FILE

    @property
    def history_file(self) -> Path:
        return self.path / HISTORY_FILE

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @staticmethod
    def create(runs: Path, model: str, data: str) -> RunFolder:
        """Creates a folder in `runs`, with a number if another run started in the same second.

        Raises:
            InputError: the folder cannot be written.
        """
        stem = f"{model}-{data}-{time.strftime('%Y%m%d-%H%M%S')}"
        with writing(runs):
            runs.mkdir(parents=True, exist_ok=True)
            for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
                with contextlib.suppress(FileExistsError):
                    (runs / f"{stem}{suffix}").mkdir()
                    return RunFolder(runs / f"{stem}{suffix}")
        raise InputError(f"{runs} holds too many runs named {stem}.")

    @staticmethod
    def open(path: Path) -> RunFolder:
        """The folder of an earlier run; raises InputError if it is not one."""
        folder = RunFolder(path)
        # The functions of `Path` fail where a path is too long.
        if not os.path.isfile(folder.recipe_file):
            raise InputError(f"{path} is not a run folder: it holds no recipe.yaml.")
        return folder

    @staticmethod
    def around(path: Path) -> RunFolder | None:
        """The run folder that `path` is, or that contains the model at `path`; None if there is none.

        Example:
            >>> RunFolder.around(Path("runs/mine/checkpoints/best-epoch-0007.keras")).path
            PosixPath('runs/mine')
        """
        folders = map(RunFolder, (path, path.parent, path.parent.parent))
        return next((folder for folder in folders if os.path.isfile(folder.recipe_file)), None)

    def write_recipe(
        self,
        recipe: Recipe,
        source: str,
        limit: int | None,
        summary: dict[str, Any],
        run_config: RunConfig,
        options: DataOptions = DataOptions(),
    ) -> None:
        """Writes the resolved recipe, the run's other arguments, and the versions."""
        values = {
            "recipe": recipe.to_dict(),
            "data": {"source": source, "limit": limit, **({"options": given} if (given := options.to_dict()) else {})},
            "run_config": asdict(run_config),
            "facts": summary,
            "versions": versions(),
            "commit": commit(),
        }
        atomic_text(self.recipe_file, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    def add_facts(self, **facts: Any) -> None:
        """Adds to the "facts" of recipe.yaml."""
        self.update(facts=facts)

    def update(self, **groups: dict[str, Any]) -> None:
        """Changes fields in groups of recipe.yaml, such as `facts={"exported": "probe"}`."""
        values = read_yaml(self.recipe_file)
        for name, changes in groups.items():
            values[name] |= changes
        atomic_text(self.recipe_file, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    def read_record(self) -> RunRecord:
        """Reads everything in recipe.yaml; raises InputError if it is damaged, or a value has the wrong type."""
        from kerascnn.training.recipe.validation import validated
        from kerascnn.training.run_record import RunRecord

        return validated(RunRecord, read_yaml(self.recipe_file), str(self.recipe_file))

    def read_recipe(self) -> tuple[Recipe, str, int | None, dict[str, Any]]:
        """Reads recipe, data source, limit, and the numbers of images, steps and parameters ("facts" in the file).

        Raises:
            InputError: the file is damaged.
        """
        record = self.read_record()
        return record.recipe, record.data.source, record.data.limit, record.facts

    def read_data_options(self) -> DataOptions:
        """Reads how the data were loaded: the columns of tables, and what was held out; InputError if damaged."""
        return DataOptions.from_dict(self.read_record().data.options)

    def read_run_config(self) -> RunConfig:
        """Reads the run's settings; raises InputError if the file is damaged."""
        return self.read_record().run_config

    def changed_data(self, data: DataSet) -> list[str]:
        """What differs between the images that the run began with and these, as phrases.

        Raises:
            InputError: the data have other classes.
        """
        from kerascnn.training.run_images import changed_images

        facts = self.read_record().facts
        if facts.get("classes") != list(data.class_names):
            raise InputError(f"{data.source} has other classes than {self.path} was trained on.")
        if self.images_file.is_file():
            return changed_images(self.images_file, data)
        counts = {"training": len(data.training), "validation": len(data.validation)}
        before = {split: facts.get(f"{split}_images") for split in counts}
        return [f"{counts[one]} {one} images and not {before[one]}" for one in counts if counts[one] != before[one]]

    def epoch_model(self, which: Literal["last", "best"]) -> tuple[Path, str]:
        """The file of a finished run's last or best model, and a sentence about the choice.

        The best epoch is the first of the highest validation accuracy, or mAP; the last one, if it is as good.

        Raises:
            InputError: the best model was not saved.
        """
        history, facts = self.history(), self.read_recipe()[3]
        if "exported" in facts:
            return self.model_file, f"exports the {facts['exported']} model, chosen on held-out training images"
        metric = main_accuracy(history[0])
        accuracies = [row[metric] for row in history]
        best, last = accuracies.index(max(accuracies)) + 1, len(accuracies)
        if accuracies[-1] == max(accuracies):
            return self.model_file, f"exports epoch {last}, the last and the best ({accuracies[-1]:.2%})"
        if which == "last":
            hint = f"the best was epoch {best} ({max(accuracies):.2%}), which --export best exports"
            return self.model_file, f"exports the last epoch, {last} ({accuracies[-1]:.2%}); {hint}"
        file = self.checkpoints / f"best-epoch-{best:04d}.keras"
        if not file.is_file():
            raise InputError(f"{file} was not saved; --export best needs --keep-best of at least 1.")
        why = "it was chosen on the same images, which makes its accuracy look better"
        return file, f"exports epoch {best}, the best of {last} ({max(accuracies):.2%}); {why}"

    def history(self) -> list[dict[str, float]]:
        """The metrics of the run, one mapping per epoch."""
        return read_history(self.history_file)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that compute."""
    import keras
    import numpy
    import tensorflow

    packages = (kerascnn, keras, tensorflow, numpy)
    return {**{one.__name__: one.__version__ for one in packages}, "python": platform.python_version()}


def commit() -> str | None:
    """The commit of the checkout that this code runs from; None if it runs from an installation."""
    folder, name = os.path.split(os.path.realpath(__file__))
    git = ["git", "-C", folder]
    options: dict[str, Any] = {"capture_output": True, "check": True, "text": True, "timeout": 10}
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", name], **options)
        found = subprocess.run([*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"], **options)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
