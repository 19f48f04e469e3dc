"""A run as a row of TensorBoard's HParams table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerascnn.training.callbacks.event_files import EventFile
from kerascnn.training.recipe.recipe import Recipe

# What a run is compared by: tags of its newest figures, and where those are found among Keras'.
RESULTS = {
    "result/top-1 accuracy": ("val_main_top1", "val_top1"),
    "result/top-5 accuracy": ("val_main_top5", "val_top5"),
    "result/loss": ("val_main_loss", "val_loss"),
}

# TensorBoard shows a few columns until asked for others: first those that are said to differ.
FIRST_COLUMNS = ("model", "image_size", "batch_size", "epochs", "optimizer.learning_rate")


def begin_trial(events: EventFile, recipe: Recipe) -> None:
    """Writes the values that the table's columns show.

    Args:
        events: the file in the folder above those of the curves.
        recipe: with every value resolved.
    """
    values = flat({name: value for name, value in recipe.to_dict().items() if name != "about"})
    titles = {tag: f"validation {tag.removeprefix('result/')}" for tag in RESULTS}
    begin_row(events, values, titles, FIRST_COLUMNS)


def begin_row(
    events: EventFile, values: dict[str, bool | float | str], titles: dict[str, str], first: Sequence[str]
) -> None:
    """Writes a row of the table, and the columns that it shows.

    Args:
        events: a file of the row's own.
        values: as `flat` gives them.
        titles: of the figures that rows are compared by, by their tags.
        first: which values are shown until others are asked for.
    """
    from tensorboard.plugins.hparams import summary
    from tensorboard.plugins.hparams.api_pb2 import HParamInfo, MetricInfo, MetricName

    columns = [HParamInfo(name=name, type=_type(value), differs=name in first) for name, value in values.items()]
    metrics = [MetricInfo(name=MetricName(tag=tag), display_name=title) for tag, title in titles.items()]
    events.summary(summary.experiment_pb(columns, metrics))
    events.summary(summary.session_start_pb(values))


def show_result(events: EventFile, figures: dict[str, float], epochs: int) -> None:
    """Writes the figures that the table shows.

    Args:
        events: as for `begin_trial`.
        figures: Keras', of the newest epoch.
        epochs: how many there were so far.
    """
    for tag, names in RESULTS.items():
        found = [figures[name] for name in names if name in figures]
        if found:
            events.scalar(tag, found[0], epochs)


def end_trial(events: EventFile) -> None:
    """Writes that the run came to its end."""
    from tensorboard.plugins.hparams import summary
    from tensorboard.plugins.hparams.api_pb2 import Status

    events.summary(summary.session_end_pb(Status.Value("STATUS_SUCCESS")))


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, bool | float | str]:
    """Nested values by the names that `--set` knows them by; lists and None become text.

    Example:
        >>> flat({"optimizer": {"learning_rate": 0.1, "clip_norm": None}})
        {'optimizer.learning_rate': 0.1, 'optimizer.clip_norm': 'none'}
    """
    found: dict[str, bool | float | str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{name}."))
        elif isinstance(value, bool | int | float | str):
            found[f"{prefix}{name}"] = value
        else:
            found[f"{prefix}{name}"] = "none" if value is None else ", ".join(map(str, value))
    return found


def _type(value: bool | float | str) -> int:
    from tensorboard.plugins.hparams import api_pb2

    if isinstance(value, bool):
        return api_pb2.DATA_TYPE_BOOL
    return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64
