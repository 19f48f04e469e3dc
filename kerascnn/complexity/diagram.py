"""The image of accuracy against operations: a disc a network, its area the parameters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kerascnn.applications.registry import TORCHVISION, PublishedError, info
from kerascnn.complexity.labels import label
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kerascnn.complexity.report import Report

ENDINGS = (".png", ".svg", ".pdf")

# Of the largest disc, in points.
LARGEST_RADIUS = 18.0
# In the legend: a round number of parameters, and parts of it.
SHOWN_PARTS = (1 / 25, 1 / 5, 1)


class Disc(NamedTuple):
    """A network and one of its published accuracies.

    Attributes:
        name: the network.
        operations: in 1e9 multiply-adds, as analysed.
        accuracy: top-1, in percent, as published.
        parameters: in millions, as analysed.
        series: how and by whom the accuracy was measured.
        remark: what the accuracy belongs to, where it is not quite the network.
        radius: in points.
    """

    name: str
    operations: float
    accuracy: float
    parameters: float
    series: str
    remark: str
    radius: float


def check(path: Path, names: list[str]) -> None:
    """Looks at what is asked for before anything is built.

    Raises:
        InputError: the file's ending is no image's, its folder does not exist, or the networks were measured on
            different data.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"an image's file ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, not '{path.name}'.")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the image.")
    first_on: dict[str, str] = {}
    for name in names:
        first_on.setdefault(info(name).data, name)
    if len(first_on) > 1:
        found = " and ".join(f"{name} on {data}" for data, name in first_on.items())
        raise InputError(f"an image compares accuracies on the same data, not {found}.")
    if not any(error.top1 is not None for name in names for error in info(name).errors):
        raise InputError(f"no top-1 error of {', '.join(names)} is published, so there is nothing to draw.")


def series_of(error: PublishedError) -> str:
    """How and by whom an error was measured: what may be compared with each other."""
    protocol = error.protocol.partition(",")[0] or "test set"
    return f"{protocol}, {TORCHVISION if error.source == TORCHVISION else 'in the papers'}"


def discs_of(reports: dict[str, Report]) -> list[Disc]:
    """A disc a network and series, of the first top-1 error that the registry has of it."""
    largest = max(report.totals.trainable for report in reports.values())
    discs: dict[tuple[str, str], Disc] = {}
    for name, report in reports.items():
        for error in info(name).errors:
            if error.top1 is None:
                continue
            series = series_of(error)
            disc = Disc(
                name=name,
                operations=report.totals.macs / 1e9,
                accuracy=100 - error.top1,
                parameters=report.totals.trainable / 1e6,
                series=series,
                remark=error.protocol.partition(",")[2].strip(),
                radius=LARGEST_RADIUS * (report.totals.trainable / largest) ** 0.5,
            )
            discs.setdefault((name, series), disc)
    return list(discs.values())


def draw(reports: dict[str, Report], path: Path) -> list[str]:
    """Draws the networks' published top-1 accuracies against their analysed operations.

    Args:
        reports: by the networks' names.
        path: of the image, see `check`.

    Returns:
        Sentences about what the image does not show.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    discs = discs_of(reports)
    figure = Figure(figsize=(10, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw_discs(axes, discs)
    axes.margins(0.12)
    axes.set(
        xlim=(0, None),
        xlabel="multiply-adds of one image, 1e9 (analysed)",
        ylabel=f"top-1 accuracy on {info(discs[0].name).data}, % (published)",
    )
    axes.grid(alpha=0.25)
    _add_legends(axes, discs)
    # The layout is settled by drawing, and stays; places in points are known only then.
    figure.canvas.draw()
    figure.set_layout_engine("none")
    label(axes, _highest(discs), discs)
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None
    return _notes(reports, discs)


def _draw_discs(axes: Axes, discs: list[Disc]) -> None:
    names = {disc.name for disc in discs}
    for name in names:
        own = [disc for disc in discs if disc.name == name]
        axes.plot([disc.operations for disc in own], [disc.accuracy for disc in own], color="0.6", lw=1, zorder=1)
    for number, series in enumerate(_series(discs)):
        drawn = [disc for disc in discs if disc.series == series]
        axes.scatter(
            [disc.operations for disc in drawn],
            [disc.accuracy for disc in drawn],
            # matplotlib's measure of a disc is the square of its width.
            s=[(2 * disc.radius) ** 2 for disc in drawn],
            clip_on=False,
            color=f"C{number}",
            alpha=0.55,
            edgecolor=f"C{number}",
            linewidth=1,
            zorder=2,
        )


def _highest(discs: list[Disc]) -> list[Disc]:
    """Of each network the disc that bears its name."""
    return list({disc.name: disc for disc in sorted(discs, key=lambda disc: disc.accuracy)}.values())


def _series(discs: list[Disc]) -> list[str]:
    return sorted({disc.series for disc in discs})


def _add_legends(axes: Axes, discs: list[Disc]) -> None:
    """Below the axes: what the colours mean, and how large discs are."""
    from matplotlib.lines import Line2D

    def disc(size: float, **look) -> Line2D:
        return Line2D([], [], marker="o", ls="", ms=size, **look)

    largest = max(discs, key=lambda one: one.parameters)
    colours = [disc(9, color=f"C{number}", alpha=0.7, label=series) for number, series in enumerate(_series(discs))]
    shown = [part * _round_below(largest.parameters) for part in SHOWN_PARTS]
    widths = [2 * largest.radius * (millions / largest.parameters) ** 0.5 for millions in shown]
    areas = [
        disc(width, mfc="none", mec="0.4", label=f"{millions:g}M")
        for width, millions in zip(widths, shown, strict=True)
    ]
    look = {"frameon": False, "labelspacing": 1.2, "borderpad": 1, "alignment": "left", "handletextpad": 1.5}
    figure = axes.figure
    figure.legend(handles=colours, loc="outside lower left", ncols=2, title="top-1 accuracy measured with", **look)
    figure.legend(handles=areas, loc="outside lower right", ncols=3, title="parameters", **look)


def _round_below(number: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50, … and their tenths, hundredths, … that is not above `number`.

    Example:
        >>> _round_below(143.7)
        100.0
    """
    ten = 10.0 ** math.floor(math.log10(number))
    return max(ten * digit for digit in (1, 2, 5) if ten * digit <= number)


def _notes(reports: dict[str, Report], discs: list[Disc]) -> list[str]:
    drawn = {disc.name for disc in discs}
    missing = [name for name in reports if name not in drawn]
    notes = [f"not drawn, because no top-1 error is published: {', '.join(missing)}"] if missing else []
    return notes + [f"{disc.name}, {disc.series}: {disc.remark}" for disc in discs if disc.remark]
