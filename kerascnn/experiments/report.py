"""The results of an experiment: a table next to the published one, curves, and JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.complexity.report import markdown_table
from kerascnn.data.dataset import DataSet
from kerascnn.errors import writing
from kerascnn.evaluation.plots import runs_figure
from kerascnn.experiments.experiment import Experiment
from kerascnn.experiments.measures import Measured
from kerascnn.experiments.runs import ArmRun
from kerascnn.training.run_folder import commit, versions


@dataclass(frozen=True)
class Outcome:
    """A completed experiment: its name, its scale, every arm with every seed, and the measurements."""

    name: str
    scale: str
    experiment: Experiment
    data: DataSet
    runs: Sequence[ArmRun]
    measured: Measured

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs, in order."""
        return sorted({run.recipe.seed for run in self.runs})

    @property
    def size(self) -> str:
        """The number of images and steps, the seeds and the precision, as text."""
        seeds, recipes = self.seeds, [run.recipe for run in self.runs]
        steps = sorted({run.steps for run in self.runs if not run.diverged})
        sizes = " or ".join(f"{size} x {size}" for size in sorted({recipe.image_size for recipe in recipes}))
        batches = " or ".join(map(str, sorted({recipe.batch_size for recipe in recipes})))
        return (
            f"{len(self.data.training)} training and {len(self.data.validation)} test images of {self.data.name} at "
            f"{sizes} pixels, {' or '.join(map(str, steps)) or 'no'} steps with batches of {batches}, "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}, {recipes[0].precision}"
        )

    def sentences(self) -> list[str]:
        """The size of the experiment, the notes, the results for the paper's claims, and the limits of the scale."""
        experiment = self.experiment
        lines = [f"{self.scale.capitalize()} scale: {self.size}."]
        lines += [f"Published results: {experiment.published_on} ({experiment.paper}).", *experiment.notes]
        lines += [f"{result[0].upper()}{result[1:]}" for result in self.measured.claim_results]
        if self.scale == "small" and experiment.small_cannot:
            lines.append(f"At this scale the experiment cannot show {experiment.small_cannot}.")
        return lines

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """The epochs of every run, by its arm and, if there are several, its seed."""
        several = len(self.seeds) > 1
        return {
            f"{run.arm.name}, seed {run.recipe.seed}" if several else run.arm.name: run.folder.history()
            for run in self.runs
        }

    def to_dict(self) -> dict[str, Any]:
        """All results as plain values, for JSON."""
        experiment, data = self.experiment, self.data
        return {
            "experiment": self.name, "about": experiment.about, "paper": experiment.paper,
            "published_on": experiment.published_on, "scale": self.scale, "size": self.size, "data": data.source,
            "training_images": len(data.training), "test_images": len(data.validation), "seeds": self.seeds,
            "rows": self.measured.values, "claim_results": self.measured.claim_results,
            "training_seconds": sum(run.seconds for run in self.runs), "histories": self.histories(),
            "versions": versions(), "commit": commit(), "date": time.strftime("%Y-%m-%d"),
        }  # fmt: skip

    def to_markdown(self) -> str:
        """The table and the sentences, as a Markdown page."""
        table = markdown_table(self.measured.head, self.measured.rows, 1)
        return f"# {self.name}: {self.experiment.about}\n\n{table}\n\n" + "\n\n".join(self.sentences()) + "\n"


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Writes results.json, table.md and curves.png; raises InputError if the folder cannot be written."""
    histories = {name: history for name, history in outcome.histories().items() if history}
    figure = outcome.measured.figure
    if figure is None and histories:
        figure = runs_figure(histories, f"{outcome.name}, {outcome.data.name}")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(outcome.to_dict(), indent=2, ensure_ascii=False)
        (folder / "results.json").write_text(text, encoding="utf-8")
        (folder / "table.md").write_text(outcome.to_markdown(), encoding="utf-8")
        if figure:
            figure.savefig(folder / "curves.png")
