"""Writes the model card of an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerascnn.applications import registry
from kerascnn.evaluation.predictors import (
    UNQUANTIZED,
    KerasFilePredictor,
    ModelMetadata,
    OnnxPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
)
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.verification import Verification
from kerascnn.image_shape import COLORS, ImageSize
from kerascnn.training import Recipe

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
QUANTIZER_NAMES = {"tensorflow": "TensorFlow's converter", "litert": "LiteRT's quantizer"}


def model_card(
    description: ModelDescription,
    metadata: ModelMetadata,
    verification: Verification,
    exported: Sequence[Predictor],
    origin: dict[str, Any] | None,
) -> str:
    """Formats a Markdown page: the model, its measurements, and how to run it.

    Args:
        description: name, author and license of the exported model.
        metadata: its classes and input.
        verification: the measurements.
        exported: the files; the first `.tflite` file is the example, if there is one.
        origin: the contents of the run's recipe.yaml, or None if the model comes from elsewhere.
    """
    import jinja2

    results, tolerance = verification.results, verification.tolerance
    size = ImageSize.of(metadata.image_size)
    kinds = {
        "tflite": TFLitePredictor,
        "saved_model": SavedModelPredictor,
        "onnx": OnnxPredictor,
        "keras": KerasFilePredictor,
    }
    files = {name: next((file for file in exported if isinstance(file, kind)), None) for name, kind in kinds.items()}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        description=description,
        training=format_training(origin) if origin else None,
        versions=", ".join(f"{name} {version}" for name, version in origin["versions"].items()) if origin else None,
        classes=metadata.class_names,
        threshold=metadata.threshold,
        size=size,
        shape=metadata.image_shape,
        covered=size.frame(round(size.shorter / metadata.crop_fraction)),
        color=COLORS[metadata.channels],
        results=results,
        tolerance=tolerance,
        allowed=[
            f"{result.format} {tolerance.max_mismatches(result.quantization, result.predictions)}"
            for result in results
            if result.quantization != UNQUANTIZED
        ],
        quantizers=list(dict.fromkeys(QUANTIZER_NAMES[result.quantizer] for result in results if result.quantizer)),
        megabytes=lambda count: "–" if count is None else f"{count / 1e6:.2f} MB",
        example=next(file for file in files.values() if file).path.name,
        **files,
    )


def format_training(origin: dict[str, Any]) -> str:
    """Formats a sentence about network, data and training.

    Args:
        origin: the contents of a run's recipe.yaml.
    """
    recipe = Recipe.from_dict(origin["recipe"], "the run's recipe")
    entry = registry.info(recipe.model)
    return (
        f"{entry.builder} ({entry.paper}), trained from scratch on {origin['data']['source'].rpartition('/')[2]}: "
        f"{origin['facts']['training_images']} training images, {recipe.epochs} epochs in batches of "
        f"{recipe.batch_size}, {recipe.optimizer.name} with a learning rate of {recipe.peak_learning_rate:g} "
        f"({recipe.schedule.name}), {recipe.precision}, seed {recipe.seed}."
    )
