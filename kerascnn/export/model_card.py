"""The page that goes with an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerascnn.applications import registry
from kerascnn.evaluation.predictors import (
    UNQUANTIZED,
    ModelMetadata,
    OnnxPredictor,
    Predictor,
    SavedModelPredictor,
    TFLitePredictor,
)
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.verification import Row, Verification
from kerascnn.training import Recipe

CLASSES_SHOWN = 20


def model_card(
    about: ModelDescription,
    facts: ModelMetadata,
    verification: Verification,
    exported: Sequence[Predictor],
    origin: dict[str, Any] | None,
) -> str:
    """A Markdown page: what the model is, what it was measured to do, how to run it.

    Args:
        about: name, author and licence of the exported model.
        facts: its classes and input.
        verification: the measurements.
        exported: the files, of which the first `.tflite` is the example, if there is one.
        origin: the contents of the run's recipe.yaml, or None where the model comes from elsewhere.
    """
    trained = verification.rows[0]
    classes = ", ".join(facts.class_names[:CLASSES_SHOWN])
    if len(facts.class_names) > CLASSES_SHOWN:
        classes += f" and {len(facts.class_names) - CLASSES_SHOWN} more (labels.txt)"
    sections = [
        f"# {about.name}",
        *(_origin(origin) if origin else []),
        *_rights(about),
        f"It tells {len(facts.class_names)} classes apart: {classes}.",
        "## Measured",
        f"On the {trained.images} validation images of its data, none of them trained on, one centre crop each:",
        _table(verification.rows),
        *_quantizer(verification.rows),
        *_left_in_float(verification.rows),
        _gate(verification),
        "## Use",
        _use(facts, exported),
        "## Limits",
        "It answers with one of its classes whatever it is shown, and its probabilities are not calibrated. "
        "The figures above hold for images like those it was trained and measured on.",
    ]
    return "\n\n".join(sections) + "\n"


def training_in_words(origin: dict[str, Any]) -> str:
    """A sentence on which network was trained on what, and how.

    Args:
        origin: the contents of a run's recipe.yaml.
    """
    facts, recipe = origin["facts"], Recipe.from_dict(origin["recipe"], "the run's recipe")
    entry = registry.info(recipe.model)
    return (
        f"{entry.builder} ({entry.paper}), trained from scratch on {origin['data']['source'].rpartition('/')[2]}: "
        f"{facts['training_images']} training images, {recipe.epochs} epochs in batches of "
        f"{recipe.batch_size}, {recipe.optimizer.name} with a learning rate of {recipe.peak_learning_rate:g} "
        f"({recipe.schedule.name}), {recipe.precision}, seed {recipe.seed}."
    )


def _origin(origin: dict[str, Any]) -> list[str]:
    made_with = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    return [training_in_words(origin), f"Made with {made_with}."]


def _rights(about: ModelDescription) -> list[str]:
    author = [f"Author: {about.author}."] if about.author else []
    return [*author, f"Licence: {about.license}."] if about.license else author


def _gate(verification: Verification) -> str:
    tolerance = verification.tolerance
    sentence = (
        f"Exported forms were accepted because none of their probabilities is more than {tolerance.probability:g} from "
        f"the network's own in float32"
    )
    allowed = [
        f"{row.form} {tolerance.images_changed(row.quantization, row.images)}"
        for row in verification.rows
        if row.quantization != UNQUANTIZED
    ]
    if allowed:
        sentence += f"; quantized ones, because few predictions differ from it (allowed: {', '.join(allowed)})"
    return f"{sentence}."


def _table(rows: tuple[Row, ...]) -> str:
    lines = [
        "| form | top-1 accuracy | same prediction as trained | size | memory | ms an image | ms on one core |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        alone = "–" if row.milliseconds_one_thread is None else f"{row.milliseconds_one_thread:.2f}"
        lines.append(
            f"| {row.form} | {row.accuracy:.2%} | {row.agreeing} of {row.images} | {_megabytes(row.bytes)} "
            f"| {_megabytes(row.memory)} | {row.milliseconds:.2f} | {alone} |"
        )
    return "\n".join(lines)


def _megabytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:.2f} MB"


def _quantizer(rows: tuple[Row, ...]) -> list[str]:
    names = {"tensorflow": "TensorFlow's converter", "litert": "LiteRT's quantizer"}
    used = dict.fromkeys(names[row.quantizer] for row in rows if row.quantizer)
    return [f"The quantized files were made by {' and '.join(used)}."] if used else []


def _left_in_float(rows: tuple[Row, ...]) -> list[str]:
    return [
        f"In the {row.form} these layers compute in float32, because integers would say too little of what they give "
        f"or take: {', '.join(row.float_fallback_layers)}."
        for row in rows
        if row.float_fallback_layers
    ]


def _use(facts: ModelMetadata, exported: Sequence[Predictor]) -> str:
    size = facts.image_size
    lite = [predictor for predictor in exported if isinstance(predictor, TFLitePredictor)]
    saved = [predictor for predictor in exported if isinstance(predictor, SavedModelPredictor)]
    onnx = [predictor for predictor in exported if isinstance(predictor, OnnxPredictor)]
    example = (lite or saved or onnx)[0]
    return "\n\n".join(
        [
            f"""Every form takes RGB pixels in [0, 255], {size} x {size}, and gives one probability a class in the
order of labels.txt; scaling is part of the network. An image is prepared by resizing its shorter side to
{round(size / facts.crop_fraction)} pixels and cutting out the centre, which this command does:

    kerascnn predict {example.path.name} IMAGE

In Python, with an RGB image of {size} x {size} in the array `pixels`:""",
            *(_lite_code(predictor) for predictor in lite[:1]),
            *(SAVED_MODEL_CODE for _ in saved),
            *(_onnx_code(predictor) for predictor in onnx),
        ]
    )


SAVED_MODEL_CODE = """The SavedModel needs TensorFlow alone:

```python
import tensorflow as tf

serve = tf.saved_model.load("saved_model").signatures["serve"]
probabilities = serve(tf.constant(pixels[None], tf.float32))["probabilities"][0]
```"""


def _onnx_code(predictor: OnnxPredictor) -> str:
    return f"""ONNX Runtime:

```python
import onnxruntime

session = onnxruntime.InferenceSession("{predictor.path.name}")
[probabilities] = session.run(["probabilities"], {{"pixels": pixels[None].astype("float32")}})[0]
```"""


def _lite_code(predictor: TFLitePredictor) -> str:
    pixels, probabilities = f'pixels[None].astype("{predictor.pixel_type}")', "answer"
    if predictor.pixel_type == "int8":
        pixels, probabilities = '(pixels[None].astype("int16") - 128).astype("int8")', "(answer + 128.0) / 256"
    return f"""```python
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{predictor.path.name}")
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], {pixels})
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
probabilities = {probabilities}
```"""
