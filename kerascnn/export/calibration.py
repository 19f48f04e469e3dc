"""The range of every tensor of a network over some images, from which its 8-bit steps follow."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.cores import cores
from kerascnn.keras_internals import calibrated

if TYPE_CHECKING:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter


def keeping_tensors(content: bytes) -> Interpreter:
    """An interpreter in which every tensor of a `.tflite` file can be read after a run."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with warnings.catch_warnings():
        # It warns that preserving all tensors is for debugging.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(
            model_content=content,
            num_threads=cores(),
            experimental_preserve_all_tensors=True,
            # The default one computes several operations at once, and no tensors between them.
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    interpreter.allocate_tensors()
    return interpreter


def with_ranges(converter: tf.lite.TFLiteConverter, samples: Sequence[Sequence[np.ndarray]]) -> bytes:
    """The converter's float32 network, in which every tensor has its least and greatest value over the samples.

    TensorFlow reads the inputs of an operation after it has run. A sum or product may have been written over one of
    them, which then gets the range of both: too few steps for itself. So TensorFlow sees one sample only, and the
    ranges that it has written are replaced.
    """
    from ai_edge_litert import schema_py_generated as schema

    converter.representative_dataset = lambda: iter(samples[:1])
    content = calibrated(converter)
    interpreter, content = keeping_tensors(content), bytearray(content)
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    stored = {number: graph.Tensors(number).Quantization() for number in range(graph.TensorsLength())}
    stored = {number: ranges for number, ranges in stored.items() if ranges and ranges.MinLength() == 1}
    least, greatest = (dict.fromkeys(stored, start) for start in (np.inf, -np.inf))
    [pixels] = interpreter.get_input_details()
    for [image] in samples:
        interpreter.set_tensor(pixels["index"], image)
        interpreter.invoke()
        for number in stored:
            values = interpreter.get_tensor(number)
            least[number] = min(least[number], values.min())
            greatest[number] = max(greatest[number], values.max())
    for number, ranges in stored.items():
        # Views of the bytes.
        ranges.MinAsNumpy()[0], ranges.MaxAsNumpy()[0] = least[number], greatest[number]
    return bytes(content)
