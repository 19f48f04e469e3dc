"""The files that TensorBoard reads."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np

# Enough that no step waits for the disk.
QUEUE = 1000

BUCKETS = 30


class EventFile:
    """One event file: figures, images, texts, a graph. A thread of its own writes it.

    Args:
        folder: TensorBoard shows each as a "run" of its own.

    Example:
        >>> events = EventFile(Path("runs/mine/tensorboard/train"))
        >>> events.scalar("loss", 0.5, step=1)
        >>> events.close()
    """

    def __init__(self, folder: Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder), max_queue_size=QUEUE)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A point of a curve."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(step, summary=scalar_pb(tag, value))

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """An image, uint8 (height, width, 3)."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="png")
        height, width = pixels.shape[:2]
        summary = Summary()
        summary.value.add(
            tag=tag,
            metadata=create_summary_metadata(display_name=None, description=None),
            tensor=make_tensor_proto([str(width).encode(), str(height).encode(), png.getvalue()]),
        )
        self._add(step, summary=summary)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """A text in Markdown."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._add(step, summary=text_pb(tag, markdown))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How finite values of any shape are distributed."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.histogram.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        counts, edges = np.histogram(values, BUCKETS)
        summary = Summary()
        summary.value.add(
            tag=tag,
            metadata=create_summary_metadata(display_name=None, description=None),
            tensor=make_tensor_proto(np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)),
        )
        self._add(step, summary=summary)

    def graph(self, definition: bytes) -> None:
        """A graph, as TensorFlow serializes its `GraphDef`."""
        self._add(0, graph_def=definition)

    def summary(self, proto, step: int = 0) -> None:
        """What a plugin of TensorBoard made ready; some make TensorFlow's `Summary`, some TensorBoard's own."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, summary=Summary.FromString(proto.SerializeToString()))

    def flush(self) -> None:
        """Brings to the disk what was written so far."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the file; without it the last figures could be lost. Doing it twice does no harm."""
        self._writer.close()

    def _add(self, step: int, **content) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))
