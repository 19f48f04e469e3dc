"""The page that goes with an exported model."""

from __future__ import annotations

from typing import Any

from kerascnn.applications import registry
from kerascnn.evaluation.predictors import Facts
from kerascnn.export.verification import Row, Verification
from kerascnn.training import Recipe

CLASSES_SHOWN = 20


def model_card(name: str, facts: Facts, verification: Verification, origin: dict[str, Any] | None) -> str:
    """A Markdown page: what the model is, what it was measured to do, how to run it.

    Args:
        name: of the exported model, and of its `.tflite` file.
        facts: its classes and input.
        verification: the measurements.
        origin: the contents of the run's recipe.yaml, or None where the model comes from elsewhere.
    """
    trained = verification.rows[0]
    classes = ", ".join(facts.class_names[:CLASSES_SHOWN])
    if len(facts.class_names) > CLASSES_SHOWN:
        classes += f" and {len(facts.class_names) - CLASSES_SHOWN} more (labels.txt)"
    sections = [
        f"# {name}",
        *(_origin(origin) if origin else []),
        f"It tells {len(facts.class_names)} classes apart: {classes}.",
        "## Measured",
        f"On the {trained.pictures} validation pictures of its data, none of them trained on, one centre crop each:",
        _table(verification.rows),
        f"Exported forms were accepted because none of their probabilities is more than "
        f"{verification.tolerance.probability:g} from the network's own in float32.",
        "## Use",
        _use(name, facts),
        "## Limits",
        "It answers with one of its classes whatever it is shown, and its probabilities are not calibrated. "
        "The figures above hold for pictures like those it was trained and measured on.",
    ]
    return "\n\n".join(sections) + "\n"


def _origin(origin: dict[str, Any]) -> list[str]:
    facts, versions = origin["facts"], origin["versions"]
    recipe = Recipe.from_dict(origin["recipe"], "the run's recipe")
    entry = registry.info(recipe.model)
    made_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [
        f"{entry.builder} ({entry.paper}), trained from scratch on `{origin['data']['source'].rpartition('/')[2]}`: "
        f"{facts['training_pictures']} training pictures, {recipe.epochs} epochs in batches of "
        f"{recipe.batch_size}, {recipe.optimizer.name} with a learning rate of {recipe.peak_learning_rate:g} "
        f"({recipe.schedule.name}), {recipe.precision}, seed {recipe.seed}.",
        f"Made with {made_with}.",
    ]


def _table(rows: tuple[Row, ...]) -> str:
    lines = [
        "| form | top-1 accuracy | same prediction as trained | size | ms a picture |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        size = "–" if row.bytes is None else f"{row.bytes / 1e6:.2f} MB"
        lines.append(
            f"| {row.form} | {row.accuracy:.2%} | {row.agreeing} of {row.pictures} | {size} | {row.milliseconds:.2f} |"
        )
    return "\n".join(lines)


def _use(name: str, facts: Facts) -> str:
    size = facts.image_size
    return f"""Every form takes RGB pixels in [0, 255], {size} x {size}, and gives one probability a class in the
order of labels.txt; scaling is part of the network. A picture is prepared by resizing its shorter side to
{round(size / facts.crop_fraction)} pixels and cutting out the centre, which this command does:

    kerascnn predict {name}.tflite PICTURE

In Python, with an RGB picture of {size} x {size} in the array `pixels`:

```python
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("{name}.tflite")
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None].astype("float32"))
interpreter.invoke()
probabilities = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
```

The SavedModel needs TensorFlow alone:

```python
import tensorflow as tf

serve = tf.saved_model.load("saved_model").signatures["serve"]
probabilities = serve(tf.constant(pixels[None], tf.float32))["probabilities"][0]
```"""
