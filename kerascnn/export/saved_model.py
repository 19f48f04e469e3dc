"""SavedModel: for TensorFlow Serving and everything else that runs TensorFlow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerascnn.applications.deep import functional
from kerascnn.data.augment.augmentation import evaluation_view
from kerascnn.data.pipeline.decode import TRANSFORM
from kerascnn.evaluation.feature_maps import classifier_input
from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, ModelMetadata, model_metadata_of
from kerascnn.export.orientation import exif_orientation, upright

if TYPE_CHECKING:
    import tensorflow as tf

# How many classes `serve_bytes` answers with.
TOP = 5


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """Writes a SavedModel that needs neither Keras nor kerascnn.

    Its signatures; the first is also the default one:

    - `serve`: `pixels`, float32 (any, height, width, 3) in [0, 255], to `probabilities`, float32 (any, classes).
    - `serve_uint8`: the same from uint8 pixels.
    - `serve_bytes`: `image_bytes`, string (any,), each the contents of a JPEG, PNG, WebP, GIF or BMP file of any size,
      to `labels`, string, and `scores`, float32, (any, 5), the most probable first. Images are cut as in training's
      evaluation; transparency is laid on white, of an animated GIF the first frame counts, and a JPEG file is turned as
      its EXIF data say.
    - `features`: `pixels` as in `serve` to `features`, float32 (any, count), what the last dense layer classifies: the
      pooled maps of ResNets and Inceptions, what the second large dense layer gives of AlexNet, ZFNet and VGG. There is
      none where the model does not end in a dense layer.

    The class names, one a line, and the image's cut are assets.

    Args:
        model: in its deployable form.
        folder: is made.
    """
    import tensorflow as tf

    facts = model_metadata_of(model)
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    signatures = _signatures(model, facts)
    module.signature_functions = list(signatures.values())
    with tempfile.TemporaryDirectory() as assets:
        files = {LABELS_FILE: "\n".join(facts.class_names) + "\n", METADATA_FILE: facts.to_json()}
        module.files = []
        for name, text in files.items():
            path = Path(assets) / name
            path.write_text(text, encoding="utf-8")
            module.files.append(tf.saved_model.Asset(str(path)))
        default = {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signatures["serve"]}
        tf.saved_model.save(module, str(folder), signatures={**signatures, **default})


def _signatures(model: keras.Model, facts: ModelMetadata) -> dict[str, Callable]:
    import tensorflow as tf

    size = facts.image_size
    outputs = {"probabilities": model.outputs[0]}
    features = classifier_input(model)
    if features is not None:
        outputs["features"] = features
    network_of_both = functional(model.inputs[0], outputs, name=model.name)
    floats = tf.TensorSpec((None, size, size, 3), tf.float32, name="pixels")
    bytes_of_files = tf.TensorSpec((None,), tf.string, name="image_bytes")

    # One function that all signatures call is in the file once.
    @tf.function(input_signature=[floats])
    def network(pixels):
        return network_of_both(pixels, training=False)

    @tf.function(input_signature=[floats])
    def serve(pixels):
        return {"probabilities": network(pixels)["probabilities"]}

    @tf.function(input_signature=[tf.TensorSpec(floats.shape, tf.uint8, name="pixels")])
    def serve_uint8(pixels):
        return serve(tf.cast(pixels, tf.float32))

    @tf.function(input_signature=[bytes_of_files])
    def serve_bytes(image_bytes):
        def view(contents):
            image = upright(_decoded(contents), exif_orientation(contents))
            return evaluation_view(image, size, facts.crop_fraction)

        pixels = tf.map_fn(view, image_bytes, fn_output_signature=tf.TensorSpec((size, size, 3), tf.float32))
        scores, classes = tf.math.top_k(network(pixels)["probabilities"], min(TOP, len(facts.class_names)))
        return {"labels": tf.gather(tf.constant(facts.class_names), classes), "scores": scores}

    @tf.function(input_signature=[floats])
    def features_of(pixels):
        return {"features": network(pixels)["features"]}

    signatures: dict[str, Any] = {"serve": serve, "serve_uint8": serve_uint8, "serve_bytes": serve_bytes}
    return signatures if features is None else {**signatures, "features": features_of}


def _decoded(contents: tf.Tensor) -> tf.Tensor:
    """The contents of an image file as uint8 (height, width, 3), grey or transparent as it may be."""
    import tensorflow as tf

    # Asked for three channels, TensorFlow drops transparency and shows what lies below it.
    image = tf.cond(
        tf.io.is_jpeg(contents),
        # `decode_image` takes a transform that is faster and rounds more than the one that training has.
        lambda: tf.io.decode_jpeg(contents, channels=0, dct_method=TRANSFORM),
        lambda: tf.io.decode_image(contents, channels=0, expand_animations=False),
    )
    image = tf.ensure_shape(image, (None, None, None))
    channels = tf.shape(image)[2]
    colours = tf.cond(channels < 3, lambda: tf.repeat(image[..., :1], 3, axis=2), lambda: image[..., :3])

    def on_white():
        opacity = tf.cast(image[..., -1:], tf.float32) / 255.0
        return tf.cast(tf.round(tf.cast(colours, tf.float32) * opacity + 255.0 * (1.0 - opacity)), tf.uint8)

    return tf.cond(channels % 2 == 0, on_white, lambda: colours)
