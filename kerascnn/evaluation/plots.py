"""Images of runs and of scores: curves, confusions, mistakes, calibration."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kerascnn.evaluation.metrics import Calibration

# Beyond this the numbers in the cells of a confusion matrix would not be legible.
NUMBERED_CLASSES = 20
LABELLED_CLASSES = 60

# Inches.
LEGEND_LINE = 0.21


def _figure(width: float, height: float) -> Figure:
    """A figure without the state of pyplot, so that no window system is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plot_curves(history: list[dict[str, float]], title: str, path: Path) -> None:
    """Writes `curves_figure` to a PNG file."""
    curves_figure(history, title).savefig(path)


def curves_figure(history: list[dict[str, float]], title: str) -> Figure:
    """Loss and top-1 error by epoch, training and validation, every classifier of the network.

    Args:
        history: one mapping of Keras' figures an epoch.
        title: above the image.
    """
    figure = _figure(10, 4)
    loss_axes, error_axes = figure.subplots(1, 2)
    for number, name in enumerate(heads(history[0])):
        for split, style in (("", "-"), ("val_", "--")):
            label = " ".join(part for part in (name, "validation" if split else "training") if part)
            prefix = split + (f"{name}_" if name else "")
            _draw_history((loss_axes, error_axes), history, prefix, style, f"C{number}", label)
    _finish(loss_axes, error_axes)
    for axes in (loss_axes, error_axes):
        axes.legend(frameon=False)
    figure.suptitle(title)
    return figure


def runs_figure(histories: dict[str, list[dict[str, float]]], title: str) -> Figure:
    """Loss and top-1 error by epoch of several runs' main classifiers; training thin, validation thick.

    Args:
        histories: a history as `curves_figure` takes for each run's name.
        title: above the image.
    """
    figure = _figure(10, 4 + LEGEND_LINE * len(histories))
    loss_axes, error_axes = figure.subplots(1, 2)
    for number, (name, history) in enumerate(histories.items()):
        head = heads(history[0])[0]
        # A label that begins with a line is not in the legend.
        for split, style, label in (("", ":", "_training"), ("val_", "-", name)):
            prefix = split + (f"{head}_" if head else "")
            _draw_history((loss_axes, error_axes), history, prefix, style, f"C{number % 10}", label)
    _finish(loss_axes, error_axes)
    # Names of runs are long: beside the curves they would leave no room for them.
    figure.legend(*loss_axes.get_legend_handles_labels(), loc="outside lower center", frameon=False)
    figure.suptitle(f"{title} (dotted: training, solid: validation)")
    return figure


def _draw_history(
    figure_axes: tuple[Axes, Axes], history: list[dict[str, float]], prefix: str, style: str, colour: str, label: str
) -> None:
    """A line of losses and one of errors; `prefix` is what the names of the two columns begin with."""
    loss_axes, error_axes = figure_axes
    epochs = [row["epoch"] + 1 for row in history]
    loss_axes.plot(epochs, [row[f"{prefix}loss"] for row in history], style, color=colour, label=label)
    errors = [100 * (1 - row[f"{prefix}top1"]) for row in history]
    error_axes.plot(epochs, errors, style, color=colour, label=label)


def _finish(loss_axes: Axes, error_axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    losses = [value for line in loss_axes.lines for value in line.get_ydata()]
    wide = min(losses) > 0 and max(losses) > 10 * min(losses)
    loss_axes.set(xlabel="epoch", ylabel="loss", yscale="log" if wide else "linear")
    error_axes.set(xlabel="epoch", ylabel="top-1 error (%)", ylim=(0, None))
    for axes in (loss_axes, error_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)


def heads(row: dict[str, float]) -> list[str]:
    """The classifiers that have figures: [""] for a lone one."""
    heads = [name.removesuffix("_top1") for name in row if name.endswith("_top1") and not name.startswith("val_")]
    return sorted(heads, key=lambda head: head != "main") or [""]


def confusion_figure(matrix: np.ndarray, class_names: tuple[str, ...], title: str) -> Figure:
    """A confusion matrix, coloured by the share of each true class."""
    classes = len(class_names)
    side = min(4 + 0.4 * classes, 16)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if classes <= LABELLED_CLASSES:
        axes.set_xticks(range(classes), class_names, rotation=45, ha="right")
        axes.set_yticks(range(classes), class_names)
    if classes <= NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count) if count else "", ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def gallery_figure(
    images: np.ndarray, captions: list[str], title: str, inches: float = 1.7, columns: int = 6
) -> Figure:
    """Images in rows, each with its caption below.

    Args:
        images: (count, height, width, 3) in [0, 255].
        captions: one an image.
        title: above them all.
        inches: the width of each.
        columns: how many are in a row.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = _figure(inches * columns + 0.4, (inches + 0.4) * rows + 0.5)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.axis("off")
    for axes, pixels, caption in zip(all_axes, images, captions, strict=False):
        axes.imshow(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
        # Dollar signs in class names are no formulas.
        axes.set_title(caption, y=-0.05, va="top", fontsize=8, parse_math=False)
    figure.suptitle(title, parse_math=False)
    return figure


def reliability_figure(calibration: Calibration, title: str) -> Figure:
    """The share of right answers by confidence, and how many images have that confidence.

    Args:
        calibration: from `kerascnn.evaluation.metrics.calibration`.
        title: above the image.
    """
    figure = _figure(5, 5)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    widths = np.diff(calibration.edges)
    axes.bar(calibration.edges[:-1], np.nan_to_num(calibration.accuracy), widths, align="edge", edgecolor="white")
    axes.plot(calibration.confidence, calibration.accuracy, "o", color="C1", label="mean confidence", clip_on=False)
    axes.plot([0, 1], [0, 1], "--", color="grey", label="perfectly calibrated")
    axes.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(frameon=False, loc="upper left")
    counts.bar(calibration.edges[:-1], calibration.images, widths, align="edge", edgecolor="white", color="grey")
    counts.set(xlabel="confidence", ylabel="images")
    return figure


def png_of(figure: Figure) -> bytes:
    """A figure as the contents of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def pixels_of(figure: Figure) -> np.ndarray:
    """A figure as uint8 (height, width, 3)."""
    from PIL import Image

    with Image.open(io.BytesIO(png_of(figure))) as image:
        return np.asarray(image.convert("RGB"))
