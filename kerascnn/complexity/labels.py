"""Names beside discs, where they cover neither discs nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox


class LabeledDisc(Protocol):
    """A disc with a name: where it is, in the units of the axes, and its radius in points."""

    name: str
    operations: float
    accuracy: float
    radius: float


# Where a name may stand, in order of preference: right, left, above, below, diagonal; then farther away, in points.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
DISTANCES = (2, 8, 16, 26, 38, 52, 70)
# From here on a line leads from the name to its disc.
LED = 8
# Pixels that stay free around a name.
AROUND = 2


def label(axes: Axes, named: Sequence[LabeledDisc], discs: Sequence[LabeledDisc]) -> list[Annotation]:
    """Writes a name beside each disc, the small ones' first, which have the least room.

    Args:
        axes: of a figure that has been drawn, so that its layout is settled.
        named: the discs that bear their names.
        discs: all that must not be covered.
    """
    taken = [_square(axes, disc) for disc in discs]
    labels = []
    for disc in sorted(named, key=lambda disc: disc.radius):
        place = _best_place(axes, disc, taken)
        labels.append(_write(axes, disc, *place))
        taken.append(_extent(labels[-1]))
    return labels


def _best_place(axes: Axes, disc: LabeledDisc, taken: list[Bbox]) -> tuple[tuple[float, float], float]:
    """The first direction and distance where nothing is covered, or else those where least is."""
    least = None
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            attempt = _write(axes, disc, direction, distance)
            covered = _covered(axes, _extent(attempt), taken)
            attempt.remove()
            if covered == 0:
                return direction, distance
            if least is None or covered < least[0]:
                least = covered, (direction, distance)
    return least[1]


def _write(axes: Axes, disc: LabeledDisc, direction: tuple[float, float], distance: float) -> Annotation:
    right, up = direction
    away = disc.radius + distance
    return axes.annotate(
        disc.name,
        (disc.operations, disc.accuracy),
        xytext=(right * away, up * away),
        textcoords="offset points",
        ha="left" if right > 0 else "right" if right < 0 else "center",
        va="bottom" if up > 0 else "top" if up < 0 else "center",
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.7} if distance >= LED else None,
        zorder=3,
    )


def _extent(annotation: Annotation) -> Bbox:
    """The rectangle of the words, without the line, in pixels."""
    from matplotlib.text import Text

    renderer = annotation.figure.canvas.get_renderer()
    annotation.update_positions(renderer)
    return Text.get_window_extent(annotation, renderer).padded(AROUND)


def _square(axes: Axes, disc: LabeledDisc) -> Bbox:
    """The square around a disc, in pixels."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((disc.operations, disc.accuracy))
    radius = disc.radius * axes.figure.dpi / 72
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _covered(axes: Axes, extent: Bbox, taken: list[Bbox]) -> float:
    """Square pixels of what is taken, and of the outside of the axes, that a rectangle would cover."""
    outside = extent.width * extent.height - _common(extent, axes.bbox)
    # The difference of equal areas is not exactly 0.
    return sum(_common(extent, other) for other in taken) + (outside if outside > 1 else 0)


def _common(one: Bbox, other: Bbox) -> float:
    """The area that two rectangles share."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0) * max(height, 0)
