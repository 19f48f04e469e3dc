"""The picture of accuracy against operations: a disc a network, its area the parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kerascnn.applications.registry import REGISTRY, TORCHVISION, PublishedError
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from kerascnn.complexity.report import Report

ENDINGS = (".png", ".svg", ".pdf")

# Square points of a disc for a million parameters.
AREA = 9.0
SHOWN_AREAS = (5, 25, 125)

# Where a label may stand around its disc, in order of preference: right, left, above, below, diagonal; then farther.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
DISTANCES = (2, 8, 16, 26, 38, 52, 70)
# From here on a line leads from the label to its disc.
LED = 8


class Disc(NamedTuple):
    """A network and one of its published accuracies.

    Attributes:
        name: the network.
        operations: in 1e9 multiply-adds, as analysed.
        accuracy: top-1, in percent, as published.
        parameters: in millions, as analysed.
        series: how and by whom the accuracy was measured.
        remark: what the accuracy belongs to, where it is not quite the network.
    """

    name: str
    operations: float
    accuracy: float
    parameters: float
    series: str
    remark: str


def check(path: Path, names: list[str]) -> None:
    """Looks at what is asked for before anything is built.

    Raises:
        InputError: the file's ending is no picture's, its folder does not exist, or the networks were measured on
            different data.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"a picture's file ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, not '{path.name}'.")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the picture.")
    first_on: dict[str, str] = {}
    for name in names:
        first_on.setdefault(REGISTRY[name].data, name)
    if len(first_on) > 1:
        found = " and ".join(f"{name} on {data}" for data, name in first_on.items())
        raise InputError(f"a picture compares accuracies on the same data, not {found}.")
    if not any(error.top1 is not None for name in names for error in REGISTRY[name].errors):
        raise InputError(f"no top-1 error of {', '.join(names)} is published, so there is nothing to draw.")


def series_of(error: PublishedError) -> str:
    """How and by whom an error was measured: what may be compared with each other."""
    protocol = error.protocol.partition(",")[0] or "as the paper measures"
    return f"{protocol}, {TORCHVISION if error.source == TORCHVISION else 'papers'}"


def discs_of(reports: dict[str, Report]) -> list[Disc]:
    """A disc a network and series, of the first top-1 error that the registry has of it."""
    discs: dict[tuple[str, str], Disc] = {}
    for name, report in reports.items():
        for error in REGISTRY[name].errors:
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
            )
            discs.setdefault((name, series), disc)
    return list(discs.values())


def draw(reports: dict[str, Report], path: Path) -> list[str]:
    """Draws the networks' published top-1 accuracies against their analysed operations.

    Args:
        reports: by the networks' names.
        path: of the picture, see `check`.

    Returns:
        Sentences about what the picture does not show.

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
    axes.set(
        xlabel="multiply-adds of one image, 1e9 (analysed)",
        ylabel=f"top-1 accuracy on {REGISTRY[discs[0].name].data}, % (published)",
    )
    axes.grid(alpha=0.25)
    axes.margins(0.12)
    _add_legends(axes, discs)
    _label(axes, discs)
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
            s=[AREA * disc.parameters for disc in drawn],
            color=f"C{number}",
            alpha=0.55,
            edgecolor=f"C{number}",
            linewidth=1,
            zorder=2,
        )


def _series(discs: list[Disc]) -> list[str]:
    return sorted({disc.series for disc in discs})


def _add_legends(axes: Axes, discs: list[Disc]) -> None:
    """Colours below to the right, areas to the left of them."""
    from matplotlib.lines import Line2D

    def disc(size: float, **look) -> Line2D:
        return Line2D([], [], marker="o", ls="", ms=size, **look)

    colours = [disc(9, color=f"C{number}", alpha=0.7, label=series) for number, series in enumerate(_series(discs))]
    areas = [
        disc((AREA * millions) ** 0.5, mfc="none", mec="0.4", label=f"{millions}M parameters")
        for millions in SHOWN_AREAS
    ]
    look = {"frameon": False, "labelspacing": 1.2, "borderpad": 1}
    figure = axes.figure
    figure.legend(handles=colours, loc="outside lower left", ncols=2, title="top-1 accuracy measured with", **look)
    figure.legend(handles=areas, loc="outside lower right", ncols=3, title="area", **look)


def _label(axes: Axes, discs: list[Disc]) -> None:
    """Names every network once, beside its highest disc, where the name covers no disc and no other name."""
    figure = axes.figure
    # The layout is settled by drawing; places in points are known only then.
    figure.canvas.draw()
    figure.set_layout_engine("none")
    highest: dict[str, Disc] = {}
    for disc in sorted(discs, key=lambda disc: disc.accuracy):
        highest[disc.name] = disc
    taken = [_extent(axes, disc) for disc in discs]
    for disc in sorted(highest.values(), key=lambda disc: disc.parameters):
        taken.append(_place(axes, disc, taken))


def _extent(axes: Axes, disc: Disc):
    """The square around a disc, in the figure's pixels."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((disc.operations, disc.accuracy))
    radius = _radius(disc) * axes.figure.dpi / 72
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _radius(disc: Disc) -> float:
    """In points, of the area that `scatter` draws: that of the square around the disc."""
    return (AREA * disc.parameters) ** 0.5 / 2


def _place(axes: Axes, disc: Disc, taken: list):
    """Puts the name at the first place that is free, or at the one that covers least; gives its extent."""
    renderer = axes.figure.canvas.get_renderer()
    best = None
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            label = _annotation(axes, disc, direction, distance)
            extent = label.get_window_extent(renderer).padded(2)
            covered = sum(_overlap(extent, other) for other in taken)
            covered += 0 if axes.bbox.fully_containsx(extent.x0) and axes.bbox.fully_containsx(extent.x1) else 1e6
            covered += 0 if axes.bbox.fully_containsy(extent.y0) and axes.bbox.fully_containsy(extent.y1) else 1e6
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = (covered, label, extent)
            else:
                label.remove()
            if best[0] == 0:
                return best[2]
    return best[2]


def _annotation(axes: Axes, disc: Disc, direction: tuple[float, float], distance: float) -> Annotation:
    right, up = direction
    away = _radius(disc) + distance
    return axes.annotate(
        disc.name,
        (disc.operations, disc.accuracy),
        xytext=(right * away, up * away),
        textcoords="offset points",
        ha={1: "left", 0: "center", -1: "right"}[(right > 0) - (right < 0)],
        va={1: "bottom", 0: "center", -1: "top"}[(up > 0) - (up < 0)],
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.7} if distance >= LED else None,
        zorder=3,
    )


def _overlap(one, other) -> float:
    """The area that two rectangles share."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0) * max(height, 0)


def _notes(reports: dict[str, Report], discs: list[Disc]) -> list[str]:
    drawn = {disc.name for disc in discs}
    missing = [name for name in reports if name not in drawn]
    notes = [f"not drawn, because no top-1 error is published: {', '.join(missing)}"] if missing else []
    return notes + [f"{disc.name}, {disc.series}: {disc.remark}" for disc in discs if disc.remark]
