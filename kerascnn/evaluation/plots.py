"""Plots of runs and scores: curves, confusion matrix, image gallery, calibration."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerascnn.errors import writing
from kerascnn.files.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kerascnn.evaluation.metrics import Calibration
    from kerascnn.evaluation.scores import MultiLabelScores

# With more classes, the numbers or labels of a confusion matrix would be illegible.
MAX_NUMBERED_CLASSES, MAX_LABELED_CLASSES = 20, 60

DPI = 120

# Perceptually uniform, and read in gray too.
COLOR_MAP = "viridis"

# Of more lines than Matplotlib's ten colors. All hues, without its ends, which are nearly black.
MANY_COLORS, HUES = "turbo", (0.06, 0.94)

# Height of a line of the legend in inches.
LEGEND_LINE = 0.21


def _figure(width: float, height: float) -> Figure:
    """A figure without pyplot's global state, so that no window system is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class LiteralFigure(Figure):
        """Draws dollar signs in names as they are; the labels of logarithmic axes are formulas by Matplotlib itself.

        Notebooks show it where it is the value of a cell.
        """

        _repr_png_ = png_of

        def draw(self, renderer):
            axes = [axis for one in self.axes for axis in (one.xaxis, one.yaxis) if axis.get_scale() != "linear"]
            formulas = {label for axis in axes for label in axis.get_ticklabels(which="both")}
            # Labels of other axes are made now.
            for one in self.axes:
                one.get_xticklabels(), one.get_yticklabels()
            for text in self.findobj(Text):
                text.set_parse_math(text in formulas)
            super().draw(renderer)

    figure = LiteralFigure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_colors(count: int) -> list[Any]:
    """As many different colors as Matplotlib draws lines in: its ten, or of more lines as many hues."""
    if count <= 10:
        return [f"C{number}" for number in range(count)]
    from matplotlib import colormaps

    return [*map(tuple, colormaps[MANY_COLORS](np.linspace(*HUES, count)))]


class _Line(NamedTuple):
    """A classifier's metrics of one split by epoch."""

    history: list[dict[str, float]]
    split: str
    head: str
    style: str
    color: Any  # of Matplotlib
    label: str

    def values(self, metric: str) -> list[float]:
        prefix = self.split + (f"{self.head}_" if self.head else "")
        return [row[f"{prefix}{metric}"] for row in self.history]


# Dashed and solid in all plots.
SPLITS = (("", "--", "training"), ("val_", "-", "validation"))


def curves_figure(history: list[dict[str, float]], title: str, columns: int = 2) -> Figure:
    """Plots loss and top-1 accuracy by epoch, for training and validation, of every classifier of the network.

    Of multi-label models, micro F1 takes the place of the accuracy. The main classifier's greatest validation accuracy
    is marked.

    Args:
        history: one mapping of Keras' logs per epoch.
        title: of the figure.
        columns: 2 for loss and accuracy side by side, 1 for one below the other.
    """
    found = heads(history[0])
    lines = [
        _Line(history, split, head, style, color, f"{head} {name}".strip())
        for head, color in zip(found, line_colors(len(found)), strict=True)
        for split, style, name in SPLITS
    ]
    figure = _history_figure(lines, 8 // columns, columns)
    _mark_best(figure, lines[1], "best: {accuracy:.2f} % in epoch {epoch}")
    for axes in figure.axes:
        axes.legend(frameon=False)
    figure.suptitle(title)
    return figure


def runs_figure(histories: dict[str, list[dict[str, float]]], title: str) -> Figure:
    """Plots loss and top-1 accuracy by epoch of several runs' main classifiers; training dashed, validation solid.

    The epoch of each run's greatest validation accuracy is marked.

    Args:
        histories: each run's history, see `curves_figure`, by its name.
        title: of the figure.
    """
    lines = [
        # Matplotlib leaves labels that begin with an underscore out of the legend.
        _Line(history, split, heads(history[0])[0], style, color, name if split else f"_{name}")
        for (name, history), color in zip(histories.items(), line_colors(len(histories)), strict=True)
        for split, style, _ in SPLITS
    ]
    figure = _history_figure(lines, 4 + LEGEND_LINE * len(histories), 2)
    # Names of runs are long. Next to the curves they would leave no space for them.
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    for line in lines[1::2]:
        _mark_best(figure, line, "_best")
    figure.suptitle(f"{title} (dashed: training, solid: validation, star: greatest validation accuracy)")
    return figure


def transfer_figure(panels: dict[str, dict[str, list[list[tuple[float, float]]]]], title: str) -> Figure:
    """Plots accuracy by seconds, on a logarithmic axis, of several trainings of each arm.

    Args:
        panels: for every panel the curves by arm, each a list of seconds and accuracy from 0 to 1; of one point a dot.
        title: of the figure.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = _figure(4 * len(panels), 4)
    for axes, (name, arms) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (arm, curves), color in zip(arms.items(), line_colors(len(arms)), strict=True):
            for index, points in enumerate(curves):
                seconds, accuracies = zip(*points, strict=True)
                label = arm if index == 0 else f"_{arm}"
                percent = [100 * accuracy for accuracy in accuracies]
                axes.plot(seconds, percent, color=color, marker="o" if len(points) == 1 else ".", label=label)
        axes.set(title=name, xscale="log", xlabel="seconds of training", ylabel="accuracy (%)")
        # Of a logarithmic axis, which names every number of a short range, and these in powers of ten.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(frameon=False)
    figure.suptitle(title)
    return figure


def _history_figure(lines: list[_Line], height: float, columns: int) -> Figure:
    """Loss and top-1 accuracy by epoch."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(5 * columns, height)
    losses, accuracies = figure.subplots(2 // columns, columns)
    for line in lines:
        epochs = [row["epoch"] + 1 for row in line.history]
        # A line of one point would not be seen; a ring stands for a dashed line, a disc for a solid one.
        look = {"color": line.color, "label": line.label, "marker": "o" if len(epochs) == 1 else ""}
        look["fillstyle"] = "full" if line.split else "none"
        losses.plot(epochs, line.values("loss"), line.style, **look)
        accuracies.plot(epochs, _accuracies(line), line.style, **look)
    losses.set(ylabel="loss")
    of_one_label = _accuracy_metric(lines[0].history[0]) == "top1"
    accuracies.set(ylabel="top-1 accuracy (%)" if of_one_label else "micro F1 (%)")
    _fit_scale(losses)
    for axes in figure.axes:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure


def _accuracies(line: _Line) -> list[float]:
    return [100 * value for value in line.values(_accuracy_metric(line.history[0]))]


def _fit_scale(axes: Axes) -> None:
    """A logarithmic scale where a peak would flatten the curves; with zeros, it is linear below the median."""
    values = np.concatenate([line.get_ydata() for line in axes.lines])
    values = values[np.isfinite(values)]
    if not len(values) or values.max() <= 10 * np.median(np.abs(values)):
        axes.set_ylim(bottom=min([0, *values]))
    elif values.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_yscale("symlog", linthresh=max(np.median(np.abs(values)), np.abs(values[values != 0]).min()))
        axes.yaxis.set_major_formatter("{x:g}")


def _mark_best(figure: Figure, line: _Line, label: str) -> None:
    """A star on the validation accuracies at the epoch that `RunFolder.epoch_model` calls the best."""
    accuracies = _accuracies(line)
    if not np.isfinite(accuracies).any():
        return
    best = int(np.nanargmax(accuracies))
    best = len(accuracies) - 1 if accuracies[-1] == accuracies[best] else best
    epoch, accuracy = int(line.history[best]["epoch"]) + 1, accuracies[best]
    text = label.format(accuracy=accuracy, epoch=epoch)
    figure.axes[1].plot([epoch], [accuracy], "*", color=line.color, markersize=11, label=text)


def heads(row: dict[str, float]) -> list[str]:
    """The classifiers in an epoch's logs, the main one first; [""] if there is only one."""
    suffix = f"_{_accuracy_metric(row)}"
    heads = [name.removesuffix(suffix) for name in row if name.endswith(suffix) and not name.startswith("val_")]
    return sorted(heads, key=lambda head: head != "main") or [""]


def _accuracy_metric(row: dict[str, float]) -> str:
    """The metric in an epoch's logs that counts as its accuracy."""
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
    """Plots a confusion matrix: the share of each true class as color and in percent, and the number of images."""
    classes = len(class_names)
    side = min(4 + (0.5 if classes <= MAX_NUMBERED_CLASSES else 0.3) * classes, 16)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=COLOR_MAP, vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if classes <= MAX_LABELED_CLASSES:
        turned = {"rotation": 45, "ha": "right"} if max(map(len, class_names)) > 3 else {}
        axes.set_xticks(range(classes), class_names, parse_math=False, **turned)
        axes.set_yticks(range(classes), class_names, parse_math=False)
    if classes <= MAX_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                share = shares[row, column]
                color = "black" if share > 0.6 else "white"
                text = f"{share:.0%}\n{count}"
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, parse_math=False)
    return figure


def sheet_figure(sheet: np.ndarray, title: str) -> Figure:
    """An image, uint8 (height, width, 3), at its own size, at least as wide as its title above it."""
    height, width = sheet.shape[:2]
    # In inches; a letter of the title takes less than a tenth.
    wide = max(width / DPI, 0.085 * max(map(len, title.splitlines()))) + 0.2
    figure = _figure(wide, height / DPI + 0.25 + 0.2 * len(title.splitlines()))
    axes = figure.subplots()
    axes.axis("off")
    axes.imshow(sheet, interpolation="nearest")
    axes.set_title(title, fontsize=10, parse_math=False)
    return figure


def gallery_figure(
    images: np.ndarray, captions: list[str], title: str, inches: float = 1.7, columns: int = 6
) -> Figure:
    """Shows images, (count, height, width, 3 or 1) in [0, 255], `inches` wide in rows, each with its caption below."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width = max(inches * columns + 0.4, 3.5)
    captions = [_wrapped(caption, inches, fontsize=8) for caption in captions]
    title = _wrapped(title, width, fontsize=12)
    below = 0.15 * max(1 + caption.count("\n") for caption in captions) + 0.25
    figure = _figure(width, (inches + below) * rows + 0.5 + 0.25 * title.count("\n"))
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.axis("off")
    for axes, pixels, caption in zip(all_axes, images, captions, strict=False):
        axes.imshow(np.clip(np.round(pixels), 0, 255).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
        # Dollar signs in class names do not mark formulas.
        axes.set_title(caption, y=0, pad=-3, va="top", fontsize=8, parse_math=False)
    figure.suptitle(title, parse_math=False)
    return figure


def _wrapped(text: str, inches: float, fontsize: float) -> str:
    """A text in lines of a width, also within words; a letter is about 0.56 times as wide as the font is high."""
    letters = int(inches / (0.56 * fontsize / 72))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def reliability_figure(calibration: Calibration, title: str) -> Figure:
    """Plots the accuracy and the number of images by confidence."""
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


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure to a file, whose folder is created if missing; InputError if it cannot be written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            figure.savefig(partial)
    return path


def pixels_of(figure: Figure) -> np.ndarray:
    """Renders a figure to uint8 (height, width, 3)."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]
