"""Plots of runs and scores: curves, confusion matrix, image gallery, calibration."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerascnn.evaluation.metrics import Calibration
    from kerascnn.evaluation.scores import MultiLabelScores

# With more classes, the numbers or labels of a confusion matrix would be illegible.
MAX_NUMBERED_CLASSES, MAX_LABELED_CLASSES = 20, 60

# Height of a line of the legend in inches.
LEGEND_LINE = 0.21


def _figure(width: float, height: float) -> Figure:
    """A figure without pyplot's global state, so that no window system is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def curves_figure(history: list[dict[str, float]], title: str) -> Figure:
    """Plots loss and top-1 error by epoch, for training and validation, of every classifier of the network.

    Of multi-label models, 1 - micro F1 takes the place of the error.

    Args:
        history: one mapping of Keras' logs per epoch.
        title: of the figure.
    """
    lines = [
        (history, split, head, style, f"C{number}", f"{head} {name}".strip())
        for number, head in enumerate(heads(history[0]))
        for split, style, name in (("", "-", "training"), ("val_", "--", "validation"))
    ]
    figure = _history_figure(lines, 4)
    for axes in figure.axes:
        axes.legend(frameon=False)
    figure.suptitle(title)
    return figure


def runs_figure(histories: dict[str, list[dict[str, float]]], title: str) -> Figure:
    """Plots loss and top-1 error by epoch of several runs' main classifiers; training dotted, validation solid.

    Args:
        histories: each run's history, see `curves_figure`, by its name.
        title: of the figure.
    """
    lines = [
        (history, split, heads(history[0])[0], style, f"C{number % 10}", label)
        for number, (name, history) in enumerate(histories.items())
        # Matplotlib leaves labels that begin with an underscore out of the legend.
        for split, style, label in (("", ":", "_training"), ("val_", "-", name))
    ]
    figure = _history_figure(lines, 4 + LEGEND_LINE * len(histories))
    # Names of runs are long. Next to the curves they would leave no space for them.
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    figure.suptitle(f"{title} (dotted: training, solid: validation)")
    return figure


def _history_figure(lines: list[tuple[list[dict], str, str, str, str, str]], height: float) -> Figure:
    """Loss and top-1 error by epoch; a line is a history, a split, a head, a style, a color and a label."""
    from matplotlib.ticker import MaxNLocator

    figure, metric = _figure(10, height), _error_metric(lines[0][0][0])
    losses, errors = figure.subplots(1, 2)
    for history, split, head, style, color, label in lines:
        prefix = split + (f"{head}_" if head else "")
        epochs = [row["epoch"] + 1 for row in history]
        losses.plot(epochs, [row[f"{prefix}loss"] for row in history], style, color=color, label=label)
        errors.plot(epochs, [100 * (1 - row[prefix + metric]) for row in history], style, color=color, label=label)
    values = [value for line in losses.lines for value in line.get_ydata()]
    wide = min(values) > 0 and max(values) > 10 * min(values)
    losses.set(ylabel="loss", yscale="log" if wide else "linear")
    errors.set(ylabel="top-1 error (%)" if metric == "top1" else "100 - micro F1 (%)", ylim=(0, None))
    for axes in figure.axes:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure


def heads(row: dict[str, float]) -> list[str]:
    """The classifiers in an epoch's logs, the main one first; [""] if there is only one."""
    suffix = f"_{_error_metric(row)}"
    heads = [name.removesuffix(suffix) for name in row if name.endswith(suffix) and not name.startswith("val_")]
    return sorted(heads, key=lambda head: head != "main") or [""]


def _error_metric(row: dict[str, float]) -> str:
    """The metric in an epoch's logs whose distance from 1 is the error."""
    return "microf1" if any(name.endswith("microf1") for name in row) else "top1"


def threshold_figure(scores: MultiLabelScores, title: str) -> Figure:
    """Plots micro precision, recall and F1 of a multi-label model by the threshold."""
    from sklearn.metrics import precision_recall_curve

    curves = precision_recall_curve(scores.labels.ravel(), scores.probabilities.ravel(), drop_intermediate=True)
    precision, recall, thresholds = curves[0][:-1], curves[1][:-1], curves[2]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    figure = _figure(7, 4)
    axes = figure.subplots()
    for name, values in (("precision", precision), ("recall", recall), ("F1", f1)):
        axes.plot(thresholds, values, label=name)
    axes.axvline(scores.threshold, color="gray", linestyle="--", label="threshold")
    axes.set(xlabel="threshold", ylabel="over all labels", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def confusion_figure(matrix: np.ndarray, class_names: tuple[str, ...], title: str) -> Figure:
    """Plots a confusion matrix, colored by the share of each true class."""
    classes = len(class_names)
    side = min(4 + 0.4 * classes, 16)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if classes <= MAX_LABELED_CLASSES:
        axes.set_xticks(range(classes), class_names, rotation=45, ha="right")
        axes.set_yticks(range(classes), class_names)
    if classes <= MAX_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count) if count else "", ha="center", va="center", color=color)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def gallery_figure(
    images: np.ndarray, captions: list[str], title: str, inches: float = 1.7, columns: int = 6
) -> Figure:
    """Shows images in rows, each with its caption below.

    Args:
        images: (count, height, width, 3 or 1) in [0, 255].
        captions: one per image.
        title: of the figure.
        inches: width of an image.
        columns: images per row.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = _figure(inches * columns + 0.4, (inches + 0.4) * rows + 0.5)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.axis("off")
    for axes, pixels, caption in zip(all_axes, images, captions, strict=False):
        axes.imshow(np.clip(np.round(pixels), 0, 255).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
        # Dollar signs in class names do not mark formulas.
        axes.set_title(caption, y=-0.05, va="top", fontsize=8, parse_math=False)
    figure.suptitle(title, parse_math=False)
    return figure


def reliability_figure(calibration: Calibration, title: str) -> Figure:
    """Plots the accuracy and the number of images by confidence.

    Args:
        calibration: from `kerascnn.evaluation.metrics.calibration`.
        title: of the figure.
    """
    figure = _figure(5, 5)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    widths = np.diff(calibration.edges)
    axes.bar(calibration.edges[:-1], np.nan_to_num(calibration.accuracy), widths, align="edge", edgecolor="white")
    axes.plot(calibration.confidence, calibration.accuracy, "o", color="C1", label="mean confidence", clip_on=False)
    axes.plot([0, 1], [0, 1], "--", color="gray", label="perfectly calibrated")
    axes.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(frameon=False, loc="upper left")
    counts.bar(calibration.edges[:-1], calibration.images, widths, align="edge", edgecolor="white", color="gray")
    counts.set(xlabel="confidence", ylabel="images")
    return figure


def png_of(figure: Figure) -> bytes:
    """Encodes a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def pixels_of(figure: Figure) -> np.ndarray:
    """Renders a figure to uint8 (height, width, 3)."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]
