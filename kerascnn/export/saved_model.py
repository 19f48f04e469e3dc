"""SavedModel: for TensorFlow Serving and everything else that runs TensorFlow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras

from kerascnn.evaluation.predictors import FACTS_FILE, LABELS_FILE, facts_of


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """Writes a SavedModel that needs neither Keras nor kerascnn.

    Its signature `serve` (also the default one) takes `pixels`, float32 (any, height, width, 3) in [0, 255], and
    gives `probabilities`, float32 (any, classes). The class names, one a line, and the picture's cut are assets.

    Args:
        model: in its deployable form.
        folder: is made.
    """
    import tensorflow as tf

    facts = facts_of(model)
    pixels = tf.TensorSpec((None, facts.image_size, facts.image_size, 3), tf.float32, name="pixels")

    @tf.function(input_signature=[pixels])
    def serve(pixels):
        return {"probabilities": model(pixels, training=False)}

    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    module.serve = serve
    with tempfile.TemporaryDirectory() as assets:
        files = {LABELS_FILE: "\n".join(facts.class_names) + "\n", FACTS_FILE: facts.to_json()}
        module.files = []
        for name, text in files.items():
            path = Path(assets) / name
            path.write_text(text, encoding="utf-8")
            module.files.append(tf.saved_model.Asset(str(path)))
        signatures = {"serve": serve, tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: serve}
        tf.saved_model.save(module, str(folder), signatures=signatures)
