"""What an experiment leaves: a table beside the published one, curves, and everything as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.evaluation.plots import runs_figure
from kerascnn.experiments.experiment import Experiment
from kerascnn.experiments.measures import Measured
from kerascnn.experiments.runs import ArmRun
from kerascnn.training.run_folder import commit, versions

RESULTS_FILE, TABLE_FILE, CURVES_FILE = "results.json", "table.md", "curves.png"


@dataclass(frozen=True)
class Outcome:
    """An experiment that was run.

    Attributes:
        name, scale: what and how large.
        experiment: its data.
        data: what it was run on.
        runs: every arm with every seed.
        measured: the table.
    """

    name: str
    scale: str
    experiment: Experiment
    data: DataSet
    runs: Sequence[ArmRun]
    measured: Measured

    def sentences(self) -> list[str]:
        """What was run, what it says of the paper's claims, and what it cannot say."""
        experiment = self.experiment
        lines = [f"{self.scale[0].upper()}{self.scale[1:]} scale: {self._size()}."]
        lines.append(f"Published figures: {experiment.published_on} ({experiment.paper}).")
        lines += experiment.remarks
        lines += [f"{verdict[0].upper()}{verdict[1:]}" for verdict in self.measured.verdicts]
        if self.scale == "small" and experiment.small_cannot:
            lines.append(f"At this scale the experiment cannot show {experiment.small_cannot}.")
        return lines

    def _size(self) -> str:
        trained = self.runs[0]
        recipe, steps = trained.recipe, sorted({run.steps for run in self.runs if not run.diverged})
        seeds = sorted({run.recipe.seed for run in self.runs})
        sizes = " or ".join(f"{size} x {size}" for size in sorted({run.recipe.image_size for run in self.runs}))
        return (
            f"{len(self.data.training)} training and {len(self.data.validation)} test images of {self.data.name} at "
            f"{sizes} pixels, {' or '.join(map(str, steps)) or 'no'} steps with batches of {recipe.batch_size}, "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}, {recipe.precision}"
        )

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """The epochs of every run, by its arm and, where there are several, its seed."""
        several = len({run.recipe.seed for run in self.runs}) > 1
        return {
            f"{run.arm.name}, seed {run.recipe.seed}" if several else run.arm.name: run.folder.history()
            for run in self.runs
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "experiment": self.name,
            "about": self.experiment.about,
            "paper": self.experiment.paper,
            "published_on": self.experiment.published_on,
            "scale": self.scale,
            "size": self._size(),
            "data": self.data.source,
            "training_images": len(self.data.training),
            "test_images": len(self.data.validation),
            "seeds": sorted({run.recipe.seed for run in self.runs}),
            "rows": self.measured.figures,
            "claims": self.measured.verdicts,
            "training_seconds": sum(run.seconds for run in self.runs),
            "histories": self.histories(),
            "versions": versions(),
            "commit": commit(),
            "date": time.strftime("%Y-%m-%d"),
        }

    def to_markdown(self) -> str:
        """The table and what is to be said of it."""
        head, *rows = (" | ".join(row) for row in (self.measured.head, *self.measured.rows))
        line = "|".join(["---", *["---:"] * (len(self.measured.head) - 1)])
        table = "\n".join([f"| {head} |", f"|{line}|", *(f"| {row} |" for row in rows)])
        return f"# {self.name}: {self.experiment.about}\n\n{table}\n\n" + "\n\n".join(self.sentences()) + "\n"


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Writes results.json, table.md and curves.png, in which a training that diverged ends early.

    Raises:
        InputError: the folder cannot be written.
    """
    histories = {name: history for name, history in outcome.histories().items() if history}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(outcome.to_dict(), indent=2, ensure_ascii=False)
        (folder / RESULTS_FILE).write_text(text, encoding="utf-8")
        (folder / TABLE_FILE).write_text(outcome.to_markdown(), encoding="utf-8")
        if histories:
            runs_figure(histories, f"{outcome.name}, {outcome.data.name}").savefig(folder / CURVES_FILE)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from None
