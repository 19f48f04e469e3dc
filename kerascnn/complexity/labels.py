"""Labels next to discs, placed so that they overlap neither discs nor each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox


class LabeledDisc(Protocol):
    """A disc with a name: its center, in the units of the axes, and its radius in points."""

    name: str
    operations: float
    accuracy: float
    radius: float


# In order of preference: right, left, above, below, diagonal; then farther away, in points.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
DISTANCES = (2, 8, 16, 26, 38, 52, 70)
# From this distance on a line connects the label and its disc.
LINE_DISTANCE = 8
# Free pixels around a label.
PADDING = 2


def label(axes: Axes, named: Sequence[LabeledDisc], discs: Sequence[LabeledDisc]) -> list[Annotation]:
    """Writes the name of each disc next to it, small discs first.

    Args:
        axes: of a figure that has been drawn, so that its layout is final.
        named: the discs to label.
        discs: all discs that must stay visible.
    """
    taken = [_square(axes, disc) for disc in discs]
    labels = []
    for disc in sorted(named, key=lambda disc: disc.radius):
        least = None
        for distance, direction in itertools.product(DISTANCES, DIRECTIONS):
            attempt = _write(axes, disc, direction, distance)
            extent = _extent(attempt)
            attempt.remove()
            overlap = _overlap(axes, extent, taken)
            if least is None or overlap < least[0]:
                least = overlap, direction, distance
            if overlap == 0:
                break
        labels.append(_write(axes, disc, *least[1:]))
        taken.append(_extent(labels[-1]))
    return labels


def _write(axes: Axes, disc: LabeledDisc, direction: tuple[float, float], distance: float) -> Annotation:
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


def _square(axes: Axes, disc: LabeledDisc) -> Bbox:
    """The square around a disc, in pixels."""
    from matplotlib.transforms import Bbox

    radius = disc.radius * axes.figure.dpi / 72
    return Bbox([axes.transData.transform((disc.operations, disc.accuracy))] * 2).padded(radius)


def _overlap(axes: Axes, extent: Bbox, taken: list[Bbox]) -> float:
    """Square pixels of a rectangle outside of the axes or over what is `taken`."""
    outside = extent.width * extent.height - _common(extent, axes.bbox)
    # The difference of equal areas is not exactly 0.
    return sum(_common(extent, other) for other in taken) + (outside if outside > 1 else 0)


def _common(one: Bbox, other: Bbox) -> float:
    """The area that two rectangles share."""
    shared = one.intersection(one, other)
    return shared.width * shared.height if shared else 0
