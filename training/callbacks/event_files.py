"""TensorBoard's event files: written, and cut back to an earlier length."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PATTERN = "*.tfevents.*"


class EventFile:
    """One event file, written by a thread of its own; TensorBoard shows its folder as one "run"."""

    def __init__(self, folder: Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        # A queue so long that no training step waits for the disk.
        self._writer = EventFileWriter(str(folder), max_queue_size=1000)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Writes a point of a curve."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(step, summary=scalar_pb(tag, value))

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Writes an image, uint8 (height, width, 3)."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="png")
        height, width = pixels.shape[:2]
        tensor = make_tensor_proto([b"%d" % width, b"%d" % height, png.getvalue()])
        summary = Summary()
        summary.value.add(tag=tag, metadata=create_summary_metadata(None, None), tensor=tensor)
        self._add(step, summary=summary)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Writes a text in Markdown."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._add(step, summary=text_pb(tag, markdown))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Writes the distribution of finite values, which may have any shape."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        self._add(step, summary=histogram_pb(tag, values))

    def graph(self, model: str) -> None:
        """Writes a Keras model, in its JSON, as a conceptual graph, and as the graph that is shown first."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
        from tensorboard.plugins.graph.metadata import PLUGIN_NAME_KERAS_MODEL
        from tensorboard.util.tensor_util import make_tensor_proto

        plugin = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME_KERAS_MODEL, content=b"1")
        summary = Summary()
        summary.value.add(tag="keras", metadata=SummaryMetadata(plugin_data=plugin), tensor=make_tensor_proto(model))
        self._add(0, summary=summary)
        first = keras_model_to_graph_def(json.loads(model))
        for node in first.node:
            node.op = node.attr["keras_class"].s.decode()
        self._add(0, graph_def=first.SerializeToString())

    def hparams(
        self, values: Mapping[str, bool | float | str], metrics: Mapping[tuple[str, str], str], first: Sequence[str]
    ) -> None:
        """Writes a row of the HParams table; the file must be in the row's own folder.

        `values` are from `flatten`, `metrics` the titles of the metrics that rows are compared by, by their subfolder
        and tag; `first` names the values that TensorBoard shows at first.
        """
        from tensorboard.plugins.hparams import api_pb2, summary

        types = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
        columns = [
            api_pb2.HParamInfo(name=name, type=types.get(type(value), api_pb2.DATA_TYPE_FLOAT64), differs=name in first)
            for name, value in values.items()
        ]
        name = api_pb2.MetricName
        infos = [
            api_pb2.MetricInfo(name=name(group=group, tag=tag), display_name=title)
            for (group, tag), title in metrics.items()
        ]
        self._plugin_summary(summary.experiment_pb(columns, infos))
        self._plugin_summary(summary.session_start_pb(values))

    def success(self) -> None:
        """Writes that the run of the HParams row was completed."""
        from tensorboard.plugins.hparams import api_pb2, summary

        self._plugin_summary(summary.session_end_pb(api_pb2.Status.Value("STATUS_SUCCESS")))

    def flush(self) -> None:
        """Writes everything so far to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file; a second call does nothing."""
        self._writer.close()

    def _plugin_summary(self, proto) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        # Plugins return TensorFlow's `Summary`, or TensorBoard's own.
        self._add(0, summary=Summary.FromString(proto.SerializeToString()))

    def _add(self, step: int, **content) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, bool | float | str]:
    """Nested values by their names for `--set`, such as "optimizer.learning_rate"; lists and None become text."""
    found: dict[str, bool | float | str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            found[f"{prefix}{name}"] = value
        else:
            found[f"{prefix}{name}"] = "none" if value is None else ", ".join(map(str, value))
    return found


def event_sizes(folder: Path) -> dict[str, int]:
    """The size of every event file below `folder`, in bytes, by its relative path."""
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob(PATTERN))}


def sync_events(folder: Path) -> None:
    """Syncs all event files below `folder` to the disk, so that they survive a power failure."""
    for file in folder.rglob(PATTERN):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def cut_events(folder: Path, sizes: Mapping[str, int]) -> None:
    """Removes everything that was written after `event_sizes` returned these `sizes`.

    A resumed training writes it again, and no point of a curve appears twice.
    """
    for file in folder.rglob(PATTERN):
        size = sizes.get(file.relative_to(folder).as_posix())
        if size is None:
            file.unlink()
        elif file.stat().st_size > size:
            os.truncate(file, size)
