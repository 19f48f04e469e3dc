"""The results of a search: ranked trials, the best recipe, a report, plots, and TensorBoard's files."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.files.atomic import atomic_text
from kerascnn.files.spreadsheets import RowWriter
from kerascnn.training.callbacks.event_files import EventFile, flatten
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.folder import Journal, Objective, SearchConfig, SearchFolder, TrialRecord
from kerascnn.training.search.space import Parameter, SearchRange, Space, label
from kerascnn.training.search.validation import dry_build

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPENT = ("epochs", "seconds", "images")
MIN_TRIALS = 8  # With fewer trials a forest only memorizes them
EPOCHS = "epochs trained"
MAX_LABELS = 12  # Choices with more options have no room for their labels


@dataclass(frozen=True)
class Search:
    """The results of a search: its folder, its settings, and its trials, the best first and failed ones last."""

    folder: SearchFolder
    config: SearchConfig
    records: list[TrialRecord]

    @property
    def best(self) -> TrialRecord | None:
        return self.records[0] if self.records and self.records[0].score is not None else None

    @property
    def recipe(self) -> Recipe | None:
        return Recipe.from_dict(self.best.recipe, "the best trial") if self.best else None

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """Plain values: the best trial, its network's size, the cost of the search, and every trial."""
        return {
            "search": str(self.folder.path),
            "layout": self.config.layout,
            "objective": self.config.objective.name,
            "best": _row(self.best) if self.best else None,
            "cost": dry_build(self.recipe, self.config.classes)._asdict() if self.best else None,
            "spent": {
                "trials": len(self.records),
                "failed": dict(Counter(record.reason for record in self.records if record.reason)),
                "seconds": round(sum(record.seconds for record in self.records), 1),
                "images": sum(record.images for record in self.records),
            },
            "importance": importances(self.config.space, self.records, self.config.objective),
            "trials": [_row(record) for record in self.records],
        }


def finish(folder: SearchFolder, config: SearchConfig, journal: Journal, complete: bool) -> Search:
    """Writes the results of a search and, if it is complete, removes the checkpoints of its trials.

    The search's folder then contains `best.yaml`, `report.json`, `trials.csv`, two plots and TensorBoard's files.
    """
    search = Search(folder, config, journal.ranked(config.objective))
    report = search.report
    atomic_text(folder.path / "report.json", json.dumps(report, indent=1))
    table = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in report["trials"] for name in row))
    RowWriter(table).writerows([names, *([row.get(name, "") for name in names] for row in report["trials"])])
    atomic_text(folder.path / "trials.csv", table.getvalue())
    if search.best:
        head = f"# the best of {len(search.records)} trials: {config.objective.name} {search.best.score:.4f}\n"
        atomic_text(folder.best_file, head + search.recipe.to_yaml())
        write_hparams(search, draw(folder.path, config, search.records, report["importance"]))
    if complete:
        journal.remove_checkpoints(config.objective)
    return search


def write_hparams(search: Search, images: Sequence[Path]) -> None:
    """Writes TensorBoard's files: the trials that have a score as rows of the HParams table, and the plots.

    TensorBoard draws its own parallel coordinates and scatter plots from the table.
    """
    from PIL import Image

    folder, objective = search.folder.tensorboard, search.config.objective.name
    shutil.rmtree(folder, ignore_errors=True)
    titles = {("", objective): objective, **{("", f"spent/{name}"): name for name in SPENT}}
    fields = [parameter.field for parameter in search.config.space.parameters]
    for record in search.records:
        if record.score is None:
            continue
        events = EventFile(folder / f"trial {record.number}")
        # Fields that do not apply to this trial have a cell, too.
        events.hparams({**dict.fromkeys(fields, "–"), **flatten(record.fields)}, titles, first=fields)
        for metrics in record.curve:
            events.scalar(objective, metrics[objective], int(metrics["epoch"]))
        for name, value in zip(SPENT, (len(record.curve), record.seconds, record.images), strict=True):
            events.scalar(f"spent/{name}", float(value), len(record.curve))
        events.success()
        events.close()
    events = EventFile(folder)
    for file in images:
        with Image.open(file) as opened:
            events.image(file.stem, np.asarray(opened.convert("RGB")), step=0)
    events.close()


def importances(space: Space, records: Sequence[TrialRecord], objective: Objective) -> dict[str, float]:
    """The permutation importance of each field in a random forest (Breiman, 2001, section 10).

    A field's importance is how much the forest's fit drops when its values are shuffled over the trials, divided by
    the sum over all fields. The number of epochs counts as a field if it differs between trials. The largest come
    first; there are none with fewer than 8 successful trials, or if all have the same score.
    """
    scored = [record for record in records if record.score is not None]
    if len(scored) < MIN_TRIALS or len({record.score for record in scored}) == 1:
        return {}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    names = [parameter.name for parameter in space.parameters]
    rows = [[_position(parameter, record) for parameter in space.parameters] for record in scored]
    if len({len(record.curve) for record in scored}) > 1:
        names.append(EPOCHS)
        rows = [[*row, float(len(record.curve))] for row, record in zip(rows, scored, strict=True)]
    inputs, scores = np.array(rows), np.array([record.score for record in scored])
    forest = RandomForestRegressor(n_estimators=200, random_state=0).fit(inputs, scores)
    found = permutation_importance(forest, inputs, scores, n_repeats=20, random_state=0).importances_mean.clip(0)
    shares = found / (found.sum() or 1.0)
    return {names[index]: float(shares[index]) for index in np.argsort(-shares, kind="stable")}


def draw(folder: Path, config: SearchConfig, records: Sequence[TrialRecord], shares: dict[str, float]) -> list[Path]:
    """Writes `parallel.png` and, if there are importances, `importance.png`; returns their paths."""
    scored = [record for record in records if record.score is not None]
    figures = {"parallel.png": parallel_figure(config, scored)}
    if shares:
        figures["importance.png"] = importance_figure(shares, config.objective.name, len(scored))
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return [folder / name for name in figures]


def parallel_figure(config: SearchConfig, records: Sequence[TrialRecord]) -> Figure:
    """Parallel coordinates: one axis per field and one for the objective, one line per trial, the best ones yellow.

    `records` are the trials that have a score, the best first.
    """
    from matplotlib import colormaps

    parameters = config.space.parameters
    figure, axes = _figure(max(6.0, 1.7 * (len(parameters) + 1)), 4.5)
    scores = np.array([record.score for record in records])
    low, high = scores.min(), scores.max()
    heights = (scores - low) / (high - low) if high > low else np.full(len(scores), 0.5)
    quality = heights if config.objective.direction == "max" else 1 - heights
    # The best are drawn last, on top of the others.
    for rank in reversed(range(len(records))):
        line = [*(_position(parameter, records[rank]) for parameter in parameters), heights[rank]]
        color = colormaps["viridis"](quality[rank])
        axes.plot(line, color=color, linewidth=2.5 if rank == 0 else 1, alpha=0.9)
    for index, parameter in enumerate(parameters):
        _draw_axis(axes, index, _ticks(parameter))
    ends = [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")] if high > low else [(0.5, f"{low:.4g}")]
    _draw_axis(axes, len(parameters), ends)
    names = [parameter.name.replace(".", ".\n").replace(" (", "\n(") for parameter in parameters]
    axes.set_xticks(range(len(names) + 1), [*names, config.objective.name])
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) + 0.6)
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    figure.suptitle(f"{config.recipe.model}: {len(records)} trials (thick line: the best)")
    return figure


def importance_figure(shares: dict[str, float], objective: str, trials: int) -> Figure:
    """One bar per field for the `importances` of an objective, computed from a number of trials."""
    figure, axes = _figure(7, 1.2 + 0.35 * len(shares))
    axes.barh(list(shares)[::-1], [100 * share for share in shares.values()][::-1], color="C0")
    axes.set_xlabel(f"importance for {objective} in a random forest, % ({trials} trials)")
    axes.spines[["right", "top"]].set_visible(False)
    return figure


def _draw_axis(axes: Axes, index: int, ticks: list[tuple[float, str]]) -> None:
    axes.axvline(index, color="0.7", linewidth=0.8, zorder=0)
    for height, text in ticks:
        axes.annotate(text, (index, height), (3, 0), textcoords="offset points", fontsize=8, va="center")


def _position(parameter: Parameter, record: TrialRecord) -> float:
    """A trial's value as a position between 0 and 1 in its domain; -0.25 if the parameter did not apply."""
    if parameter.name not in record.values:
        return -0.25
    return parameter.domain.to_unit(parameter.domain.from_oracle(record.values[parameter.name]))


def _ticks(parameter: Parameter) -> list[tuple[float, str]]:
    domain = parameter.domain
    if isinstance(domain, SearchRange):
        # The middle of integers is rounded, so that its position differs from 0.5.
        numbers = [domain.from_unit(position) for position in (0.0, 0.5, 1.0)]
        return [(domain.to_unit(number), f"{number:.3g}") for number in numbers]
    options = domain.options if len(domain.options) <= MAX_LABELS else (domain.options[0], domain.options[-1])
    return [(domain.to_unit(option), label(option)) for option in options]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure and its axes without pyplot, which needs no window system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    return figure, figure.subplots()


def _row(record: TrialRecord) -> dict[str, Any]:
    outcome = {name: getattr(record, name) for name in ("score", "status", "reason", "detail")}
    size = {"epochs": len(record.curve), "batch_size": record.recipe.get("batch_size")}
    spent = {"seconds": round(record.seconds, 1), "images": record.images}
    return {"trial": record.number, **outcome, **size, **spent, **record.fields}
