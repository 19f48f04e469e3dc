"""What the plots of runs and scores show."""

import errno
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from kerascnn import InputError
from kerascnn.evaluation.plots import (
    confusion_figure,
    curves_figure,
    gallery_figure,
    pixels_of,
    runs_figure,
    save_figure,
    sheet_figure,
)
from support.messages import mentioning


def history(accuracies, losses=None):
    losses = losses or accuracies
    return [
        {"epoch": epoch, "loss": loss, "top1": accuracy, "val_loss": loss, "val_top1": accuracy}
        for epoch, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
    ]


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_training_is_dashed_and_validation_solid_in_all_plots():
    for axes in curves_figure(history([0.5, 0.4]), "a run").axes:
        lines = lines_of(axes)
        assert (lines["training"].get_linestyle(), lines["validation"].get_linestyle()) == ("--", "-")
    for axes in runs_figure({"mine": history([0.5, 0.4])}, "runs").axes:
        lines = lines_of(axes)
        assert (lines["_mine"].get_linestyle(), lines["mine"].get_linestyle()) == ("--", "-")


@pytest.mark.parametrize("count", [3, 10, 11, 40])
def test_every_run_has_a_color_of_its_own(count):
    for axes in runs_figure({f"run {number}": history([0.5, 0.4]) for number in range(count)}, "runs").axes:
        drawn = {name: to_rgb(line.get_color()) for name, line in lines_of(axes).items()}
        assert len({drawn[f"run {number}"] for number in range(count)}) == count
        # The training's line is that of its run.
        assert all(drawn[f"_run {number}"] == drawn[f"run {number}"] for number in range(count))


@pytest.mark.parametrize(("epochs", "marker"), [(1, "o"), (2, "")])
def test_one_point_has_a_marker(epochs, marker):
    for axes in curves_figure(history([0.5] * epochs), "a run").axes:
        lines = lines_of(axes)
        assert lines["validation"].get_marker() in (marker, marker or "None")
        assert [lines[name].get_fillstyle() for name in ("training", "validation")] == ["none", "full"]


def test_curves_below_each_other_for_narrow_screens():
    upper, lower = curves_figure(history([0.5, 0.6]), "a run", columns=1).axes
    assert upper.get_ylabel() == "loss" and lower.get_ylabel() == "top-1 accuracy (%)"
    assert upper.get_subplotspec().rowspan.stop == lower.get_subplotspec().rowspan.start


@pytest.mark.parametrize("count", [1, 8])
def test_titles_and_captions_of_a_gallery_stay_inside(count):
    captions = [f"0.961  holiday/{'beach' * 9}/{number}.jpeg\nanother line" for number in range(count)]
    figure = gallery_figure(np.zeros((count, 8, 8, 3)), captions, "a title that is wider than " + "one image " * 9)
    figure.canvas.draw()
    title = figure._suptitle.get_window_extent()
    assert title.x0 >= 0 and title.x1 <= figure.bbox.x1 and title.y1 <= figure.bbox.y1
    extents = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert len(extents) == count
    for one, next_one in itertools.pairwise(extents[:6]):
        assert one.x0 >= 0 and one.x1 < next_one.x0
    assert min(extent.y0 for extent in extents) >= 0


def test_the_best_epoch_is_marked():
    accuracies = curves_figure(history([0.5, 0.75, 0.875, 0.875, 0.7]), "a run").axes[1]
    star = lines_of(accuracies)["best: 87.50 % in epoch 3"]
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([3], [87.5])
    # The last one, if it is as good, as in the sentence about the export.
    assert "best: 87.50 % in epoch 3" in lines_of(curves_figure(history([0.5, 0.875, 0.875]), "a run").axes[1])
    lines = runs_figure({"a": history([0.5, 0.8]), "b": history([0.9, 0.7])}, "runs").axes[1].lines
    assert [list(line.get_xdata()) for line in lines if line.get_marker() == "*"] == [[2], [1]]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([2.0, 1.5, 1.0, 0.9], "linear"),
        ([200.0, 1.5, 1.0, 0.9], "log"),
        ([200.0, 1.5, 0.0, 0.9], "symlog"),
        ([float("nan"), 1.5, 1.0, 0.9], "linear"),
        ([float("nan")] * 4, "linear"),
    ],
)
def test_a_peak_does_not_flatten_the_rest(losses, scale):
    figure = curves_figure(history([0.5, 0.4, 0.3, 0.2], losses), "a run")
    assert figure.axes[0].get_yscale() == scale
    low, high = figure.axes[0].get_ylim()
    assert low < high
    pixels_of(figure)


def test_a_confusion_matrix_has_shares_and_counts():
    figure = confusion_figure(np.array([[30, 10], [0, 5]]), ("$cat", "dog"), "pets")
    assert {text.get_text() for text in figure.axes[0].texts} == {"75%\n30", "25%\n10", "100%\n5"}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["$cat", "dog"]
    pixels_of(figure)


def test_a_sheet_keeps_its_pixels_below_its_title():
    sheet = np.random.default_rng(0).integers(0, 256, (90, 60, 3)).astype("uint8")
    shown = pixels_of(sheet_figure(sheet, "a title that is wider than the sheet"))
    assert shown.shape[0] > 90 and shown.shape[1] > 250


def test_a_plot_that_cannot_be_written_leaves_nothing(tmp_path):
    class Figure:
        def savefig(self, path):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "old.png").write_bytes(b"whole")
    for name in ("old.png", "new.png"):
        with mentioning(InputError, tmp_path / name):
            save_figure(Figure(), tmp_path / name)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]
