"""Export of a trained model, published only when it is proven right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.data.dataset import DataSet, limited
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import (
    LABELS_FILE,
    UNQUANTIZED,
    KerasPredictor,
    ModelMetadata,
    OnnxPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
    check_onnx_packages,
    load_keras,
    model_metadata_of,
)
from kerascnn.evaluation.scores import views
from kerascnn.export.deployable import deployable, in_float32
from kerascnn.export.litert import check_litert_package
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.model_card import model_card, training_in_words
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.publication import publish, staging
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import CALIBRATED, PIXEL_TYPES, QUANTIZATIONS, QUANTIZERS, write_tflite
from kerascnn.export.verification import Tolerance, Verification, verify
from kerascnn.files.progress import Track, untracked

FORMATS = ("savedmodel", "tflite", "onnx")
# What needs no more than the package's own requirements.
USUAL_FORMATS = FORMATS[:2]

# Ranges settle with some tens of images; every image costs a run of the network.
CALIBRATION_IMAGES = 128
LEAST_CALIBRATION_IMAGES = 8


@dataclass(frozen=True)
class Export:
    """What an export made.

    Attributes:
        folder: with what was asked for of saved_model/, NAME.onnx, NAME.tflite and NAME-FORM.tflite, and with
            labels.txt, model_card.md and verification.json; None when the verification failed and nothing was
            published.
        verification: the measurements.
    """

    folder: Path | None
    verification: Verification


def export(
    model: keras.Model | str | Path,
    data: DataSet,
    folder: str | Path,
    *,
    formats: Sequence[str] = USUAL_FORMATS,
    quantize: str | Sequence[str] = UNQUANTIZED,
    quantizer: str = QUANTIZERS[0],
    calibration: DataSet | None = None,
    pixels: str | None = None,
    origin: dict[str, Any] | None = None,
    author: str | None = None,
    license: str | None = None,
    tolerance: Tolerance = Tolerance(),
    track: Track = untracked,
) -> Export:
    """Exports a model as SavedModel, TFLite and ONNX and verifies every file on all validation images.

    The folder appears, or replaces an earlier export, only when everything is written and verified.

    Args:
        model: a Keras classifier, or its `.keras` file.
        data: its validation images are the measure.
        folder: where the export goes; its name is the exported model's.
        formats: of "savedmodel", "tflite" and, with the extra `onnx`, "onnx".
        quantize: one or several of "none", "float16", "dynamic", "int8" and "int16x8", a `.tflite` file each: see
            `write_tflite`. "none" is NAME.tflite, the others are NAME-FORM.tflite.
        quantizer: what makes the forms other than "none": "tensorflow", or "litert" with the extra of that name.
        calibration: whose training images show "int8" and "int16x8" the ranges of the network's activations; the
            data's own by default.
        pixels: what `.tflite` files take, see `kerascnn.export.tflite.pixel_type`; by default float32 where they are
            not quantized, and uint8 where they are.
        origin: the contents of the run's recipe.yaml, for the model card and the metadata of `.tflite` files.
        author: who made the model, for the same.
        license: under which terms the model may be used, for the same.
        tolerance: how far an exported form may be from the model.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the model is no classifier of images, does not fit the data, the folder cannot be written, there
            are too few images to calibrate with, a format, form or quantizer is unknown, or the packages of ONNX or
            of LiteRT's quantizer are not installed.

    Example:
        >>> export("runs/mine/model.keras", data, "saved_models/mine", quantize=["none", "int8"]).verification.failures
        []
    """
    forms = [quantize] if isinstance(quantize, str) else list(quantize)
    _check("format", formats, FORMATS)
    _check("quantization", forms, QUANTIZATIONS)
    _check("quantizer", [quantizer], QUANTIZERS)
    if pixels is not None:
        _check("type of pixels", [pixels], PIXEL_TYPES)
    path = None
    if not isinstance(model, keras.Model):
        path = Path(model)
        model = load_keras(path)
    if "onnx" in formats:
        check_onnx_packages()
    if quantizer == "litert":
        check_litert_package()
    folder = Path(folder)
    about = ModelDescription(folder.name, training_in_words(origin) if origin else None, author, license)
    facts = model_metadata_of(model)
    with staging(folder) as staged:
        flat = deployable(model)
        exported: list[Predictor] = []
        if "savedmodel" in formats:
            write_saved_model(flat, staged / "saved_model")
            exported.append(SavedModelPredictor(staged / "saved_model"))
        if "onnx" in formats:
            write_onnx(flat, staged / f"{folder.name}.onnx")
            exported.append(OnnxPredictor(staged / f"{folder.name}.onnx"))
        for form in forms if "tflite" in formats else []:
            tflite = staged / (f"{folder.name}.tflite" if form == UNQUANTIZED else f"{folder.name}-{form}.tflite")
            shown = _calibration(calibration or data, facts) if form in CALIBRATED else ()
            write_tflite(flat, tflite, form, calibration=shown, pixels=pixels, about=about, quantizer=quantizer)
            exported.append(TFLitePredictor(tflite))
        trained, exact = KerasPredictor(model, path), KerasPredictor(in_float32(model))
        verification = verify(trained, exact, exported, data, tolerance=tolerance, track=track)
        if verification.failures:
            return Export(None, verification)
        (staged / LABELS_FILE).write_text("\n".join(facts.class_names) + "\n", encoding="utf-8")
        card = model_card(about, facts, verification, exported, origin)
        (staged / "model_card.md").write_text(card, encoding="utf-8")
        (staged / "verification.json").write_text(json.dumps(verification.to_dict(), indent=2) + "\n")
        publish(staged, folder)
        return Export(folder, verification)


def _check(what: str, values: Sequence[str], known: Sequence[str]) -> None:
    unknown = [value for value in values if value not in known]
    if unknown or not values:
        said = f"'{unknown[0]}'" if unknown else "nothing"
        raise InputError(f"the {what} must be one of {', '.join(known)}, not {said}.")


def _calibration(data: DataSet, facts: ModelMetadata) -> Iterator[np.ndarray]:
    """Some training images, of all classes alike, as the network is shown them."""
    if len(data.training) < LEAST_CALIBRATION_IMAGES:
        raise InputError(
            f"{data.source} has {len(data.training)} training images; calibration needs at least "
            f"{LEAST_CALIBRATION_IMAGES}."
        )
    return views(limited(data.training, CALIBRATION_IMAGES), facts)
