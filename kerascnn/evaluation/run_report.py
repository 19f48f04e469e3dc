"""Plots of a finished run: curves, confusion matrix and worst mistakes, in its folder and in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerascnn.data.dataset import Examples
from kerascnn.evaluation.multi_label import most_wrong_labels
from kerascnn.evaluation.plots import confusion_figure, curves_figure, gallery_figure, pixels_of, threshold_figure
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.evaluation.scores import MultiLabelScores, Scores, views
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.run_folder import RunFolder


def report_run(
    folder: RunFolder, scores: Scores | MultiLabelScores, title: str, examples: Examples, metadata: ModelMetadata
) -> None:
    """Writes a finished run's curves.png and confusion_matrix.png, and logs that and the worst mistakes to TensorBoard.

    Of a multi-label model thresholds.png, the F1 by threshold, takes the place of the confusion matrix. `scores` are of
    the run's model on its validation images, which are `examples`.
    """
    history = folder.history()
    curves_figure(history, title).savefig(folder.path / "curves.png")
    if isinstance(scores, MultiLabelScores):
        name, plot = "thresholds", threshold_figure(scores, f"{title}, validation")
        pairs = most_wrong_labels(scores)
        worst, texts = [image for image, _ in pairs], label_captions(scores, pairs)
    else:
        name = "confusion matrix"
        plot = confusion_figure(scores.confusion(), scores.class_names, f"{title}, validation")
        worst = worst_mistakes(scores)
        texts = captions(scores, worst)
    plot.savefig(folder.path / f"{name.replace(' ', '_')}.png")
    events = EventFile(folder.path / "validation")
    events.image(f"images/{name}", pixels_of(plot), step=len(history))
    if len(worst):
        images = np.concatenate(list(views(examples.take(worst), metadata)))
        mistakes = gallery_figure(images, texts, f"{title}, most wrong first")
        events.image("images/most wrong predictions", pixels_of(mistakes), step=len(history))
    events.close()


def worst_mistakes(scores: Scores, most: int = 24) -> np.ndarray:
    """Indices of wrong predictions, in ascending order of the true class's probability."""
    wrong = np.flatnonzero(scores.predictions != scores.labels)
    probabilities = scores.probabilities[wrong, scores.labels[wrong]]
    return wrong[np.argsort(probabilities, kind="stable")][:most]


def label_captions(scores: MultiLabelScores, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """What is wrong about pairs of an image and a class: "not beach (97%)", or "beach (3%)" of an image that has it."""
    return [
        f"{'' if scores.labels[pair] else 'not '}{scores.class_names[pair[1]]} ({scores.probabilities[pair]:.0%})"
        for pair in pairs
    ]


def captions(scores: Scores, indices: np.ndarray) -> list[str]:
    """The true and the predicted class of images, with the latter's probability."""
    names, predictions = scores.class_names, scores.predictions
    return [
        f"{names[scores.labels[index]]},\nnot {names[predictions[index]]} "
        f"({scores.probabilities[index, predictions[index]]:.0%})"
        for index in indices
    ]
