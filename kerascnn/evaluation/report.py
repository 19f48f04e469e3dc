"""Writes a study into a report folder: a web page, JSON, and the predictions as CSV."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import Examples, FileExamples, RecordExamples
from kerascnn.data.pipeline.decode import reader, whole
from kerascnn.errors import writing
from kerascnn.evaluation.metrics import calibration, most_wrong, percent
from kerascnn.evaluation.multi_label import most_wrong_labels
from kerascnn.evaluation.plots import confusion_figure, curves_figure, png_of, reliability_figure, threshold_figure
from kerascnn.evaluation.scores import MultiLabelScores
from kerascnn.evaluation.study import Study
from kerascnn.files.spreadsheets import RowWriter
from kerascnn.files.temporary import TemporaryFolder
from kerascnn.shown_text import for_json, literal

PAGE_FILE, METRICS_FILE, PREDICTIONS_FILE = "report.html", "metrics.json", "predictions.csv"

# A longer table would be unreadable; metrics.json has all classes.
MAX_CLASSES_SHOWN = 100

# A matrix of more classes can be read on a narrow screen only if it is wider than the screen.
MAX_UNSCROLLED_CLASSES = 4

# Longer side of an image in the gallery, in pixels.
THUMBNAIL = 160

INTERVALS = "Intervals are Wilson's score intervals of 95 %. "

COLUMNS = (
    "model", "crops", "image", "height", "width", "label", "predicted", "correct", "confidence",
    "probability_of_label", "rank_of_label",
)  # fmt: skip


def write_report(study: Study, folder: str | Path) -> Path:
    """Writes report.html, which needs no other file, metrics.json and predictions.csv.

    Args:
        study: the measurements.
        folder: created if missing; an earlier report in it is replaced.

    Returns:
        The page's path.

    Raises:
        InputError: the folder cannot be written.

    Example:
        >>> write_report(study(["model.keras"], pets, [Protocol("1 crop")]), "reports/pets")
        PosixPath('reports/pets/report.html')
    """
    from kerascnn.training.run_folder import commit, versions

    folder = Path(folder)
    metrics = {**study.metrics(), "versions": versions(), "commit": commit()}
    with writing(f"the report {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        # The files are replaced together, so that a report never mixes two studies.
        with TemporaryFolder(folder, ".report-") as unfinished:
            new = Path(unfinished)
            texts = {
                PAGE_FILE: _page(study, metrics),
                METRICS_FILE: for_json(json.dumps(metrics, indent=2, ensure_ascii=False)),
            }
            for name, text in texts.items():
                # Names of files can be no UTF-8.
                (new / name).write_text(text, encoding="utf-8", errors="backslashreplace")
            _write_predictions(study, new / PREDICTIONS_FILE)
            for file in (PAGE_FILE, METRICS_FILE, PREDICTIONS_FILE):
                shutil.move(new / file, folder / file)
    return folder / PAGE_FILE


def render_page(**values: Any) -> str:
    """Fills templates/report.html. All values are escaped: names of classes and files can hold any text."""
    import jinja2

    loader = jinja2.PackageLoader("kerascnn.evaluation")
    shown = {"autoescape": True, "finalize": lambda value: literal(value) if type(value) is str else value}
    environment = jinja2.Environment(loader=loader, trim_blocks=True, **shown)
    return environment.get_template("report.html").render(values)


def _page(study: Study, metrics: dict) -> str:
    result, classes = study.result, len(metrics["class_names"])
    sections = [
        _measurements_section(study, metrics),
        *_models_and_crops_sections(study),
        *_curve_sections(study),
        *(_label_class_sections if study.multi_label else _class_sections)(study, metrics),
        _most_wrong_section(study),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())
    return render_page(
        title=f"{result.name} on {study.images.name}",
        introduction=f"{study.images}, {classes} classes; {study.baseline or 'all of one class'}. "
        f"Metrics below the first two tables are of {'the ' if len(result.models) > 1 else ''}{result.name}, "
        f"{result.protocol}.",
        sections=sections,
        footer=f"{'' if study.multi_label else INTERVALS}Measured with {versions}.",
    )


def _table(heading: str, head: tuple, rows: list[tuple], text_columns: int = 1) -> dict[str, Any]:
    return {"heading": heading, "head": head, "rows": rows, "text_columns": text_columns}


def _image(figure, alt: str) -> dict[str, str]:
    return {"image": _data_url("png", png_of(figure)), "alt": alt}


def _with_interval(row: dict, k: int) -> str:
    low, high = row[f"top{k}_interval"]
    return f"{row[f'top{k}_accuracy']:.2%} ({low:.2%} to {high:.2%})"


def _measurements_section(study: Study, metrics: dict) -> dict:
    """Every model by every protocol."""
    heading, ranks, names = "Accuracy", study.ranks, {"calibration error": "calibration_error"}
    if study.multi_label:
        heading, ranks = f"Labels at the threshold {metrics['threshold']:g}", ()
        names = {"mAP": "map", "precision": "micro_precision", "recall": "micro_recall"}
        names |= {"micro F1": "micro_f1", "macro F1": "macro_f1"}
    rows = [
        (
            study.short_name(measured), ", ".join(dict.fromkeys(row["formats"])), row["crops"], row["views"],
            *(_with_interval(row, k) for k in ranks), *(percent(row[name]) for name in names.values()),
            f"{row['seconds']:.1f}",
        )
        for measured, row in zip(study.rows, metrics["rows"], strict=True)
    ]  # fmt: skip
    head = ("model", "format", "crops", "views", *(f"top-{k} accuracy" for k in ranks), *names, "seconds")
    return _table(heading, head, rows, 3)


def _models_and_crops_sections(study: Study) -> list[dict]:
    head, rows = study.models_and_crops()
    return [_table("Models and crops", head, rows, 2)] if len(rows) > 1 else []


def _label_class_sections(study: Study, metrics: dict) -> list[dict]:
    head = ("class", "images", "predicted", "average precision", "precision", "recall", "F1")
    rows = [(*list(row.values())[:3], *map(percent, list(row.values())[3:])) for row in metrics["classes"]]
    best = metrics["best_threshold_on_these_images"]
    return [
        _table("Classes", head, rows if len(rows) <= MAX_CLASSES_SHOWN else []),
        {
            "heading": "Threshold",
            "paragraph": f"On these images, micro F1 is greatest at {best['threshold']:g}, with "
            f"{best['micro_f1']:.2%}. Choose a threshold on validation images, not on those of the reported result.",
            **_image(threshold_figure(study.result.scores, "Threshold"), "precision, recall and F1 by threshold"),
        },
    ]


def _curve_sections(study: Study) -> list[dict]:
    from kerascnn.training import RunFolder

    folders = dict.fromkeys(folder for row in study.alone for folder in (row.models[0], row.models[0].parent))
    return [
        {
            "heading": f"Training of {run.path.name}",
            **_image(curves_figure(history, run.path.name), "loss and accuracy by epoch"),
            "narrow": _data_url("png", png_of(curves_figure(history, run.path.name, columns=1))),
        }
        for run in map(RunFolder, folders)
        if run.recipe_file.is_file() and run.history_file.is_file() and (history := run.history())
    ]


def _class_sections(study: Study, metrics: dict) -> list[dict]:
    scores = study.result.scores
    matrix = confusion_figure(scores.confusion(), scores.class_names, "Confusion matrix")
    head = ("class", "images", "correct", "precision", "recall", "F1")
    rows = [
        (row["name"], row["images"], row["correct"], *(percent(row[name]) for name in ("precision", "recall", "f1")))
        for row in metrics["classes"]
    ]
    sections = [_table("Classes", head, rows if len(rows) <= MAX_CLASSES_SHOWN else [])]
    sections[0] |= {**_image(matrix, "confusion matrix"), "scrolled": len(rows) > MAX_UNSCROLLED_CLASSES}
    rows = [(*list(row.values())[:3], percent(row["share"])) for row in metrics["most_confused"]]
    if rows:
        head = ("true class", "predicted", "images", "share of the class")
        sections.append(_table("Most confused", head, rows, 2))
    rows = [(group, row["images"], _with_interval(row, 1)) for group, row in metrics["sizes"].items()]
    if rows:
        sections.append(_table("By the images' shorter side", ("pixels", "images", "top-1 accuracy"), rows))
    paragraph = (
        f"Expected calibration error {metrics['calibration_error']:.2%}: the average distance between confidence and "
        "accuracy."
    )
    image = _image(reliability_figure(calibration(scores), "Reliability"), "reliability")
    return [*sections, {"heading": "Calibration", "paragraph": paragraph, **image}]


def _most_wrong_section(study: Study) -> dict:
    import tensorflow as tf

    scores, examples = study.result.scores, study.images.examples
    if isinstance(scores, MultiLabelScores):
        pairs = most_wrong_labels(scores)
        numbers, columns = np.array(pairs, int).reshape(-1, 2).T
        true = [", ".join(scores.names_of(scores.labels[number])) or "of no class" for number in numbers]
    else:
        numbers = most_wrong(scores)
        columns, true = scores.predictions[numbers], scores.true_names[numbers]
    if not len(numbers):
        return {"heading": "Most wrong", "paragraph": "All predictions are correct."}
    names, read = _image_names(examples), reader(examples)
    read_whole = tf.autograph.experimental.do_not_convert(lambda number: read(number, whole))
    images = tf.data.Dataset.from_tensor_slices(numbers.astype(np.int32)).map(read_whole)
    gallery = [
        (
            _thumbnail(pixels),
            f"{scores.class_names[column]} ({scores.probabilities[number, column]:.1%})",
            f"is {label}: {names[number]}",
        )
        for number, column, label, pixels in zip(numbers, columns, true, images.as_numpy_iterator(), strict=True)
    ]
    return {"heading": "Most wrong", "gallery": gallery}


def _thumbnail(pixels: np.ndarray) -> str:
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = THUMBNAIL / max(image.size)
    # Small images are enlarged without smoothing.
    kind, resampling = ("png", Image.Resampling.NEAREST) if scale > 1 else ("jpeg", Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.resize([max(1, round(side * scale)) for side in image.size], resampling).save(buffer, kind, quality=85)
    return _data_url(kind, buffer.getvalue())


def _data_url(kind: str, contents: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(contents).decode()}"


def _image_names(examples: Examples) -> list[str]:
    """A name for each image: its path below the common folder, its record, or its number."""
    if isinstance(examples, FileExamples):
        # If all files are in one folder, their names keep it: it is mostly their class.
        common = Path(os.path.commonpath([Path(path).parent.parent for path in examples.paths]))
        return [str(Path(path).relative_to(common)) for path in examples.paths]
    if isinstance(examples, RecordExamples):
        shards = [Path(shard).name for shard in examples.shards]
        return [f"{shards[shard]}:{offset}" for shard, offset in zip(examples.shard, examples.offset, strict=True)]
    return [str(number) for number in range(len(examples))]


def _write_predictions(study: Study, path: Path) -> None:
    """One line per image for every measurement; `rank_of_label` is 1 if the true class has the greatest probability."""
    names = _image_names(study.images.examples)
    if study.multi_label:
        _write_labels(study, names, path)
        return
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = RowWriter(file)
        writer.writerow(COLUMNS)
        for row in (*study.alone, *study.together):
            scores, classes, predictions = row.scores, row.scores.class_names, row.scores.predictions
            of_label = scores.probabilities[np.arange(len(names)), scores.labels]
            ranks = 1 + (scores.probabilities > of_label[:, None]).sum(axis=1)
            for number, (name, label, predicted) in enumerate(zip(names, scores.labels, predictions, strict=True)):
                confidence = f"{scores.probabilities[number, predicted]:.6f}"
                writer.writerow((
                    row.name, row.protocol, name, *scores.sizes[number], classes[label], classes[predicted],
                    int(label == predicted), confidence, f"{of_label[number]:.6f}", ranks[number],
                ))  # fmt: skip


def _write_labels(study: Study, names: list[str], path: Path) -> None:
    """One line per image for every measurement of multi-label models, with the probability of every class."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = RowWriter(file)
        classes = study.result.scores.class_names
        writer.writerow(
            (*COLUMNS[:5], "labels", "predicted", "correct", *(f"probability of {name}" for name in classes))
        )
        for row in (*study.alone, *study.together):
            scores = row.scores
            columns = [scores.class_names.index(name) for name in classes]
            for name, size, labels, predicted, probabilities in zip(
                names, scores.sizes, scores.labels, scores.predictions, scores.probabilities, strict=True
            ):
                texts = ("|".join(scores.names_of(decisions)) for decisions in (labels, predicted))
                shares = (f"{probabilities[column]:.6f}" for column in columns)
                correct = int(np.array_equal(labels, predicted))
                writer.writerow((row.name, row.protocol, name, *size, *texts, correct, *shares))
