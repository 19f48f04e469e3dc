"""Export of a trained model, published only when it is proven right."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerascnn.data.dataset import DataSet
from kerascnn.data.folder import Track, untracked
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import (
    LABELS_FILE,
    KerasPredictor,
    SavedModelPredictor,
    TFLitePredictor,
    facts_of,
    load_keras,
)
from kerascnn.export.deployable import deployable, in_float32
from kerascnn.export.model_card import model_card
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.export.verification import Tolerance, Verification, verify


@dataclass(frozen=True)
class Export:
    """What an export made.

    Attributes:
        folder: with saved_model/, NAME.tflite, labels.txt, model_card.md and verification.json; None when the
            verification failed and nothing was published.
        verification: the measurements.
    """

    folder: Path | None
    verification: Verification


def export(
    model: keras.Model | str | Path,
    data: DataSet,
    folder: str | Path,
    *,
    origin: dict[str, Any] | None = None,
    tolerance: Tolerance = Tolerance(),
    track: Track = untracked,
) -> Export:
    """Exports a model as SavedModel and TFLite and verifies both on all validation pictures.

    The folder appears, or replaces an earlier export, only when everything is written and verified.

    Args:
        model: a Keras classifier, or its `.keras` file.
        data: its validation pictures are the measure.
        folder: where the export goes; its name is the exported model's.
        origin: the contents of the run's recipe.yaml, for the model card.
        tolerance: how far an exported form may be from the model.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the model is no classifier of pictures, does not fit the data, or the folder cannot be written.

    Example:
        >>> export("runs/mine/model.keras", data, "saved_models/mine").verification.failures
        []
    """
    path = None
    if not isinstance(model, keras.Model):
        path = Path(model)
        model = load_keras(path)
    folder = Path(folder)
    staging = _staging(folder)
    try:
        flat = deployable(model)
        write_saved_model(flat, staging / "saved_model")
        tflite = staging / f"{folder.name}.tflite"
        write_tflite(flat, tflite)
        trained, exact = KerasPredictor(model, path), KerasPredictor(in_float32(model))
        exported = [SavedModelPredictor(staging / "saved_model"), TFLitePredictor(tflite)]
        verification = verify(trained, exact, exported, data, tolerance=tolerance, track=track)
        if verification.failures:
            return Export(None, verification)
        facts = facts_of(model)
        (staging / LABELS_FILE).write_text("\n".join(facts.class_names) + "\n", encoding="utf-8")
        (staging / "model_card.md").write_text(model_card(folder.name, facts, verification, origin), encoding="utf-8")
        (staging / "verification.json").write_text(json.dumps(verification.to_dict(), indent=2) + "\n")
        _publish(staging, folder)
        return Export(folder, verification)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _staging(folder: Path) -> Path:
    """A folder beside the target, so that publishing is a rename."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; an export is a folder.")
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from None


def _publish(staging: Path, folder: Path) -> None:
    staging.chmod(0o755)
    if folder.exists():
        replaced = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        os.replace(folder, replaced)
        os.replace(staging, folder)
        shutil.rmtree(replaced)
    else:
        os.replace(staging, folder)
