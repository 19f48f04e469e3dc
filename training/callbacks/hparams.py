"""A run as one row of TensorBoard's HParams table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerascnn.training.callbacks.event_files import EventFile


def write_hparams_row(
    events: EventFile, values: dict[str, bool | float | str], metrics: dict[str, str], first: Sequence[str]
) -> None:
    """Writes the hyperparameters of a row, and the columns of the table.

    Args:
        events: a file in the row's own folder.
        values: from `flatten`.
        metrics: the titles of the metrics that rows are compared by, by their tags.
        first: the values that TensorBoard shows at first.
    """
    from tensorboard.plugins.hparams import api_pb2, summary

    def data_type(value: bool | float | str) -> int:
        if isinstance(value, bool):
            return api_pb2.DATA_TYPE_BOOL
        return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64

    columns = [
        api_pb2.HParamInfo(name=name, type=data_type(value), differs=name in first) for name, value in values.items()
    ]
    infos = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title) for tag, title in metrics.items()]
    events.summary(summary.experiment_pb(columns, infos))
    events.summary(summary.session_start_pb(values))


def write_success(events: EventFile) -> None:
    """Writes that the run was completed."""
    from tensorboard.plugins.hparams import api_pb2, summary

    events.summary(summary.session_end_pb(api_pb2.Status.Value("STATUS_SUCCESS")))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, bool | float | str]:
    """Nested values by their names for `--set`; lists and None become text.

    Example:
        >>> flatten({"optimizer": {"learning_rate": 0.1, "clip_norm": None}})
        {'optimizer.learning_rate': 0.1, 'optimizer.clip_norm': 'none'}
    """
    found: dict[str, bool | float | str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update(flatten(value, f"{prefix}{name}."))
        elif isinstance(value, bool | int | float | str):
            found[f"{prefix}{name}"] = value
        else:
            found[f"{prefix}{name}"] = "none" if value is None else ", ".join(map(str, value))
    return found
