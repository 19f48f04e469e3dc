"""Measures several models by several protocols on the same images, each alone and as an ensemble."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.errors import InputError
from kerascnn.evaluation.metrics import (
    MajorityBaseline,
    by_class,
    by_size,
    calibration,
    majority_baseline,
    most_confused,
    none_for_nan,
    top_accuracy,
)
from kerascnn.evaluation.model_options import NO_OPTIONS, ModelOptions
from kerascnn.evaluation.multi_label import ConstantBaseline, by_label, constant_baseline, label_metrics, summary
from kerascnn.evaluation.predictors import ModelMetadata, open_predictor
from kerascnn.evaluation.protocols import Protocol, protocol_of
from kerascnn.evaluation.scores import MultiLabelScores, Scores, Unknown, evaluate, known_images, labeled_images
from kerascnn.files.progress import Track, untracked


@dataclass(frozen=True)
class Measurement:
    """One model, or an ensemble, measured by one protocol."""

    models: tuple[Path, ...]  # the averaged models, in the order given
    kinds: tuple[str, ...]  # the format of each, see `Predictor.kind`
    protocol: str  # as shown in a table
    views: int  # forward passes per image, over all models
    scores: Scores | MultiLabelScores = field(repr=False)  # on the images of the study
    seconds: float  # duration of the measurement

    @property
    def name(self) -> str:
        """The model's path, or the size of the ensemble."""
        return str(self.models[0]) if len(self.models) == 1 else f"ensemble of {len(self.models)}"


@dataclass(frozen=True)
class Study:
    """All measurements on the same images."""

    images: LabeledImages  # those that count
    alone: tuple[Measurement, ...]  # every model by every protocol, model by model
    # Ensembles of the first 2, 3, … models by every protocol, protocol by protocol.
    together: tuple[Measurement, ...] = ()
    # The numbers of images of classes that the models do not know and that do not count, by class.
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def result(self) -> Measurement:
        """All models together, by the last protocol."""
        return (self.together or self.alone)[-1]

    @property
    def rows(self) -> list[Measurement]:
        """Every model alone, then all of them together."""
        count = len({row.models for row in self.alone})
        return [*self.alone, *(row for row in self.together if len(row.models) == count)]

    def short_name(self, row: Measurement) -> str:
        """A row's name in tables: a model's path below the folder that contains all models."""
        return row.name if len(row.models) > 1 else short_names(one.models[0] for one in self.alone)[row.models[0]]

    @property
    def ranks(self) -> tuple[int, ...]:
        """The k of the reported top-k accuracies. With five classes, the correct one is always among the first five."""
        return (1, 5) if len(self.result.scores.known_names) > 5 else (1,)

    @property
    def baseline(self) -> MajorityBaseline | ConstantBaseline | None:
        """The result next to a prediction that does not look at the images; None if all are of one class."""
        scores = self.result.scores
        return constant_baseline(scores) if isinstance(scores, MultiLabelScores) else majority_baseline(scores)

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes."""
        return isinstance(self.result.scores, MultiLabelScores)

    def measures(self, row: Measurement) -> dict[str, float]:
        """What the tables of several models and crops compare: the top-k accuracies, or the mAP, by their titles."""
        if isinstance(row.scores, MultiLabelScores):
            return {"mAP": row.scores.mean_average_precision()}
        return {f"top-{k} accuracy": row.scores.accuracy(k) for k in self.ranks}

    def by_models_and_views(self) -> list[Measurement]:
        """The rows of a table of models and crops: the first model alone, the first two together, …"""
        first = [row for row in self.alone if row.models == self.alone[0].models]
        return first + sorted(self.together, key=lambda row: len(row.models))

    def models_and_crops(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of a table of accuracies by models and crops, as in table 3 of Szegedy et al. (2014)."""
        head, rows, first = ["models", "crops", "views"], [], self.measures(self.by_models_and_views()[0])
        for title in first:
            head += [title, "vs. the first"]
        for row in self.by_models_and_views():
            cells = [str(len(row.models)), row.protocol, str(row.views)]
            for title, value in self.measures(row).items():
                cells += [f"{value:.2%}", f"{value - first[title]:+.2%}"]
            rows.append(cells)
        return head, rows

    def metrics(self) -> dict[str, Any]:
        """All metrics of `result`, one row per measurement, and the table of models and crops, for JSON.

        Every `top5_accuracy` is 1 if there are five classes or fewer. Multi-label models have mAP and F1 instead.
        """
        scores = self.result.scores
        if isinstance(scores, MultiLabelScores):
            return self._multi_label_metrics(scores)
        calibrated = calibration(scores)
        columns = calibrated.images.tolist(), *map(none_for_nan, (calibrated.confidence, calibrated.accuracy))
        bins = zip(itertools.pairwise(calibrated.edges.tolist()), *columns, strict=True)
        return {
            **self._measured_images(),
            **_accuracies(self.result),
            "majority_class": self.baseline and self.baseline.to_dict(),
            "calibration_error": calibrated.error,
            "class_names": list(scores.class_names),
            "classes": [metrics._asdict() for metrics in by_class(scores)],
            "sizes": {group: {"images": one.images, **one.to_dict()} for group, one in by_size(scores).items()},
            "most_confused": [confusion._asdict() for confusion in most_confused(scores)],
            "calibration": [
                {"from": low, "to": high, "images": images, "confidence": confidence, "accuracy": accuracy}
                for (low, high), images, confidence, accuracy in bins
            ],
            "confusion": scores.confusion().tolist(),
            "rows": [
                {**_measured(row), **_accuracies(row), "calibration_error": calibration(row.scores).error}
                for row in self.rows
            ],
            "models_and_crops": [
                {"models": len(row.models), "crops": row.protocol, "views": row.views, **_accuracies(row)}
                for row in self.by_models_and_views()
            ],
        }

    def _measured_images(self) -> dict[str, Any]:
        """What is measured: the model, which images count, of how many, and the classes that it does not know."""
        return {
            "model": self.result.name,
            "data": self.images.source,
            "split": self.images.split,
            "available_images": self.images.available or len(self.images.examples),
            "unknown_classes": list(self.result.scores.unknown),
            "left_out": self.left_out,
            "crops": self.result.protocol,
            "images": len(self.result.scores.labels),
        }

    def _multi_label_metrics(self, scores: MultiLabelScores) -> dict[str, Any]:
        return {
            **self._measured_images(),
            **label_metrics(scores),
            "class_names": list(scores.class_names),
            "classes": [metrics._asdict() for metrics in by_label(scores)],
            "rows": [{**_measured(row), **summary(row.scores)._asdict()} for row in self.rows],
        }


def _measured(row: Measurement) -> dict[str, Any]:
    models, formats = list(map(str, row.models)), list(row.kinds)
    values = {"model": row.name, "models": models, "formats": formats, "crops": row.protocol}
    return {**values, "views": row.views, "seconds": row.seconds}


def _accuracies(row: Measurement) -> dict[str, Any]:
    return top_accuracy(row.scores).to_dict() | top_accuracy(row.scores, 5).to_dict(5)


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """A short name per path: the part below their common folder; a single path keeps its whole name.

    Example:
        >>> short_names([Path("runs/a/model.keras"), Path("runs/b/model.keras")])
        {PosixPath('runs/a/model.keras'): 'a/model.keras', PosixPath('runs/b/model.keras'): 'b/model.keras'}
    """
    different = dict.fromkeys(paths)
    try:
        folder = os.path.commonpath([path.parent for path in different])
    except ValueError:
        # Some paths are absolute, some relative.
        folder = ""
    if len(different) == 1 or not folder:
        return {path: str(path) for path in different}
    return {path: str(path.relative_to(folder)) for path in different}


def study(
    models: Sequence[str | Path],
    data: DataSet | LabeledImages,
    protocols: Sequence[Protocol | Literal["recipe"]],
    *,
    threshold: float | None = None,
    unknown: Unknown = "wrong",
    options: ModelOptions = NO_OPTIONS,
    track: Track = untracked,
) -> Study:
    """Measures models alone and together.

    Args:
        models: as for `open_predictor`, in any mixture; one is in memory at a time.
        data: as for `evaluate`.
        protocols: for each model; "recipe" is the protocol of the recipe in its run folder.
        threshold: of multi-label models, the probability from which an image counts as having a class; None for the
            models' own.
        unknown: as for `evaluate`.
        options: what models of other programs do not say about themselves.
        track: shows progress.

    Raises:
        InputError: a path is not a model, or knows other classes than the first, or none of the data's, or gives
            probabilities that are not finite, as after a training that diverged.

    Example:
        >>> both = study(["a.keras", "b.tflite"], pets, [Protocol("10 crops")])
        >>> both.result.scores.accuracy()
        0.94
    """
    alone, given = [], labeled_images(data)
    images = given
    for model in map(Path, models):
        predictor = open_predictor(model, options)
        predictor.metadata = predictor.metadata.with_threshold(threshold)
        images = known_images(images, predictor.metadata, unknown)
        for wanted in protocols:
            protocol = _protocol_of_run(model, predictor.metadata) if wanted == "recipe" else wanted
            started = time.perf_counter()
            scores = evaluate(predictor, images, protocol=protocol, track=track)
            seconds = time.perf_counter() - started
            if wrong := np.count_nonzero(~np.isfinite(scores.probabilities).all(axis=1)):
                raise InputError(
                    f"{model} gives probabilities that are not finite for {wrong} of {len(scores.labels)} images."
                )
            views = protocol.views(predictor.metadata)
            alone.append(Measurement((model,), (predictor.kind,), str(protocol), views, scores, seconds))
    by_protocol = [alone[number :: len(protocols)] for number in range(len(protocols))]
    together = [_together(rows[:count]) for rows in by_protocol for count in range(2, len(rows) + 1)]
    counts = zip(given.class_names, given.counts().tolist(), strict=True)
    left_out = {name: count for name, count in counts if name not in images.class_names}
    return Study(images, tuple(alone), tuple(together), left_out)


def _protocol_of_run(model: Path, metadata: ModelMetadata) -> Protocol:
    from kerascnn.training import RunFolder

    if run := RunFolder.around(model):
        return protocol_of(run.read_recipe()[0], metadata)
    raise InputError(f"{model} is in no run folder, so there is no recipe with a protocol; name the crops.")


def _together(rows: Sequence[Measurement]) -> Measurement:
    return Measurement(
        models=tuple(model for row in rows for model in row.models),
        kinds=tuple(kind for row in rows for kind in row.kinds),
        protocol=" and ".join(dict.fromkeys(row.protocol for row in rows)),
        views=sum(row.views for row in rows),
        scores=ensemble([row.scores for row in rows]),
        seconds=sum(row.seconds for row in rows),
    )


def ensemble(members: Sequence[Scores | MultiLabelScores]) -> Scores | MultiLabelScores:
    """Averages probabilities over models, which may have their classes in different orders.

    InputError if the scores are of different images or classes.

    Example:
        >>> ensemble([scores_of_vgg16, scores_of_googlenet]).accuracy()
        0.93
    """
    first = members[0]
    multi_label = isinstance(first, MultiLabelScores)
    total = np.zeros(first.probabilities.shape)
    for member in members:
        if different := set(member.known_names) ^ set(first.known_names):
            raise InputError(f"models of different classes cannot be averaged: not all know '{min(different)}'.")
        columns = [member.class_names.index(name) for name in first.class_names]
        if multi_label:
            same = np.array_equal(member.labels[:, columns], first.labels)
        else:
            same = np.array_equal(member.true_names, first.true_names)
        if not same:
            raise InputError("scores of different images cannot be averaged.")
        total += member.probabilities[:, columns]
    return replace(first, probabilities=(total / len(members)).astype(np.float32))
