"""Plots of a search: parallel coordinates of the trials, and the importance of each field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.training.search.config import Objective, SearchConfig
from kerascnn.training.search.domains import SearchRange, label
from kerascnn.training.search.journal import TrialRecord
from kerascnn.training.search.space import Parameter, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With fewer trials a forest only memorizes them.
MIN_TRIALS = 8

EPOCHS = "epochs trained"

# Choices with more options have no room for their labels.
MAX_LABELS = 12


def importances(space: Space, records: Sequence[TrialRecord], objective: Objective) -> dict[str, float]:
    """The permutation importance of each field in a random forest (Breiman, 2001, section 10).

    A field's importance is how much the forest's fit drops when its values are shuffled over the trials, divided by
    the sum over all fields. The number of epochs counts as a field if it differs between trials.

    Returns:
        A fraction for every parameter's name, the largest first; empty with fewer than 8 successful trials, or if all
        have the same score.
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

    Args:
        config: the search's.
        records: the trials that have a score, the best first.
    """
    from matplotlib import colormaps

    parameters = config.space.parameters
    figure = _figure(max(6.0, 1.7 * (len(parameters) + 1)), 4.5)
    axes = figure.subplots()
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
    """One bar per field.

    Args:
        shares: from `importances`.
        objective: the objective's name.
        trials: how many trials the importances were computed from.
    """
    figure = _figure(7, 1.2 + 0.35 * len(shares))
    axes = figure.subplots()
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


def _figure(width: float, height: float) -> Figure:
    """A figure without pyplot, which needs no window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
