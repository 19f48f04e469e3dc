"""The proof of an export: every file through its real runtime, on the same pictures, beside the model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.tracking import Track, untracked
from kerascnn.evaluation.predictors import Predictor
from kerascnn.evaluation.scores import evaluate, views

TIMED_RUNS = 30


@dataclass(frozen=True)
class Tolerance:
    """How far an exported file may be from the model.

    Attributes:
        probability: the largest difference of any probability from the model's own network in float32.
        rounding: the mean difference of the probabilities from the model as it was trained, which may have
            computed in 16 bits.
    """

    probability: float = 1e-3
    rounding: float = 0.02


@dataclass(frozen=True)
class Row:
    """One form of the model, measured.

    Attributes:
        form: "Keras", "SavedModel", "TFLite".
        accuracy: top-1 over the validation pictures.
        agreeing: pictures whose most probable class is the trained model's.
        pictures: that were measured.
        largest_difference: of any probability from the network in float32; 0 for the trained model itself where
            that is float32.
        mean_difference: of the probabilities from the trained model.
        bytes: on disk; None for what is not on it.
        milliseconds: the median for one picture at a time.
    """

    form: str
    accuracy: float
    agreeing: int
    pictures: int
    largest_difference: float
    mean_difference: float
    bytes: int | None
    milliseconds: float


@dataclass(frozen=True)
class Verification:
    """The rows of a verification and what they were held against."""

    rows: tuple[Row, ...]
    tolerance: Tolerance

    @property
    def failures(self) -> list[str]:
        """A sentence for each exported form that is beyond the tolerance."""
        found = []
        for row in self.rows[1:]:
            if not row.largest_difference <= self.tolerance.probability:
                found.append(
                    f"the {row.form}'s probabilities are up to {row.largest_difference:.2g} from the model's, "
                    f"more than {self.tolerance.probability:g}."
                )
            elif not row.mean_difference <= self.tolerance.rounding:
                found.append(
                    f"on average the {row.form}'s probabilities are {row.mean_difference:.2g} from the trained "
                    f"model's, more than {self.tolerance.rounding:g}."
                )
        return found

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
    """Runs the trained model and each exported file over all validation pictures.

    Args:
        trained: the model as it was trained.
        exact: its deployable form, in float32, in Keras.
        exported: the files, opened from where they were written.
        data: whose validation pictures are used.
        tolerance: what counts as right.
        track: shows progress over an iterable of known length.

    Example:
        >>> verify(trained, exact, [open_predictor("resnet20-digits.tflite")], data).failures
        []
    """
    picture = next(views(data.validation.take(np.arange(1)), trained.facts))
    reference = evaluate(exact, data, track=track).probabilities
    rows = []
    trained_scores = None
    for predictor in (trained, *exported):
        scores = evaluate(predictor, data, track=track)
        trained_scores = trained_scores or scores
        rows.append(
            Row(
                form=predictor.kind,
                accuracy=scores.accuracy(),
                agreeing=int(np.sum(scores.predictions == trained_scores.predictions)),
                pictures=len(scores.labels),
                largest_difference=float(np.abs(scores.probabilities - reference).max()),
                mean_difference=float(np.abs(scores.probabilities - trained_scores.probabilities).mean()),
                bytes=predictor.size_in_bytes(),
                milliseconds=_milliseconds(predictor, picture),
            )
        )
    return Verification(tuple(rows), tolerance)


def _milliseconds(predictor: Predictor, picture: np.ndarray) -> float:
    predictor.probabilities(picture)
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        predictor.probabilities(picture)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)
