"""Running one trial: its folder, its process, a smaller batch when memory runs out, and its record."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.journal import DONE, FAILED, INVALID, MEMORY, NOT_FINITE, STOPPED, Journal, Record
from kerascnn.training.search.median import is_poor
from kerascnn.training.search.plan import SearchConfig
from kerascnn.training.search.processes import TrialExit, run
from kerascnn.training.search.reporting import FIGURES, STOP, read_curve, read_images

# How often a trial that runs out of memory is tried again with half the batch.
HALVINGS = 2


class Runner:
    """Runs the trials of a search one after the other.

    Args:
        plan: of the search.
        journal: gets their records.
        worker: the name under which they are recorded.
        over: whether the search is to end; a trial that runs is stopped then, and can go on later.
    """

    def __init__(self, plan: SearchConfig, journal: Journal, worker: str, over: Callable[[], bool]):
        self.plan = plan
        self.journal = journal
        self.worker = worker
        self.over = over

    def run(self, number: int, values: dict[str, Any], before: Record | None = None) -> Record:
        """Runs a trial to its end, goes on with it, or finds that it has ended already.

        Args:
            number: of the trial.
            values: the oracle's.
            before: the trial whose training this one goes on with.

        Returns:
            The record; one that has not ended where the search is over first.

        Raises:
            KeyboardInterrupt: after the trial's state was written.
        """
        record = self.journal.find(values) or Record(number, values)
        if record.ended:
            return record
        record.worker = self.worker
        record.fields = self.plan.space.fields(values)
        record.epochs = values.get("tuner/epochs")
        try:
            recipe = self._recipe(record, before)
        except InputError as error:
            return self._failed(record, TrialExit(INVALID, str(error)))
        folder = self.journal.place(record.number, values)
        folder.mkdir(parents=True, exist_ok=True)
        if before and not (folder / "run").exists():
            self._take_over(folder, before)
        while True:
            record.recipe = recipe.to_dict()
            self.journal.write(record)
            end = self._attempt(folder, recipe, record)
            if end.reason != MEMORY or len(record.attempts) == HALVINGS or recipe.batch_size == 1:
                break
            record.attempts.append({"batch_size": recipe.batch_size, "reason": end.reason, "detail": end.detail})
            recipe = recipe.with_values(batch_size=recipe.batch_size // 2)
            shutil.rmtree(folder / "run", ignore_errors=True)
            (folder / FIGURES).unlink(missing_ok=True)
        if end.stopped:
            self.journal.write(record)
            return record
        return self._ended(record, end, folder)

    def _recipe(self, record: Record, before: Record | None) -> Recipe:
        if record.recipe:
            return Recipe.from_dict(record.recipe, f"trial {record.number}")
        if before is None:
            return self.plan.space.recipe(self.plan.recipe, record.values)
        if before.score is None:
            raise InputError(f"it goes on with trial {before.number}, which failed.")
        # With the batch that it fitted into memory with.
        return Recipe.from_dict(before.recipe, f"trial {before.number}")

    def _take_over(self, folder: Path, before: Record) -> None:
        """Puts the run of another trial into this one's folder."""
        source = self.journal.place(before.number, before.values)
        for name in ("run", FIGURES):
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / f"{name}.partial", dirs_exist_ok=True)
                os.replace(folder / f"{name}.partial", folder / name)
            elif (source / name).exists():
                shutil.copy(source / name, folder / name)

    def _attempt(self, folder: Path, recipe: Recipe, record: Record) -> TrialExit:
        plan = self.plan
        assignment = {
            "recipe": recipe.to_dict(),
            "data": plan.data,
            "limit": plan.limit,
            "cache": plan.cache,
            "devices": plan.devices,
            "epochs": record.epochs,
            # Behind a launcher the parent is another.
            "parent": None if plan.program else os.getpid(),
        }
        (folder / "assignment.json").write_text(json.dumps(assignment, indent=1))
        rule = _Rule(plan, self.journal, folder, record.epochs or recipe.epochs) if plan.median_rule else None
        started = time.monotonic()

        def attend() -> bool:
            if rule:
                rule.look()
            return self.over()

        try:
            return run(plan.command(folder), folder, plan.limits, attend)
        finally:
            record.seconds += time.monotonic() - started
            record.images += read_images(folder)
            record.curve = read_curve(folder)
            self.journal.write(record)

    def _ended(self, record: Record, end: TrialExit, folder: Path) -> Record:
        if end.reason:
            return self._failed(record, end)
        score = record.curve[-1].get(self.plan.objective.name, math.nan) if record.curve else math.nan
        if not math.isfinite(score):
            detail = f"{self.plan.objective.name} is {score} after the last epoch"
            return self._failed(record, TrialExit(NOT_FINITE, detail))
        record.status, record.score = STOPPED if (folder / STOP).exists() else DONE, score
        self.journal.write(record)
        return record

    def _failed(self, record: Record, end: TrialExit) -> Record:
        record.status, record.reason, record.detail = FAILED, end.reason, end.detail
        self.journal.write(record)
        return record


class _Rule:
    """Asks a trial to stop when the median rule says so, after each of its epochs."""

    def __init__(self, plan: SearchConfig, journal: Journal, folder: Path, epochs: int):
        self.plan = plan
        self.journal = journal
        self.folder = folder
        self.epochs = epochs
        self._looked = 0

    def look(self) -> None:
        file = self.folder / FIGURES
        size = file.stat().st_size if file.exists() else 0
        if size == self._looked or (self.folder / STOP).exists():
            return
        self._looked = size
        own = self._curve(read_curve(self.folder))
        others = [self._curve(record.curve) for record in self.journal.records() if record.score is not None]
        if own and is_poor(own, others, self.epochs, self.plan.objective):
            (self.folder / STOP).touch()

    def _curve(self, figures: list[dict[str, float]]) -> list[float]:
        name = self.plan.objective.name
        return [row[name] for row in figures if name in row]
