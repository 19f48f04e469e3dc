"""What was measured as plain values, for JSON and tables."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import Examples, FileExamples, RecordExamples
from kerascnn.evaluation.metrics import Error, by_class, by_size, calibration, most_confused, top_error
from kerascnn.evaluation.study import Measurement, Study


def study_figures(study: Study) -> dict[str, Any]:
    """Everything: the figures of `Study.result`, a row a measurement, the table of models and crops.

    Every `top5_error` is 0 where there are five classes or fewer.
    """
    scores = study.result.scores
    measured = calibration(scores)
    return {
        "model": study.result.name,
        "data": study.data.source,
        "crops": study.result.protocol,
        "images": len(scores.labels),
        **_errors(study.result),
        "calibration_error": measured.error,
        "class_names": list(scores.class_names),
        "classes": [figures._asdict() for figures in by_class(scores)],
        "sizes": {group: _error(error) for group, error in by_size(scores).items()},
        "most_confused": [confusion._asdict() for confusion in most_confused(scores)],
        "calibration": [
            {"from": float(low), "to": float(high), "images": int(images), "confidence": mean, "accuracy": share}
            for low, high, images, mean, share in zip(
                measured.edges[:-1],
                measured.edges[1:],
                measured.images,
                _known(measured.confidence),
                _known(measured.accuracy),
                strict=True,
            )
        ],
        "confusion": scores.confusion().tolist(),
        "rows": [
            {
                "model": row.name,
                "models": [str(model) for model in row.models],
                "forms": list(row.kinds),
                "crops": row.protocol,
                "views": row.views,
                "seconds": row.seconds,
                **_errors(row),
                "calibration_error": calibration(row.scores).error,
            }
            for row in study.rows
        ],
        "models_and_crops": [
            {"models": len(row.models), "crops": row.protocol, "views": row.views, **_errors(row)}
            for row in study.by_models_and_views()
        ],
    }


def _errors(row: Measurement) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for k in (1, 5):
        error = top_error(row.scores, k)
        values[f"top{k}_error"] = error.rate
        values[f"top{k}_interval"] = [error.low, error.high]
    return values


def _error(error: Error) -> dict[str, Any]:
    return {"images": error.images, "top1_error": error.rate, "top1_interval": [error.low, error.high]}


def _known(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def image_names(examples: Examples) -> list[str]:
    """What each image is called: its file below the folder that all files lie in, its record, or its number."""
    if isinstance(examples, FileExamples):
        # Files of one folder alone keep its name, which is mostly their class.
        common = Path(os.path.commonpath([Path(path).parent.parent for path in examples.paths]))
        return [str(Path(path).relative_to(common)) for path in examples.paths]
    if isinstance(examples, RecordExamples):
        shards = [Path(shard).name for shard in examples.shards]
        return [f"{shards[shard]}:{offset}" for shard, offset in zip(examples.shard, examples.offset, strict=True)]
    return [str(number) for number in range(len(examples))]


COLUMNS = (
    "model", "crops", "image", "height", "width", "label", "predicted", "right", "confidence",
    "probability_of_label", "rank_of_label",
)  # fmt: skip


def write_predictions(study: Study, path: Path) -> None:
    """A CSV file with a line an image for every measurement.

    `confidence` is the greatest probability, and `rank_of_label` is 1 where the true class has it.
    """
    names = image_names(study.data.validation)
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in (*study.alone, *study.together):
            writer.writerows(_lines(row, names))


def _lines(row: Measurement, names: list[str]):
    scores = row.scores
    of_label = scores.probabilities[np.arange(len(names)), scores.labels]
    ranks = 1 + (scores.probabilities > of_label[:, None]).sum(axis=1)
    for number, name in enumerate(names):
        label, predicted = scores.labels[number], scores.predictions[number]
        yield (
            row.name, row.protocol, name, *scores.sizes[number],
            scores.class_names[label], scores.class_names[predicted], int(label == predicted),
            f"{scores.probabilities[number, predicted]:.6f}", f"{of_label[number]:.6f}", ranks[number],
        )  # fmt: skip
