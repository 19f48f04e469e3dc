"""The names of metrics in the history of a training, and which of them says how good a model is."""

from __future__ import annotations

from collections.abc import Collection, Container

HELD_OUT = "_held_out"  # The end of the names of metrics on held-out training images
# What is greater for a better model: the top-1 accuracy, or of multi-label data the mAP.
MAIN_ACCURACY = ("val_main_top1", "val_top1", "val_main_map", "val_map")


def main_accuracy(names: Container[str]) -> str | None:
    """Which of these names of metrics is the main classifier's validation accuracy, or mAP; None if none is.

    Example:
        >>> main_accuracy(["val_loss", "val_top1", "val_top5"])
        'val_top1'
    """
    return next((name for name in MAIN_ACCURACY if name in names), None)


def deciding_accuracy(names: Collection[str]) -> str | None:
    """Which of these names is the accuracy, or mAP, by which a training decides; None if none is.

    It is that on held-out training images if there are any, or else that on validation images.

    Example:
        >>> deciding_accuracy(["val_loss", "val_top1", "top1_held_out"])
        'top1_held_out'
    """
    held_out = [f"val_{name.removesuffix(HELD_OUT)}" for name in names if name.endswith(HELD_OUT)]
    name = main_accuracy(held_out)
    return f"{name.removeprefix('val_')}{HELD_OUT}" if name else main_accuracy(names)
