"""A folder to read: what was measured, as a page, as JSON and image by image."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from kerascnn.data.dataset import Examples
from kerascnn.data.pipeline.decode import reader, whole
from kerascnn.errors import InputError
from kerascnn.evaluation.metric_values import image_names, study_figures, write_predictions
from kerascnn.evaluation.metrics import calibration, most_wrong
from kerascnn.evaluation.page import Page, png, thumbnail
from kerascnn.evaluation.plots import confusion_figure, curves_figure, png_of, reliability_figure
from kerascnn.evaluation.study import Study

PAGE_FILE, METRICS_FILE, PREDICTIONS_FILE = "report.html", "report.json", "predictions.csv"

# More classes than this make a table nobody reads; report.json has them all.
CLASSES_SHOWN = 100


def write_report(study: Study, folder: str | Path) -> Path:
    """Writes report.html, a page that needs no other file, report.json and predictions.csv.

    Args:
        study: what was measured.
        folder: is made where there is none; an earlier report in it is replaced.

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
    figures = {**study_figures(study), "versions": versions(), "commit": commit()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # All of a report is from one study, so its files get their names together.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as unfinished:
            new = Path(unfinished)
            (new / PAGE_FILE).write_text(_page(study, figures), encoding="utf-8")
            (new / METRICS_FILE).write_text(json.dumps(figures, indent=2, ensure_ascii=False), encoding="utf-8")
            write_predictions(study, new / PREDICTIONS_FILE)
            for file in (PAGE_FILE, METRICS_FILE, PREDICTIONS_FILE):
                shutil.move(new / file, folder / file)
    except OSError as error:
        raise InputError(f"the report cannot be written to {folder}: {error.strerror or error}.") from None
    return folder / PAGE_FILE


def _page(study: Study, figures: dict) -> str:
    result = study.result
    page = Page(f"{result.name} on {study.data.name}")
    page.paragraph(
        f"{figures['images']} validation images of {figures['data']}, {len(figures['class_names'])} classes. "
        f"Figures below the first two tables are of {'the ' if len(result.models) > 1 else ''}{result.name}, "
        f"{result.protocol}."
    )
    _errors(page, study, figures)
    _curves(page, study)
    _classes(page, study, figures)
    _calibration(page, study, figures)
    _most_wrong(page, study)
    page.paragraph(
        "Intervals are Wilson's score intervals of 95 %. Measured with "
        + ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
        + "."
    )
    return page.html()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _with_interval(row: dict, k: int) -> str:
    low, high = row[f"top{k}_interval"]
    return f"{row[f'top{k}_error']:.2%} ({low:.2%} to {high:.2%})"


def _errors(page: Page, study: Study, figures: dict) -> None:
    # Among five classes the right one is always one of the first five.
    ranks = (1, 5) if len(figures["class_names"]) > 5 else (1,)
    page.heading("Errors")
    page.table(
        ("model", "form", "crops", "views", *(f"top-{k} error" for k in ranks), "calibration error", "seconds"),
        [
            (
                study.called(measured), ", ".join(dict.fromkeys(row["forms"])), row["crops"], str(row["views"]),
                *(_with_interval(row, k) for k in ranks), _percent(row["calibration_error"]), f"{row['seconds']:.1f}",
            )
            for measured, row in zip(study.rows, figures["rows"], strict=True)
        ],
        words=3,
    )  # fmt: skip
    rows = figures["models_and_crops"]
    if len(rows) > 1:
        page.heading("Models and crops")
        page.table(
            ("models", "crops", "views", *(text for k in ranks for text in (f"top-{k} error", "to the first"))),
            [
                (
                    str(row["models"]), row["crops"], str(row["views"]),
                    *(text for k in ranks for text in _beside(row[f"top{k}_error"], rows[0][f"top{k}_error"])),
                )
                for row in rows
            ],
            words=2,
        )  # fmt: skip


def _beside(error: float, first: float) -> tuple[str, str]:
    return _percent(error), f"{error - first:+.2%}"


def _curves(page: Page, study: Study) -> None:
    from kerascnn.training import RunFolder

    folders = dict.fromkeys(folder for row in study.alone for folder in (row.models[0], row.models[0].parent))
    for run in map(RunFolder, folders):
        if run.recipe_file.is_file() and run.history_file.is_file() and (history := run.history()):
            page.heading(f"Training of {run.path.name}")
            page.image(png(png_of(curves_figure(history, run.path.name))), "loss and top-1 error by epoch")


def _classes(page: Page, study: Study, figures: dict) -> None:
    scores = study.result.scores
    page.heading("Classes")
    if len(scores.class_names) <= CLASSES_SHOWN:
        page.table(
            ("class", "images", "right", "precision", "recall", "F1"),
            [
                (row["name"], str(row["images"]), str(row["right"]), *map(_percent, list(row.values())[3:]))
                for row in figures["classes"]
            ],
        )
    matrix = confusion_figure(scores.confusion(), scores.class_names, "Confusion matrix")
    page.image(png(png_of(matrix)), "confusion matrix")
    if figures["most_confused"]:
        page.heading("Most confused")
        page.table(
            ("true class", "named", "images", "share of the class"),
            [
                (row["true"], row["predicted"], str(row["images"]), _percent(row["share"]))
                for row in figures["most_confused"]
            ],
            words=2,
        )
    if figures["sizes"]:
        page.heading("By the images' shorter side")
        page.table(
            ("pixels", "images", "top-1 error"),
            [(group, str(row["images"]), _with_interval(row, 1)) for group, row in figures["sizes"].items()],
        )


def _calibration(page: Page, study: Study, figures: dict) -> None:
    page.heading("Calibration")
    page.paragraph(
        f"Expected calibration error {figures['calibration_error']:.2%}: how far, on average, confidence is from the "
        "share of right answers."
    )
    page.image(png(png_of(reliability_figure(calibration(study.result.scores), "Reliability"))), "reliability")


def _most_wrong(page: Page, study: Study) -> None:
    scores, examples = study.result.scores, study.data.validation
    numbers = most_wrong(scores)
    page.heading("Most wrong")
    if not len(numbers):
        page.paragraph("No image is named wrongly.")
        return
    names = image_names(examples)
    page.gallery(
        [
            (
                thumbnail(pixels),
                f"{scores.class_names[scores.predictions[number]]} ({scores.probabilities[number].max():.1%})",
                f"is {scores.true_names[number]}: {names[number]}",
            )
            for number, pixels in zip(numbers, _images(examples, numbers), strict=True)
        ]
    )


def _images(examples: Examples, numbers: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    read = reader(examples)
    chosen = tf.data.Dataset.from_tensor_slices(numbers.astype(np.int32))
    return list(chosen.map(lambda number: read(number, whole)).as_numpy_iterator())
