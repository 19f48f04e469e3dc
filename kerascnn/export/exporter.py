"""Exports a trained model and publishes the files only if they pass verification."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerascnn.data.dataset import DataSet, limited
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.errors import InputError
from kerascnn.evaluation.keras_models import as_classifier, labels_of, load_keras
from kerascnn.evaluation.model_options import ModelOptions
from kerascnn.evaluation.predictors import (
    LABELS_FILE,
    UNQUANTIZED,
    KerasFilePredictor,
    KerasPredictor,
    ModelMetadata,
    OnnxPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
    find_model,
    has_metadata,
    model_metadata_of,
)
from kerascnn.evaluation.scores import MultiLabelScores, Scores, labeled_images, views
from kerascnn.evaluation.trained_on import TRAINED_ON
from kerascnn.export.atomic_folder import publish, staging
from kerascnn.export.inference_network import deployable, in_float32, is_in_float32
from kerascnn.export.keras_file import write_keras
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.model_card import format_training, model_card
from kerascnn.export.onnx_file import check_onnx_packages, write_onnx
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import (
    CALIBRATED,
    QUANTIZATIONS,
    QUANTIZERS,
    Graphs,
    check_choice,
    check_options,
    write_tflite,
)
from kerascnn.export.verification import Tolerance, Verification, verify
from kerascnn.files.cache_folder import short_hash
from kerascnn.files.progress import Track, untracked
from kerascnn.image_shape import Size
from kerascnn.native_output import logged_from

if TYPE_CHECKING:
    from kerascnn.evaluation.predictors import AnyModel

# How each format but TFLite is written and opened, and under which name.
WRITERS = {
    "savedmodel": (write_saved_model, SavedModelPredictor, "saved_model"),
    "keras": (write_keras, KerasFilePredictor, "{}.keras"),
    "onnx": (write_onnx, OnnxPredictor, "{}.onnx"),
}
FORMATS = ("savedmodel", "tflite", "onnx", "keras")
# The formats that need no extra packages.
DEFAULT_FORMATS = FORMATS[:2]

# Ranges settle after some tens of images; every image costs a run of the network.
CALIBRATION_IMAGES = 128
MIN_CALIBRATION_IMAGES = 8


@dataclass(frozen=True)
class Export:
    """Result of an export; printed as a table.

    Attributes:
        folder: contains saved_model/, NAME.onnx, NAME.keras, NAME.tflite and NAME-QUANTIZATION.tflite as requested,
            labels.txt, model_card.md and verification.json; None if the verification failed and nothing was published.
        verification: the measurements.
    """

    folder: Path | None
    verification: Verification

    def __repr__(self) -> str:
        return f"{self.verification}\n{f'exported to {self.folder}' if self.folder else 'nothing was published'}"


def export(
    model: AnyModel,
    data: DataSet | LabeledImages,
    folder: str | Path,
    *,
    formats: str | Sequence[str] = DEFAULT_FORMATS,
    quantize: str | Sequence[str] = UNQUANTIZED,
    quantizer: str = QUANTIZERS[0],
    calibration: DataSet | LabeledImages | None = None,
    pixels: str | None = None,
    origin: dict[str, Any] | None = None,
    author: str | None = None,
    license: str | None = None,
    threshold: float | None = None,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    image_size: Size | None = None,
    scaling: str | None = None,
    scores: Scores | MultiLabelScores | None = None,
    tolerance: Tolerance = Tolerance(),
    track: Track = untracked,
) -> Export:
    """Exports a model in one or several formats, and verifies every file on all images of the data that count.

    The folder appears, or replaces an earlier export, only after everything is written and verified.

    Args:
        model: a Keras classifier of any origin, its `.keras` or `.h5` file, a run folder or its name, "runs/last", or
            what `kerascnn.load` makes of one of these.
        data: provides the images that the files are run on: the validation images of a data set, or any others, such as
            `kerascnn.data.load_labeled(source)`. Images of classes that the model does not know are left out.
        folder: the export's folder.
        formats: one or more of "savedmodel", "tflite", "keras", a file of Keras' own layers that opens without
            kerascnn, and, with the extra `onnx`, "onnx".
        quantize: one or more of "none", "float16", "dynamic", "int8" and "int16x8" (see `write_tflite`), one `.tflite`
            file each: "none" writes NAME.tflite, the others NAME-QUANTIZATION.tflite.
        quantizer: "tensorflow", or "litert" with the extra of that name.
        calibration: provides the images that calibrate "int8" and "int16x8", of a data set those for training; by
            default `data`.
        pixels: the input type of `.tflite` files, see `kerascnn.export.tflite.pixel_type`; by default uint8 for
            quantized files, else float32.
        origin: the contents of the run's recipe.yaml, for the model card and the metadata of `.tflite` files.
        author: the model's author, for the same.
        license: the model's terms of use, for the same.
        threshold: of a multi-label model, the probability from which an image counts as having a class, for the files'
            metadata; None for the model's own.
        name: of the exported model and its files; None for the folder's.
        class_names, image_size, scaling: of a model of another program that does not say so itself, see
            `kerascnn.evaluation.ModelOptions`.
        scores: what `kerascnn.evaluation.evaluate` found of the model on the data that the files are run on, if that
            is known already; None to measure it.
        tolerance: how far an exported file may differ from the model.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the model is no image classifier or does not fit the data or what is said of it, a threshold is
            given for a model of one class per image, the folder cannot be written, there are too few calibration
            images, a converter fails, a format, quantization, pixel type or quantizer is unknown, or the packages of
            ONNX or of LiteRT's quantizer are not installed.

    Example:
        >>> export("runs/mine/model.keras", data, "saved_models/mine", quantize=["none", "int8"]).verification.failures
        []
    """
    formats, quantizations = ([given] if isinstance(given, str) else list(given) for given in (formats, quantize))
    # An empty list is no choice either.
    for value in formats or ["nothing"]:
        if value in QUANTIZATIONS:
            raise InputError(f"{value} is no format but a quantization of TFLite; give it as quantize='{value}'.")
        check_choice("format", value, FORMATS)
    for value in quantizations or ["nothing"]:
        check_options(value, pixels, quantizer)
    if "onnx" in formats:
        check_onnx_packages()
    labeled_images(data)
    model, path = _opened(model)
    model = as_classifier(model, ModelOptions(class_names, image_size, scaling))
    folder = Path(folder)
    name = name or folder.name
    description = ModelDescription(name, format_training(origin) if origin else None, author, license)
    metadata = model_metadata_of(model).with_threshold(threshold)
    with staging(folder) as staged, logged_from("tensorflow", logging.WARNING):
        network = deployable(model)
        labels_of(network).threshold = metadata.threshold
        exported: list[Predictor] = []
        kinds = [kind for kind in WRITERS if kind in formats]
        for kind in track(kinds, len(kinds), "writing"):
            write, predictor, file = WRITERS[kind]
            write(network, staged / file.format(name))
            exported.append(predictor(staged / file.format(name)))
        wanted = quantizations if "tflite" in formats else []
        with Graphs(network) as graphs:
            for quantization in track(wanted, len(wanted), "writing"):
                file = staged / f"{name}{'' if quantization == UNQUANTIZED else f'-{quantization}'}.tflite"
                images = _calibration_images(calibration or data, metadata) if quantization in CALIBRATED else ()
                given = {"pixels": pixels, "description": description, "quantizer": quantizer}
                write_tflite(graphs, file, quantization, calibration=images, **given)
                exported.append(TFLitePredictor(file))
        trained = KerasPredictor(model, path)
        exact = trained if is_in_float32(trained.network) else KerasPredictor(in_float32(model))
        for predictor in (trained, exact):
            predictor.metadata = metadata
        if isinstance(scores, MultiLabelScores):
            scores = replace(scores, threshold=metadata.threshold)
        verification = verify(trained, exact, exported, data, scores=scores, tolerance=tolerance, track=track)
        if verification.failures:
            return Export(None, verification)
        (staged / LABELS_FILE).write_text(metadata.to_files()[LABELS_FILE], encoding="utf-8")
        card = model_card(description, metadata, verification, exported, origin, data)
        (staged / "model_card.md").write_text(card, encoding="utf-8")
        # As a digest: the path of the data is nobody else's business.
        trained_on = short_hash(origin["data"]["source"]) if origin else None
        verified = {**verification.to_dict(), TRAINED_ON: trained_on}
        (staged / "verification.json").write_text(json.dumps(verified, indent=2) + "\n")
        publish(staged, folder)
        return Export(folder, verification)


def _opened(model: AnyModel) -> tuple[keras.Model, Path | None]:
    """The Keras model, and its file if it has one; InputError if there is none, or it is an exported file."""
    predictor = getattr(model, "predictor", model)
    if isinstance(predictor, KerasPredictor) and not isinstance(predictor, KerasFilePredictor):
        return predictor.network, predictor.path
    if not isinstance(predictor, Predictor | str | Path):
        return predictor, None
    path = predictor.path if isinstance(predictor, Predictor) else find_model(predictor)
    if isinstance(predictor, Predictor) or (os.path.isfile(path) and has_metadata(path)):
        raise InputError(f"{path} is an exported file; give the run folder or the file that it was made from.")
    if not os.path.isfile(path):
        raise InputError(f"there is no Keras model at {path}.")
    return load_keras(path), path


def _calibration_images(data: DataSet | LabeledImages, metadata: ModelMetadata) -> Iterator[np.ndarray]:
    """Evaluation views of some images, of a data set those for training, balanced by class."""
    examples, kind = (data.training, "training images") if isinstance(data, DataSet) else (data.examples, "images")
    if (count := len(examples)) < MIN_CALIBRATION_IMAGES:
        needed = f"calibration needs at least {MIN_CALIBRATION_IMAGES}"
        raise InputError(f"{data.source} has {count} {kind}; {needed}.")
    return views(limited(examples, CALIBRATION_IMAGES), metadata)
