"""The plot of accuracy against operations: one disc per network, whose area shows the parameters."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kerascnn.applications.registry import TORCHVISION, PublishedAccuracy, info
from kerascnn.errors import InputError, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from kerascnn.complexity.report import Report

SUFFIXES = (".png", ".svg", ".pdf")

# Of the largest disc, in points.
LARGEST_RADIUS = 18.0
# In the legend, as parts of a round number of parameters.
LEGEND_PARTS = (1 / 25, 1 / 5, 1)

# Positions of a label, in order of preference: right, left, above, below, diagonal; then farther away, in points.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
DISTANCES = (2, 8, 16, 26, 38, 52, 70)
# From this distance on a line connects the label and its disc.
LINE_DISTANCE = 8
# Free pixels around a label.
PADDING = 2


class Disc(NamedTuple):
    """A network and one of its published accuracies; `note` is the variant that was measured, if it is another."""

    name: str
    operations: float  # in 1e9 multiply-adds, as computed
    accuracy: float  # top-1, in percent, as published
    parameters: float  # in millions, as computed
    series: str  # how and by whom the accuracy was measured
    note: str
    radius: float  # in points


def check(path: Path, names: list[str]) -> None:
    """Checks the request before any network is built.

    InputError if the file's suffix is unknown, its folder does not exist, or the networks were measured on different
    data or not at all.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"the plot must be a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, not '{path.name}'.")
    if not os.path.isdir(path.parent):
        raise InputError(f"there is no folder {path.parent} for the plot.")
    first_on: dict[str, str] = {}
    for name in names:
        first_on.setdefault(info(name).data, name)
    if len(first_on) > 1:
        found = " and ".join(f"{name} on {data}" for data, name in first_on.items())
        raise InputError(f"a plot compares accuracies on the same data, not {found}.")
    if not any(one.top1 is not None for name in names for one in info(name).accuracies):
        raise InputError(f"no top-1 accuracy of {', '.join(names)} is published, so there is nothing to plot.")


def series_of(accuracy: PublishedAccuracy) -> str:
    """How and by whom an accuracy was measured; accuracies of one series are comparable."""
    protocol = accuracy.protocol.partition(",")[0] or "test set"
    return f"{protocol}, {TORCHVISION if accuracy.source == TORCHVISION else 'in the papers'}"


def discs_of(reports: dict[str, Report]) -> list[Disc]:
    """One disc per network and series, for the first top-1 accuracy in the registry."""
    largest = max(report.totals.trainable for report in reports.values())
    discs: dict[tuple[str, str], Disc] = {}
    for name, report in reports.items():
        macs, parameters = report.totals.macs, report.totals.trainable
        radius = LARGEST_RADIUS * (parameters / largest) ** 0.5
        for accuracy in info(name).accuracies:
            if accuracy.top1 is not None:
                series, note = series_of(accuracy), accuracy.protocol.partition(",")[2].strip()
                disc = Disc(name, macs / 1e9, accuracy.top1, parameters / 1e6, series, note, radius)
                discs.setdefault((name, series), disc)
    return list(discs.values())


def draw(reports: dict[str, Report], path: Path) -> list[str]:
    """Plots networks' published top-1 accuracies against their computed operations; returns notes on the plot.

    `reports` are by the networks' names, `path` is as for `check`. InputError if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    discs = discs_of(reports)
    figure = Figure(figsize=(10, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    series = sorted({disc.series for disc in discs})
    _draw_discs(axes, discs, series)
    axes.margins(0.12)
    axes.set(
        xlim=(0, None),
        xlabel="multiply-adds per image, 1e9 (computed)",
        ylabel=f"top-1 accuracy on {info(discs[0].name).data}, % (published)",
    )
    axes.grid(alpha=0.25)
    _add_legends(axes, discs, series)
    # Drawing fixes the layout; only then are positions in points known.
    figure.canvas.draw()
    figure.set_layout_engine("none")
    # Each network's disc of highest accuracy gets the label.
    highest = {disc.name: disc for disc in sorted(discs, key=lambda disc: disc.accuracy)}
    label(axes, list(highest.values()), discs)
    with writing(path):
        figure.savefig(path)
    missing = [name for name in reports if name not in highest]
    notes = [f"not plotted, because no top-1 accuracy is published: {', '.join(missing)}"] if missing else []
    return notes + [f"{disc.name}, {disc.series}: {disc.note}" for disc in discs if disc.note]


def _draw_discs(axes: Axes, discs: list[Disc], series: list[str]) -> None:
    for name in {disc.name for disc in discs}:
        points = [(disc.operations, disc.accuracy) for disc in discs if disc.name == name]
        axes.plot(*zip(*points, strict=True), color="0.6", lw=1, zorder=1)
    for number, one in enumerate(series):
        drawn = [disc for disc in discs if disc.series == one]
        axes.scatter(
            [disc.operations for disc in drawn],
            [disc.accuracy for disc in drawn],
            # matplotlib's size of a disc is the square of its diameter.
            s=[(2 * disc.radius) ** 2 for disc in drawn],
            clip_on=False,
            color=f"C{number}",
            alpha=0.55,
            edgecolor=f"C{number}",
            linewidth=1,
            zorder=2,
        )


def _add_legends(axes: Axes, discs: list[Disc], series: list[str]) -> None:
    """Legends of the colors and of the areas, below the axes."""
    from matplotlib.lines import Line2D

    def disc(size: float, **style) -> Line2D:
        return Line2D([], [], marker="o", ls="", ms=size, **style)

    colors = [disc(9, color=f"C{number}", alpha=0.7, label=one) for number, one in enumerate(series)]
    largest = max(discs, key=lambda one: one.parameters)
    # The largest of 1, 2, 5, 10, 20, 50, … and their tenths, hundredths, … that is no more than that.
    ten = 10.0 ** math.floor(math.log10(largest.parameters))
    rounded = max(ten * digit for digit in (1, 2, 5) if ten * digit <= largest.parameters)
    areas = []
    for part in LEGEND_PARTS:
        millions = part * rounded
        diameter = 2 * largest.radius * (millions / largest.parameters) ** 0.5
        areas.append(disc(diameter, mfc="none", mec="0.4", label=f"{millions:g}M"))
    style = {"frameon": False, "labelspacing": 1.2, "borderpad": 1, "alignment": "left", "handletextpad": 1.5}
    figure = axes.figure
    figure.legend(handles=colors, loc="outside lower left", ncols=2, title="top-1 accuracy measured with", **style)
    figure.legend(handles=areas, loc="outside lower right", ncols=3, title="parameters", **style)


def label(axes: Axes, named: list[Disc], discs: list[Disc]) -> list[Annotation]:
    """Writes the name of each `named` disc next to it, small ones first, and over none of `discs`.

    The figure must have been drawn, so that its layout is final.
    """
    taken = [_square(axes, disc) for disc in discs]
    labels = []
    for disc in sorted(named, key=lambda disc: disc.radius):
        least, position = math.inf, None
        for distance, direction in itertools.product(DISTANCES, DIRECTIONS):
            attempt = _write(axes, disc, direction, distance)
            overlap = _overlap(axes, _extent(attempt), taken)
            attempt.remove()
            if overlap < least:
                least, position = overlap, (direction, distance)
            if overlap == 0:
                break
        labels.append(_write(axes, disc, *position))
        taken.append(_extent(labels[-1]))
    return labels


def _write(axes: Axes, disc: Disc, direction: tuple[float, float], distance: float) -> Annotation:
    right, up = direction
    offset = disc.radius + distance
    return axes.annotate(
        disc.name,
        (disc.operations, disc.accuracy),
        xytext=(right * offset, up * offset),
        textcoords="offset points",
        ha="left" if right > 0 else "right" if right < 0 else "center",
        va="bottom" if up > 0 else "top" if up < 0 else "center",
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.7} if distance >= LINE_DISTANCE else None,
        zorder=3,
    )


def _extent(annotation: Annotation) -> Bbox:
    """The rectangle of the text without the line, in pixels."""
    from matplotlib.text import Text

    renderer = annotation.figure.canvas.get_renderer()
    annotation.update_positions(renderer)
    return Text.get_window_extent(annotation, renderer).padded(PADDING)


def _square(axes: Axes, disc: Disc) -> Bbox:
    """The square around a disc, in pixels."""
    from matplotlib.transforms import Bbox

    radius = disc.radius * axes.figure.dpi / 72
    return Bbox([axes.transData.transform((disc.operations, disc.accuracy))] * 2).padded(radius)


def _overlap(axes: Axes, extent: Bbox, taken: list[Bbox]) -> float:
    """Square pixels of a rectangle outside of the axes or over `taken` ones."""
    outside = extent.width * extent.height - _common(extent, axes.bbox)
    # The difference of equal areas is not exactly 0.
    return sum(_common(extent, other) for other in taken) + (outside if outside > 1 else 0)


def _common(one: Bbox, other: Bbox) -> float:
    """The area that two rectangles share."""
    shared = one.intersection(one, other)
    return shared.width * shared.height if shared else 0
