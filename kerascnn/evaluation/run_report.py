"""What evaluation adds to a run's folder: images of its curves, its confusions and its worst mistakes."""

from __future__ import annotations

import numpy as np

from kerascnn.data.dataset import Examples
from kerascnn.evaluation.plots import confusion_figure, gallery_figure, pixels_of, plot_curves
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.evaluation.scores import Scores, views
from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.run_folder import RunFolder

MISTAKES = 24


def report_run(folder: RunFolder, scores: Scores, title: str, examples: Examples, metadata: ModelMetadata) -> None:
    """Writes curves.png and confusion_matrix.png, and shows the latter and the worst mistakes in TensorBoard.

    Args:
        folder: of a run that ended.
        scores: of its model on its validation images.
        title: above the images.
        examples: the validation images.
        metadata: how the model wants them.
    """
    history = folder.history()
    plot_curves(history, title, folder.path / "curves.png")
    confusions = confusion_figure(scores.confusion(), scores.class_names, f"{title}, validation")
    confusions.savefig(folder.path / "confusion_matrix.png")
    events = EventFile(folder.tensorboard / "validation")
    events.image("confusion matrix", pixels_of(confusions), step=len(history))
    worst = worst_mistakes(scores)
    if len(worst):
        images = np.concatenate(list(views(examples.take(worst), metadata)))
        mistakes = gallery_figure(images, captions(scores, worst), f"{title}, most wrong first")
        events.image("most wrong predictions", pixels_of(mistakes), step=len(history))
    events.close()


def worst_mistakes(scores: Scores, most: int = MISTAKES) -> np.ndarray:
    """Images that were misnamed, int (at most `most`,), beginning with the one whose class was thought least likely.

    Example:
        >>> scores.labels[worst_mistakes(scores)[0]]
        3
    """
    wrong = np.flatnonzero(scores.predictions != scores.labels)
    own = scores.probabilities[wrong, scores.labels[wrong]]
    return wrong[np.argsort(own, kind="stable")][:most]


def captions(scores: Scores, images: np.ndarray) -> list[str]:
    """What is on the images, and what they were taken for with which probability."""
    texts = []
    for number in images:
        taken_for = scores.predictions[number]
        names = scores.class_names[scores.labels[number]], scores.class_names[taken_for]
        texts.append(f"{names[0]},\nnot {names[1]} ({scores.probabilities[number, taken_for]:.0%})")
    return texts
