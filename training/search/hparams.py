"""A search in TensorBoard: its trials as rows of the HParams table, its images as images."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.training.callbacks.event_files import EventFile, flatten
from kerascnn.training.search.journal import Record
from kerascnn.training.search.plan import SearchConfig, SearchFolder

SPENT = ("epochs", "seconds", "images")


def write_hparams(folder: SearchFolder, plan: SearchConfig, records: Sequence[Record], plots: Sequence[Path]) -> None:
    """Writes the trials that have a score, with the searched fields as columns, and the plots.

    TensorBoard's own parallel coordinates and scatter plots are drawn from them.

    Args:
        folder: of the search; what is in its `tensorboard` is replaced.
        plan: of the search.
        records: the trials, the best first.
        plots: PNG files.
    """
    from PIL import Image

    shutil.rmtree(folder.tensorboard, ignore_errors=True)
    titles = {plan.objective.name: plan.objective.name, **{f"spent/{name}": name for name in SPENT}}
    for record in records:
        if record.score is None:
            continue
        events = EventFile(folder.tensorboard / f"{record.number:04d}")
        events.hparams(_values(record, plan), titles, first=[one.field for one in plan.space.parameters])
        for row in record.curve:
            events.scalar(plan.objective.name, row[plan.objective.name], int(row["epoch"]))
        for name, value in zip(SPENT, (len(record.curve), record.seconds, record.images), strict=True):
            events.scalar(f"spent/{name}", float(value), len(record.curve))
        events.success()
        events.close()
    events = EventFile(folder.tensorboard)
    for plot in plots:
        with Image.open(plot) as opened:
            events.image(plot.stem, np.asarray(opened.convert("RGB")), step=0)
    events.close()


def _values(record: Record, plan: SearchConfig) -> dict[str, Any]:
    """A cell for every field, also where it did not matter."""
    found = {parameter.field: "–" for parameter in plan.space.parameters}
    return {**found, **flatten(record.fields)}
