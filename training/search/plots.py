"""Images of a search: every trial as a line through its values, and how much each field mattered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.training.search.domains import Choice, Range, label
from kerascnn.training.search.importance import position
from kerascnn.training.search.journal import Record
from kerascnn.training.search.plan import SearchConfig, SearchFolder
from kerascnn.training.search.space import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Choices with more options have no room for their names.
NAMED_OPTIONS = 12


def draw(folder: SearchFolder, plan: SearchConfig, records: Sequence[Record], shares: dict[str, float]) -> list[Path]:
    """Writes `parallel.png` and, where there are importances, `importance.png`; returns them."""
    scored = [record for record in records if record.score is not None]
    images = {"parallel.png": parallel_figure(plan, scored)}
    if shares:
        images["importance.png"] = importance_figure(shares, plan.objective.name, len(scored))
    for name, figure in images.items():
        figure.savefig(folder.path / name)
    return [folder.path / name for name in images]


def parallel_figure(plan: SearchConfig, records: Sequence[Record]) -> Figure:
    """Parallel coordinates: an axis a field, the last one the objective, a line a trial, the better the more yellow.

    Args:
        plan: of the search.
        records: of trials that have a score, the best first.
    """
    parameters = plan.space.parameters
    figure = _figure(max(6.0, 1.7 * (len(parameters) + 1)), 4.5)
    axes = figure.subplots()
    scores = np.array([record.score for record in records])
    low, high = scores.min(), scores.max()
    heights = (scores - low) / (high - low) if high > low else np.full(len(scores), 0.5)
    good = heights if plan.objective.direction == "max" else 1 - heights
    colours = _colours()
    # The best are drawn last, above the others.
    for place in reversed(range(len(records))):
        line = [*(position(parameter, records[place]) for parameter in parameters), heights[place]]
        axes.plot(line, color=colours(good[place]), linewidth=2.5 if place == 0 else 1, alpha=0.9)
    for place, parameter in enumerate(parameters):
        _axis(axes, place, _ticks(parameter))
    _axis(axes, len(parameters), [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")] if high > low else [(0.5, f"{low:.4g}")])
    names = [parameter.name.replace(".", ".\n").replace(" (", "\n(") for parameter in parameters]
    axes.set_xticks(range(len(names) + 1), [*names, plan.objective.name])
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) + 0.6)
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    figure.suptitle(f"{plan.recipe.model}: {len(records)} trials, the best as the thick line")
    return figure


def importance_figure(shares: dict[str, float], objective: str, trials: int) -> Figure:
    """A bar a field.

    Args:
        shares: as `importances` gives them.
        objective: what they matter for.
        trials: from how many they were found.
    """
    figure = _figure(7, 1.2 + 0.35 * len(shares))
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], [100 * share for share in shares.values()][::-1], color="C0")
    axes.set_xlabel(f"share of what a random forest tells of {objective}, %, from {trials} trials")
    axes.spines[["right", "top"]].set_visible(False)
    return figure


def _axis(axes: Axes, place: int, ticks: list[tuple[float, str]]) -> None:
    axes.axvline(place, color="0.7", linewidth=0.8, zorder=0)
    for height, text in ticks:
        axes.annotate(text, (place, height), (3, 0), textcoords="offset points", fontsize=8, va="center")


def _ticks(parameter: Parameter) -> list[tuple[float, str]]:
    found = parameter.domain
    if isinstance(found, Range):
        # The middle of whole numbers may lie beside the middle.
        numbers = [found.at(share) for share in (0.0, 0.5, 1.0)]
        return [(found.share(number), f"{number:.3g}") for number in numbers]
    assert isinstance(found, Choice)
    options = found.options if len(found.options) <= NAMED_OPTIONS else (found.options[0], found.options[-1])
    last = max(1, len(found.options) - 1)
    return [(found.options.index(option) / last, label(option)) for option in options]


def _colours():
    from matplotlib import colormaps

    return colormaps["viridis"]


def _figure(width: float, height: float) -> Figure:
    """A figure without the state of pyplot, so that no window system is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
