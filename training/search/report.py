"""The results of a search: ranked trials, the best recipe, a report, and TensorBoard's files."""

from __future__ import annotations

import csv
import functools
import io
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.files.atomic import atomic_write
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.callbacks.hparams import begin_row, end_trial, flat
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search import plots
from kerascnn.training.search.config import SearchConfig, SearchFolder
from kerascnn.training.search.journal import Journal, TrialRecord
from kerascnn.training.search.validation import dry_build

SPENT = ("epochs", "seconds", "images")


@dataclass(frozen=True)
class Search:
    """The results of a search.

    Attributes:
        folder: the search's folder.
        config: its settings.
        records: its trials, the best first and failed ones last.
    """

    folder: SearchFolder
    config: SearchConfig
    records: list[TrialRecord]

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None if all failed."""
        return self.records[0] if self.records and self.records[0].score is not None else None

    @property
    def recipe(self) -> Recipe | None:
        """The best trial's recipe."""
        return Recipe.from_dict(self.best.recipe, "the best trial") if self.best else None

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """Plain values: the best trial, its network's size, the cost of the search, and every trial."""
        return {
            "search": str(self.folder.path),
            "objective": self.config.objective.name,
            "best": _row(self.best) if self.best else None,
            "cost": dry_build(self.recipe, self.config.classes)._asdict() if self.best else None,
            "spent": {
                "trials": len(self.records),
                "failed": dict(Counter(record.reason for record in self.records if record.reason)),
                "seconds": round(sum(record.seconds for record in self.records), 1),
                "images": sum(record.images for record in self.records),
            },
            "importance": plots.importances(self.config.space, self.records, self.config.objective),
            "trials": [_row(record) for record in self.records],
        }


def finish(folder: SearchFolder, config: SearchConfig, journal: Journal, complete: bool) -> Search:
    """Writes the results of a search and, if it is complete, removes the checkpoints of its trials.

    The search's folder then contains `best.yaml`, `report.json`, `trials.csv`, two plots and TensorBoard's files.
    """
    search = Search(folder, config, journal.ranked(config.objective))
    report = search.report
    _write(folder.path / "report.json", json.dumps(report, indent=1))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(dict.fromkeys(name for row in report["trials"] for name in row)))
    writer.writeheader()
    writer.writerows(report["trials"])
    _write(folder.path / "trials.csv", table.getvalue())
    if search.best:
        head = f"# the best of {len(search.records)} trials: {config.objective.name} {search.best.score:.4f}\n"
        _write(folder.best_file, head + search.recipe.to_yaml())
        write_hparams(search, plots.draw(folder.path, config, search.records, report["importance"]))
    if complete:
        journal.remove_checkpoints(config.objective)
    return search


def write_hparams(search: Search, images: Sequence[Path]) -> None:
    """Writes TensorBoard's files: the trials that have a score as rows of the HParams table, and the plots.

    TensorBoard draws its own parallel coordinates and scatter plots from the table.

    Args:
        search: the search; the contents of its `tensorboard` folder are replaced.
        images: the plots' PNG files.
    """
    from PIL import Image

    folder, objective = search.folder.tensorboard, search.config.objective.name
    shutil.rmtree(folder, ignore_errors=True)
    titles = {objective: objective, **{f"spent/{name}": name for name in SPENT}}
    fields = [parameter.field for parameter in search.config.space.parameters]
    for record in search.records:
        if record.score is None:
            continue
        events = EventFile(folder / f"{record.number:04d}")
        # Fields that do not apply to this trial have a cell, too.
        begin_row(events, {**dict.fromkeys(fields, "–"), **flat(record.fields)}, titles, first=fields)
        for metrics in record.curve:
            events.scalar(objective, metrics[objective], int(metrics["epoch"]))
        for name, value in zip(SPENT, (len(record.curve), record.seconds, record.images), strict=True):
            events.scalar(f"spent/{name}", float(value), len(record.curve))
        end_trial(events)
        events.close()
    events = EventFile(folder)
    for file in images:
        with Image.open(file) as opened:
            events.image(file.stem, np.asarray(opened.convert("RGB")), step=0)
    events.close()


def _row(record: TrialRecord) -> dict[str, Any]:
    return {
        "trial": record.number,
        "score": record.score,
        "status": record.status,
        "reason": record.reason,
        "detail": record.detail,
        "epochs": len(record.curve),
        "batch_size": record.recipe.get("batch_size"),
        "seconds": round(record.seconds, 1),
        "images": record.images,
        **record.fields,
    }


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())
