"""TFLite: for phones and everything else that runs LiteRT."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from kerascnn.evaluation.predictors import FACTS_FILE, LABELS_FILE, facts_of


def write_tflite(model: keras.Model, path: Path) -> None:
    """Writes a float32 `.tflite` file of builtin operations for one picture at a time.

    It takes float32 (1, height, width, 3) in [0, 255] and gives float32 (1, classes). The class names and the
    picture's cut are appended as a zip archive, which is where TFLite's metadata keeps associated files too:
    interpreters do not look past the network, and any unzip program lists them.

    Args:
        model: in its deployable form.
        path: of the file.
    """
    import tensorflow as tf

    facts = facts_of(model)

    @tf.function(input_signature=[tf.TensorSpec((1, facts.image_size, facts.image_size, 3), tf.float32, name="pixels")])
    def network(pixels):
        return model(pixels, training=False)

    # The converter finds the weights through a module that holds them; through a Keras 3 model it does not.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.network = network
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as extras:
        extras.writestr(LABELS_FILE, "\n".join(facts.class_names) + "\n")
        extras.writestr(FACTS_FILE, facts.to_json())
