"""The proof of an export: every file through its real runtime, on the same images, beside the model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.evaluation.predictors import UNQUANTIZED, Predictor, RoundedInputPredictor
from kerascnn.evaluation.scores import evaluate, views
from kerascnn.export.memory import peak_memory
from kerascnn.export.operations import operations_of
from kerascnn.export.tflite import CALIBRATED
from kerascnn.files.progress import Track, untracked

TIMED_RUNS = 30

# The share of the images that a quantized file may name otherwise than the network, unless the caller says.
CHANGED = {"float16": 0.005, "dynamic": 0.03, "int8": 0.03, "int16x8": 0.01}


@dataclass(frozen=True)
class Tolerance:
    """How far an exported file may be from the model.

    A file in float32 is held to its probabilities. A quantized one is smaller because its numbers differ, so it is held
    to its predictions; its accuracy cannot fall by more than the share of them that changes.

    Attributes:
        probability: in float32, the largest difference of any probability from the model's own network in float32.
        rounding: in float32, the mean difference of the probabilities from the model as it was trained, which may have
            computed in 16 bits.
        changed: the share of the images that a quantized file may name otherwise than the network in float32; None
            for the form's own (`CHANGED`). One image may always change: the nearest to a tie proves nothing.
    """

    probability: float = 1e-3
    rounding: float = 0.02
    changed: float | None = None

    def images_changed(self, quantization: str, images: int) -> int:
        """How many of so many images a quantized file may name otherwise."""
        share = CHANGED[quantization] if self.changed is None else self.changed
        return max(1, int(share * images))


@dataclass(frozen=True)
class Row:
    """One form of the model, measured.

    Attributes:
        form: "Keras", "SavedModel", "TFLite", "TFLite int8", …
        quantization: "none", or that of the form.
        quantizer: what made it so, "tensorflow" or "litert"; None where nothing did, or the file does not say.
        accuracy: top-1 over the validation images.
        agreeing: images whose most probable class is the trained model's.
        images: that were measured.
        changed: images whose most probable class is not that of the network in float32.
        largest_difference: of any probability from the network in float32; 0 for the trained model itself where
            that is float32.
        mean_difference: of the probabilities from the trained model.
        bytes: on disk; None for what is not on it.
        milliseconds: the median for one image at a time, on all processor cores.
        milliseconds_one_thread: the same on one; None for TensorFlow, whose threads are the process's.
        memory: bytes that running a `.tflite` or `.onnx` file adds to a process, see `peak_memory`; None for others.
        operations: of a `.tflite` or `.onnx` file, how often it uses each; None for other forms.
        in_float: operations of a `.tflite` file of integers that compute in float32 all the same.
        float_fallback_layers: layers of such a file that integers would harm and that therefore compute in float32.
        foreign: operations that are not built into every interpreter.
    """

    form: str
    quantization: str
    accuracy: float
    agreeing: int
    images: int
    changed: int
    largest_difference: float
    mean_difference: float
    bytes: int | None
    milliseconds: float
    milliseconds_one_thread: float | None = None
    memory: int | None = None
    operations: dict[str, int] | None = None
    in_float: tuple[str, ...] = ()
    quantizer: str | None = None
    float_fallback_layers: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verification:
    """The rows of a verification and what they were held against."""

    rows: tuple[Row, ...]
    tolerance: Tolerance

    @property
    def failures(self) -> list[str]:
        """A sentence for each exported form that is beyond the tolerance."""
        return [sentence for row in self.rows[1:] if (sentence := self._failure(row))]

    def _failure(self, row: Row) -> str | None:
        if row.foreign:
            return f"the {row.form} needs operations that not every interpreter has: {', '.join(row.foreign)}."
        if row.quantization != UNQUANTIZED:
            allowed = self.tolerance.images_changed(row.quantization, row.images)
            if np.isfinite(row.largest_difference) and row.changed <= allowed:
                return None
            return (
                f"the {row.form} names {row.changed} of {row.images} images otherwise than the model, more than "
                f"{allowed}; its probabilities are up to {row.largest_difference:.2g} from the model's."
            )
        if not row.largest_difference <= self.tolerance.probability:
            return (
                f"the {row.form}'s probabilities are up to {row.largest_difference:.2g} from the model's, "
                f"more than {self.tolerance.probability:g}."
            )
        if not row.mean_difference <= self.tolerance.rounding:
            return (
                f"on average the {row.form}'s probabilities are {row.mean_difference:.2g} from the trained "
                f"model's, more than {self.tolerance.rounding:g}."
            )
        return None

    def to_dict(self) -> dict:
        """Plain values, fit for JSON."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "tolerance": asdict(self.tolerance),
            "failures": self.failures,
        }


def verify(
    trained: Predictor,
    exact: Predictor,
    exported: Sequence[Predictor],
    data: DataSet,
    *,
    tolerance: Tolerance = Tolerance(),
    track: Track = untracked,
) -> Verification:
    """Runs the trained model and each exported file over all validation images.

    Args:
        trained: the model as it was trained.
        exact: its deployable form, in float32, in Keras; it is shown whole pixels where a file takes those only.
        exported: the files, opened from where they were written.
        data: whose validation images are used.
        tolerance: what counts as right.
        track: shows progress over an iterable of known length.

    Example:
        >>> verify(trained, exact, [open_predictor("resnet20-digits.tflite")], data).failures
        []
    """
    image = next(views(data.validation.take(np.arange(1)), trained.metadata))
    references = {}
    rows = []
    trained_scores = None
    for predictor in (trained, *exported):
        scores = evaluate(predictor, data, track=track)
        whole = predictor.pixel_type != "float32"
        if whole not in references:
            references[whole] = evaluate(RoundedInputPredictor(exact) if whole else exact, data, track=track)
        reference = references[whole]
        trained_scores = trained_scores or scores
        rows.append(
            Row(
                form=predictor.kind,
                quantization=predictor.metadata.quantization,
                accuracy=scores.accuracy(),
                agreeing=int(np.sum(scores.predictions == trained_scores.predictions)),
                images=len(scores.labels),
                changed=int(np.sum(scores.predictions != reference.predictions)),
                largest_difference=float(np.abs(scores.probabilities - reference.probabilities).max()),
                mean_difference=float(np.abs(scores.probabilities - trained_scores.probabilities).mean()),
                bytes=predictor.size_in_bytes(),
                milliseconds=_milliseconds(predictor, image),
                **_of_the_file(predictor, image),
            )
        )
    return Verification(tuple(rows), tolerance)


def _of_the_file(predictor: Predictor, image: np.ndarray) -> dict[str, Any]:
    """What can be measured of a single file only."""
    alone = predictor.on_one_thread()
    if alone is None or predictor.path is None:
        return {}
    operations = operations_of(predictor.path)
    whole = predictor.metadata.quantization in CALIBRATED
    return {
        "milliseconds_one_thread": _milliseconds(alone, image),
        "memory": peak_memory(predictor.path),
        "operations": operations.counts,
        "in_float": operations.in_float if whole else (),
        "quantizer": predictor.metadata.quantizer,
        "float_fallback_layers": predictor.metadata.float_fallback_layers,
        "foreign": operations.foreign,
    }


def _milliseconds(predictor: Predictor, image: np.ndarray) -> float:
    predictor.probabilities(image)
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        predictor.probabilities(image)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)
