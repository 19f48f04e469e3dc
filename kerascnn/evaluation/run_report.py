"""What evaluation adds to a run's folder: pictures of its curves and of its confusions."""

from __future__ import annotations

from kerascnn.evaluation.plots import confusion_figure, pixels_of, plot_curves
from kerascnn.evaluation.scores import Scores
from kerascnn.training.run_folder import RunFolder


def report_run(folder: RunFolder, scores: Scores, title: str) -> None:
    """Writes curves.png and confusion_matrix.png, and shows the latter in TensorBoard too.

    Args:
        folder: of a run that ended.
        scores: of its model on its validation pictures.
        title: above the pictures.
    """
    import tensorflow as tf

    history = folder.history()
    plot_curves(history, title, folder.path / "curves.png")
    figure = confusion_figure(scores.confusion(), scores.class_names, f"{title}, validation")
    figure.savefig(folder.path / "confusion_matrix.png")
    writer = tf.summary.create_file_writer(str(folder.tensorboard / "validation"))
    with writer.as_default(step=len(history)):
        tf.summary.image("confusion matrix", pixels_of(figure)[None])
    writer.close()
