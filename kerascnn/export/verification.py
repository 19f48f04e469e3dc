"""Verification of an export: every file runs in its own runtime on the same images as the model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.console import as_text, table
from kerascnn.data.dataset import DataSet
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.evaluation.predictors import UNQUANTIZED, Predictor
from kerascnn.evaluation.scores import MultiLabelScores, Scores, evaluate, known_images, labeled_images, views
from kerascnn.export.file_measurements import operations_of, peak_memory
from kerascnn.export.tflite import CALIBRATED
from kerascnn.files.progress import Track, untracked

if TYPE_CHECKING:
    from rich.table import Table

TIMED_RUNS = 30

# Columns that a narrow terminal does without, the first to go first.
OPTIONAL = ("mean |Δ|", "1 core", "RAM", "max |Δ|")

# By the title of the accuracy: what it is, and what is compared.
LEGENDS = {
    "top-1": "top-1: accuracy on {} validation images; agreement: same predictions",
    "mAP": "mAP: mean average precision on {} validation images; agreement: same labels at the threshold",
}

# The default maximal share of predictions of a quantized file that differ from the float32 network's.
MAX_MISMATCH_RATES = {"float16": 0.005, "dynamic": 0.03, "int8": 0.03, "int16x8": 0.01}


@dataclass(frozen=True)
class Tolerance:
    """How far an exported file may differ from the model.

    For a float32 file, the probabilities are compared. The numbers of a quantized file differ by design, so its
    predictions are compared: its accuracy cannot fall by more than the share of predictions that differ. Of a
    multi-label model, every label of every image is a prediction; most labels are absent from most images, so its mAP
    may not fall by more than the same share either.

    Attributes:
        max_difference: float32 files: largest difference of any probability from the network in float32.
        max_mean_difference: float32 files: mean difference of the probabilities from the model as it was trained,
            possibly in 16-bit precision.
        max_mismatch_rate: quantized files: share of predictions, 0 to 1, that differ from the float32 network's;
            None for the default of the quantization (`MAX_MISMATCH_RATES`). One image may always differ: on a small
            set, the image closest to a tie proves nothing.
    """

    max_difference: float = 1e-3
    max_mean_difference: float = 0.02
    max_mismatch_rate: float | None = None

    def rate(self, quantization: str) -> float:
        """The share of the predictions of a quantized file that may differ."""
        return MAX_MISMATCH_RATES[quantization] if self.max_mismatch_rate is None else self.max_mismatch_rate

    def max_mismatches(self, quantization: str, predictions: int) -> int:
        """How many of the predictions of a quantized file may differ."""
        return max(1, int(self.rate(quantization) * predictions))

    def max_map_loss(self, quantization: str, images: int) -> float:
        """By how much the mAP of a quantized multi-label model may fall; one of few images proves nothing."""
        return max(self.rate(quantization), 1 / images)


@dataclass(frozen=True)
class FormatResult:
    """Measurements of one format of the model.

    Attributes:
        format: "Keras", "SavedModel", "TFLite", "TFLite int8", …
        quantization: "none", or the file's quantization.
        accuracy: top-1 accuracy, 0 to 1; of a multi-label model the mAP.
        agreement: number of predictions that are the trained model's.
        images: number of images.
        mismatches: number of predictions that are not those of the network in float32.
        max_difference: largest difference of a probability from the network in float32; 0 for a float32 model itself.
        mean_difference: mean difference of the probabilities from the trained model.
        size_bytes: size on disk; None for a model without a file.
        latency_ms: median milliseconds per image, one image at a time, on all CPU cores.
        single_thread_latency_ms: the same on one core; None for TensorFlow, whose threads belong to the process.
        memory_bytes: memory that running a `.tflite` or `.onnx` file adds to a process (see `peak_memory`), or None.
        operations: number of uses of each operation of a `.tflite` or `.onnx` file; None for other formats.
        float_fallback_ops: operations of an integer `.tflite` file that compute in float32.
        quantizer: "tensorflow" or "litert"; None if the file is not quantized or does not name it.
        float_fallback_layers: layers that stay in float32 because integers would harm them.
        custom_ops: operations that are not built into every interpreter.
        labels_per_image: predictions per image: 1, or of a multi-label model the number of classes.
        accuracy_loss: by how much the accuracy, or mAP, is less than that of the network in float32.
    """

    format: str
    quantization: str
    accuracy: float
    agreement: int
    images: int
    mismatches: int
    max_difference: float
    mean_difference: float
    size_bytes: int | None
    latency_ms: float
    single_thread_latency_ms: float | None = None
    memory_bytes: int | None = None
    operations: dict[str, int] | None = None
    float_fallback_ops: tuple[str, ...] = ()
    quantizer: str | None = None
    float_fallback_layers: tuple[str, ...] = ()
    custom_ops: tuple[str, ...] = ()
    labels_per_image: int = 1
    accuracy_loss: float = 0.0

    @property
    def multi_label(self) -> bool:
        """Whether the model predicts any number of classes per image."""
        return self.labels_per_image > 1

    @property
    def predictions(self) -> int:
        """The number of predictions for all images."""
        return self.images * self.labels_per_image


@dataclass(frozen=True)
class Verification:
    """The results of a verification, the trained model's first, and the tolerance; printed as a table."""

    results: tuple[FormatResult, ...]
    tolerance: Tolerance

    def __repr__(self) -> str:
        return "\n".join([as_text(self.table()), *self.notes(), *self.failures])

    def table(self) -> Table:
        """The measurements, a row per format."""
        accuracy = "mAP" if self.results[0].multi_label else "top-1"
        columns = ("", accuracy, "agreement", "max |Δ|", "mean |Δ|", "MB", "RAM", "ms", "1 core")
        measured = table(*columns, optional=OPTIONAL)
        for result in self.results:
            agreement = f"{result.accuracy:.2%}", f"{result.agreement}/{result.predictions}"
            differences = f"{result.max_difference:.1e}", f"{result.mean_difference:.1e}"
            costs = (
                "–" if result.size_bytes is None else f"{result.size_bytes / 1e6:.2f}",
                "–" if result.memory_bytes is None else f"{result.memory_bytes / 1e6:.1f}",
                f"{result.latency_ms:.2f}",
                "–" if result.single_thread_latency_ms is None else f"{result.single_thread_latency_ms:.2f}",
            )
            measured.add_row(result.format, *agreement, *differences, *costs)
        return measured

    def notes(self, verbose: bool = False) -> list[str]:
        """What the table does not say of quantized files; if verbose, also what its columns mean, and operations."""
        tolerance, first = self.tolerance, self.results[0]
        lines = [f"{LEGENDS['mAP' if first.multi_label else 'top-1'].format(first.images)} as the trained model"]
        if verbose:
            limits = f"limits {tolerance.max_difference:g} and {tolerance.max_mean_difference:g}"
            lines += [
                f"max |Δ|: largest difference of a probability from the float32 network, mean |Δ| from the model; "
                f"{limits}",
                "MB: file size; RAM: peak memory in MB; ms: median latency per image on all CPU cores, and on 1 core",
            ]
        for result in self.results:
            name = result.format
            if result.operations and verbose:
                lines.append(f"{name} uses " + ", ".join(f"{key} {count}" for key, count in result.operations.items()))
            if result.float_fallback_ops:
                lines.append(f"{name}: operations in float32: {', '.join(result.float_fallback_ops)}")
            if result.float_fallback_layers:
                layers = ", ".join(result.float_fallback_layers)
                lines.append(f"{name}: layers kept in float32 because integers would harm them: {layers}")
            if result.quantization != UNQUANTIZED:
                allowed = tolerance.max_mismatches(result.quantization, result.predictions)
                differing = f"{result.mismatches} predictions differ from the float32 network"
                lines.append(f"{name}: {differing} (allowed: {allowed})")
                if result.multi_label:
                    limit = tolerance.max_map_loss(result.quantization, result.images)
                    lines.append(f"{name}: mAP lower by {result.accuracy_loss:.2%} (allowed: {limit:.2%})")
        return lines

    @property
    def failures(self) -> list[str]:
        """One sentence for each exported format outside the tolerance."""
        return [sentence for result in self.results[1:] if (sentence := self._failure(result))]

    def _failure(self, result: FormatResult) -> str | None:
        name, difference, mean = result.format, result.max_difference, result.mean_difference
        if result.custom_ops:
            return f"{name} uses operations that not every interpreter has: {', '.join(result.custom_ops)}."
        if result.quantization != UNQUANTIZED:
            allowed = self.tolerance.max_mismatches(result.quantization, result.predictions)
            if not np.isfinite(difference) or result.mismatches > allowed:
                return (
                    f"{result.mismatches} of {result.predictions} predictions of {name} differ from the model's, more "
                    f"than {allowed}; the largest difference of a probability is {difference:.2g}."
                )
            limit = self.tolerance.max_map_loss(result.quantization, result.images)
            if result.multi_label and not result.accuracy_loss <= limit:
                return (
                    f"{name}: the mAP is lower than the model's by {result.accuracy_loss:.2%}, more than {limit:.2%}."
                )
            return None
        # Written this way, NaN fails.
        if not difference <= (limit := self.tolerance.max_difference):
            return f"{name}: the largest difference of a probability from the model is {difference:.2g} > {limit:g}."
        if not mean <= (limit := self.tolerance.max_mean_difference):
            return f"{name}: probabilities differ from the trained model by {mean:.2g} on average, more than {limit:g}."
        return None

    def to_dict(self) -> dict:
        """Returns plain values for JSON."""
        return asdict(self) | {"failures": self.failures}


def verify(
    trained: Predictor,
    exact: Predictor,
    exported: Sequence[Predictor],
    data: DataSet | LabeledImages,
    *,
    scores: Scores | MultiLabelScores | None = None,
    tolerance: Tolerance = Tolerance(),
    track: Track = untracked,
) -> Verification:
    """Runs the trained model and each exported file once on all images of the data that count.

    Args:
        trained: the model as it was trained.
        exact: the same network in float32 in Keras, which may be `trained` itself; it gets rounded pixels where a file
            takes integers only.
        exported: the files, opened from where they were written.
        data: provides the images, as for `export`.
        scores: of the trained model on these images; None to measure them.
        tolerance: the accepted differences.
        track: shows progress over an iterable of known length.

    Example:
        >>> verify(trained, exact, [open_predictor("resnet20-digits.tflite")], data).failures
        []
    """
    images = known_images(labeled_images(data), trained.metadata, "skip")
    image = next(views(images.examples.take(np.arange(1)), trained.metadata))
    trained_scores = scores or evaluate(trained, images, track=track)
    rounded = copy(exact)
    rounded.pixel_type = "uint8"
    references = {False: trained_scores} if exact is trained else {}
    results = []
    for predictor in (trained, *exported):
        scores = trained_scores if predictor is trained else evaluate(predictor, images, track=track)
        # A file that takes integers is compared with the network on rounded pixels.
        integers = predictor.pixel_type != "float32"
        if integers not in references:
            references[integers] = evaluate(rounded if integers else exact, images, track=track)
        reference = references[integers]
        results.append(
            FormatResult(
                format=predictor.kind,
                quantization=predictor.metadata.quantization,
                accuracy=_accuracy(scores),
                agreement=int(np.sum(scores.predictions == trained_scores.predictions)),
                images=len(scores.labels),
                mismatches=int(np.sum(scores.predictions != reference.predictions)),
                max_difference=float(np.abs(scores.probabilities - reference.probabilities).max()),
                mean_difference=float(np.abs(scores.probabilities - trained_scores.probabilities).mean()),
                labels_per_image=scores.labels.shape[1] if predictor.metadata.multi_label else 1,
                accuracy_loss=_accuracy(reference) - _accuracy(scores),
                size_bytes=predictor.size_in_bytes(),
                latency_ms=_latency_ms(predictor, image),
                **_file_measurements(predictor, image),
            )
        )
    return Verification(tuple(results), tolerance)


def _accuracy(scores: Scores | MultiLabelScores) -> float:
    return scores.mean_average_precision() if isinstance(scores, MultiLabelScores) else scores.accuracy()


def _file_measurements(predictor: Predictor, image: np.ndarray) -> dict[str, Any]:
    """Measurements that exist only for a single file with an interpreter of its own."""
    single_thread = predictor.on_one_thread()
    if single_thread is None or predictor.path is None:
        return {}
    operations = operations_of(predictor.path)
    return {
        "single_thread_latency_ms": _latency_ms(single_thread, image),
        "memory_bytes": peak_memory(predictor.path),
        "operations": operations.counts,
        "float_fallback_ops": operations.float_ops if predictor.metadata.quantization in CALIBRATED else (),
        "quantizer": predictor.metadata.quantizer,
        "float_fallback_layers": predictor.metadata.float_fallback_layers,
        "custom_ops": operations.custom_ops,
    }


def _latency_ms(predictor: Predictor, image: np.ndarray) -> float:
    predictor.probabilities(image)
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        predictor.probabilities(image)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)
