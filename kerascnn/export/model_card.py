"""Writes the model card of an exported model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerascnn.applications import registry
from kerascnn.applications.weights import public
from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.splits import TEST, VALIDATION
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.evaluation.metrics import accuracy_of
from kerascnn.evaluation.predictors import (
    UNQUANTIZED,
    KerasFilePredictor,
    ModelMetadata,
    OnnxPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
)
from kerascnn.evaluation.scores import labeled_images
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.verification import FormatResult, Verification
from kerascnn.image_shape import COLORS, ImageSize
from kerascnn.shown_text import for_markdown
from kerascnn.training import Recipe

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
# Of a `.tflite` file's input: the values, bytes per value, and how Kotlin and Swift write the value `v` from 0 to 255.
INPUT_FORMS = {
    "uint8": {"range": "0 to 255", "bytes": 1, "kotlin": "put({}.toByte())", "swift": "UInt8", "value": "{}"},
    "float32": {"range": "0 to 255", "bytes": 4, "kotlin": "putFloat({}.toFloat())", "swift": "Float32", "value": "{}"},
    "int8": {
        "range": "-128 to 127, the pixel minus 128",
        "bytes": 1,
        "kotlin": "put(({} - 128).toByte())",
        "swift": "Int8",
        "value": "Int({}) - 128",
    },
}
QUANTIZER_NAMES = {"tensorflow": "TensorFlow's converter", "litert": "LiteRT's quantizer"}


def model_card(
    description: ModelDescription,
    metadata: ModelMetadata,
    verification: Verification,
    exported: Sequence[Predictor],
    origin: dict[str, Any] | None,
    data: DataSet | LabeledImages,
) -> str:
    """Formats a Markdown page: the model, its measurements, and how to run it.

    The first of the `.tflite` files among `exported`, if there is one, is the example. `origin` is the contents of the
    run's recipe.yaml, None if the model comes from elsewhere; `data` were measured, as for `export`.
    """
    import jinja2
    from markupsafe import Markup

    results, tolerance = verification.results, verification.tolerance
    split = labeled_images(data).split
    own_data = origin is not None and origin["data"]["source"] == data.source
    size = ImageSize.of(metadata.image_size)
    kinds = {
        "tflite": TFLitePredictor,
        "saved_model": SavedModelPredictor,
        "onnx": OnnxPredictor,
        "keras": KerasFilePredictor,
    }
    files = {name: next((file for file in exported if isinstance(file, kind)), None) for name, kind in kinds.items()}
    phone = [file for file in exported if isinstance(file, TFLitePredictor)]
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: for_markdown(value) if type(value) is str else value,
    )
    # What is in blocks of code already is not Markdown; names of files must not end the block, or a text in it.
    environment.filters["code"] = lambda text: Markup(re.sub(r"[^\w .+*/&(),%-]", "_", text))
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
        crop_fraction=metadata.crop_fraction,
        data=_last_part(data.source),
        images="images" if split == "all" else f"{split} images",
        own_data=own_data,
        held_out=own_data and split in (VALIDATION, TEST),
        accuracies=[format_accuracy(result) for result in results],
        phone=phone,
        ranges={name: kind["range"] for name, kind in INPUT_FORMS.items()},
        pixel=INPUT_FORMS[phone[0].pixel_type] if phone else None,
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


def format_accuracy(result: FormatResult) -> str:
    """A format's mAP, or its top-1 accuracy with its 95 % interval (Wilson, 1927): "95.00 % (88.82 to 97.85)"."""
    if result.multi_label:
        return f"{result.accuracy:.2%}".replace("%", " %")
    found = accuracy_of(round(result.accuracy * result.images), result.images)
    return f"{100 * found.share:.2f} % ({100 * found.low:.2f} to {100 * found.high:.2f})"


def format_training(origin: dict[str, Any]) -> str:
    """A sentence about network, data and training, from the contents of a run's recipe.yaml."""
    recipe = Recipe.from_dict(origin["recipe"], "the run's recipe")
    entry, facts = registry.info(recipe.model), origin["facts"]
    # Of a fine-tuning after a probe.
    chosen = f" On validation images: {facts['probe_and_fine_tuned']}." if "exported" in facts else ""
    return (
        f"{entry.builder} ({entry.paper}), {_beginning(recipe)} on {_last_part(origin['data']['source'])}: "
        f"{facts.get('training_images', 'unknown')} training images, {recipe.epochs} epochs in batches of "
        f"{recipe.batch_size}, {recipe.optimizer.name} with a learning rate of {recipe.peak_learning_rate:g} "
        f"({recipe.schedule.name}), {recipe.precision}, seed {recipe.seed}.{chosen}"
    )


def _last_part(source: str) -> str:
    """The name of a folder, an archive or a URL's file."""
    return source.rpartition("/")[2].partition("?…")[0]


def _beginning(recipe: Recipe) -> str:
    """What a training began with; of public weights with the license, which holds for what is made of them too."""
    weights = recipe.fine_tuning.weights
    if not weights:
        return "trained from scratch"
    if not public.is_name(weights):
        return f"fine-tuned from {_last_part(weights)}"
    file = public.select_weights(registry.info(recipe.model).builder, weights, recipe.model_arguments)
    return f"fine-tuned from the public weights {weights} (license {file.license})"
