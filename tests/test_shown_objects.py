"""What objects of the Python interface look like at a prompt or in a notebook: a few plain lines."""

from pathlib import Path

import numpy as np
import pytest

from kerascnn.data import from_arrays
from kerascnn.evaluation import Predictions, Scores
from kerascnn.evaluation.plots import gallery_figure
from kerascnn.evaluation.prediction import ImagePrediction
from kerascnn.evaluation.scores import MultiLabelScores
from kerascnn.export import Export
from kerascnn.export.verification import FormatResult, Tolerance, Verification
from kerascnn.training import Recipe, Run, RunFolder


@pytest.fixture(autouse=True)
def colored(monkeypatch):
    """As notebooks have it, where rich takes everything for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")


def test_a_data_set():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    data = from_arrays(images, ["cat", "dog"] * 10, name="pets")
    count = len(data.training)
    assert repr(data) == f"<DataSet pets: {count} training and {20 - count} validation images of 2 classes (cat, dog)>"


def test_scores():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], np.float32)
    assert repr(Scores(("cat", "dog"), np.array([0, 1, 1]), probabilities)) == (
        "<Scores: 2 of 3 images are correct, 66.67%>"
    )
    labels = np.array([[1, 0], [0, 1], [0, 1]], np.uint8)
    # Of "dog", the two images that have it are ranked first; so is the one of "cat".
    assert "mAP 100.00% of 3 images" in repr(MultiLabelScores(("cat", "dog"), labels, probabilities, 0.5))


@pytest.mark.parametrize(
    ("rows", "end"),
    [
        ("epoch,loss,val_top1\n0,1.5,0.25\n1,1.0,0.5\n", ": 2 epochs in 3 s, val_top1 50.00%>"),
        ("", ": 0 epochs in 3 s>"),
    ],
)
def test_a_run(tmp_path, rows, end):
    (tmp_path / "history.csv").write_text(rows)
    run = Run(RunFolder(tmp_path), model=None, recipe=Recipe(), seconds=2.6)
    assert repr(run) == f"<Run {tmp_path}{end}"
    assert len(run.history) == run.position.epochs == len(rows.splitlines()[1:])


def result(name, quantization, **values):
    return FormatResult(
        name,
        quantization,
        accuracy=0.98,
        agreement=99,
        images=100,
        max_difference=0.01,
        mean_difference=0.001,
        size_bytes=1_110_000,
        latency_ms=0.4,
        **values,
    )


@pytest.mark.parametrize(("mismatches", "end"), [(3, "exported to out"), (4, "nothing was published")])
def test_an_export(mismatches, end):
    rows = result("Keras", "none", mismatches=0), result("TFLite int8", "int8", mismatches=mismatches)
    verification = Verification(rows, Tolerance())
    shown = repr(Export(None if verification.failures else Path("out"), verification))
    assert "\x1b" not in shown and shown.splitlines()[-1] == end
    assert f"TFLite int8: {mismatches} predictions differ from the float32 network (allowed: 3)" in shown
    assert all(sentence in shown for sentence in verification.failures)
    assert shown.splitlines()[0].split()[:2] == ["top-1", "agreement"]


def test_predictions():
    shown = repr(Predictions((ImagePrediction("cat.jpg", [("Cat", 0.9712), ("Dog", 0.0288)]),)))
    assert "\x1b" not in shown and shown.split()[-5:] == ["cat.jpg", "Cat", "97.12%", "Dog", "2.88%"]


def test_figures_show_themselves():
    """Notebooks ask an object for its image; matplotlib's own figures have one with pyplot only."""
    figure = gallery_figure(np.zeros((2, 8, 8, 3)), ["black", "black too"], "Two images")
    assert figure._repr_png_().startswith(b"\x89PNG")
