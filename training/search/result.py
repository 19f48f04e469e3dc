"""What a search leaves: its trials in order, the best one's recipe, and what all of it took."""

from __future__ import annotations

import csv
import functools
import io
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kerascnn.files.atomic import atomic_write
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.drafts import draft
from kerascnn.training.search.importance import importances
from kerascnn.training.search.journal import Journal, Record
from kerascnn.training.search.objective import Objective
from kerascnn.training.search.plan import SearchConfig, SearchFolder


@dataclass(frozen=True)
class Search:
    """A search that ended.

    Attributes:
        folder: what it left behind.
        plan: what it was to do.
        records: its trials, the best first and the failed ones last.
    """

    folder: SearchFolder
    plan: SearchConfig
    records: list[Record]

    @property
    def best(self) -> Record | None:
        """The best trial; None where every one failed."""
        return self.records[0] if self.records and self.records[0].score is not None else None

    @property
    def recipe(self) -> Recipe | None:
        """The best trial's."""
        return Recipe.from_dict(self.best.recipe, "the best trial") if self.best else None

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """For machines: the best trial, what it costs to run, what the search took, and every trial."""
        failures = Counter(record.reason for record in self.records if record.reason)
        return {
            "search": str(self.folder.path),
            "objective": self.plan.objective.name,
            "best": _row(self.best) if self.best else None,
            "cost": draft(self.recipe, self.plan.classes)._asdict() if self.best else None,
            "spent": {
                "trials": len(self.records),
                "failed": dict(failures),
                "seconds": round(sum(record.seconds for record in self.records), 1),
                "images": sum(record.images for record in self.records),
            },
            "importance": importances(self.plan.space, self.records, self.plan.objective),
            "trials": [_row(record) for record in self.records],
        }


def ranked(records: Sequence[Record], objective: Objective) -> list[Record]:
    """The trials that ended, the best first and the failed ones last; of equal ones the earlier."""
    sign = -1 if objective.direction == "max" else 1
    ended = [record for record in records if record.ended]
    return sorted(ended, key=lambda record: (record.score is None, sign * (record.score or 0), record.number))


def finish(folder: SearchFolder, plan: SearchConfig, journal: Journal, whole: bool) -> Search:
    """Writes the report of a search and, where it came to its end, clears away what it does not need any more.

    In the search's folder are then `best.yaml`, `report.json`, `trials.csv`, two images and TensorBoard's files.
    """
    from kerascnn.training.search.hparams import write_hparams
    from kerascnn.training.search.plots import draw

    search = Search(folder, plan, ranked(journal.records(), plan.objective))
    report = search.report
    _write(folder.path / "report.json", json.dumps(report, indent=1))
    _write(folder.path / "trials.csv", _table(report["trials"]))
    if search.best:
        head = f"# the best of {len(search.records)} trials: {plan.objective.name} {search.best.score:.4f}\n"
        _write(folder.best_file, head + search.recipe.to_yaml())
        images = draw(folder, plan, search.records, report["importance"])
        write_hparams(folder, plan, search.records, images)
    if whole:
        clear(journal, plan.objective)
    return search


def clear(journal: Journal, objective: Objective) -> None:
    """Removes the states of the trials that have ended, and their models but the best one's."""
    for place, record in enumerate(ranked(journal.records(), objective)):
        for run in journal.place(record.number, record.values).glob("run/*"):
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
            if place or record.score is None:
                (run / "model.keras").unlink(missing_ok=True)


def _row(record: Record) -> dict[str, Any]:
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


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())
