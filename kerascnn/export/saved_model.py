"""Writes SavedModels, for TensorFlow Serving and everything else that runs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerascnn.applications.deep import functional
from kerascnn.data.augment.augmentation import evaluation_view
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.data.pipeline.decode import TRANSFORM
from kerascnn.evaluation.feature_maps import classifier_input
from kerascnn.evaluation.model_digests import saved_model_digest, with_digest
from kerascnn.evaluation.predictors import METADATA_FILE, ModelMetadata, model_metadata_of
from kerascnn.export.exif import exif_orientation, upright
from kerascnn.files.temporary import TemporaryFolder
from kerascnn.image_shape import RGB

if TYPE_CHECKING:
    import tensorflow as tf

# Number of classes that `serve_bytes` returns; of a multi-label model all.
TOP = 5


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """Writes a SavedModel that needs neither Keras nor kerascnn.

    Its signatures (`serve` is also the default):

    - `serve`: `pixels`, float32 (any, height, width, channels) in [0, 255], to `probabilities`, float32 (any, classes).
    - `serve_uint8`: the same from uint8 pixels.
    - `serve_bytes`: `image_bytes`, string (any,), the contents of JPEG, PNG, WebP, GIF or BMP files of any size, to
      `labels`, string, and `scores`, float32, both (any, 5), the most probable first; of a multi-label model both have
      all classes, and the asset kerascnn.json the threshold. Images are cropped as in training's evaluation, and turned
      to gray for a network of gray images. Transparent pixels become white, an animated GIF gives its first frame, and
      EXIF orientation of JPEG files is applied.
    - `features`: `pixels` as in `serve` to `features`, float32 (any, count), the input of the last dense layer: pooled
      feature maps of ResNets and Inceptions, the output of the second large dense layer of AlexNet, ZFNet and VGG.
      Missing if the model does not end in a dense layer.

    The assets hold the class names, one per line, and image size and crop.

    Args:
        model: a result of `deployable`.
        folder: is created.
    """
    import tensorflow as tf

    metadata = model_metadata_of(model)
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    signatures = _signatures(model, metadata)
    module.signature_functions = list(signatures.values())
    with TemporaryFolder() as assets:
        module.files = []
        for name, text in metadata.to_files().items():
            path = Path(assets) / name
            path.write_text(text, encoding="utf-8")
            module.files.append(tf.saved_model.Asset(str(path)))
        default = {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signatures["serve"]}
        tf.saved_model.save(module, str(folder), signatures={**signatures, **default})
    file = folder / "assets" / METADATA_FILE
    file.write_text(with_digest(file.read_text(encoding="utf-8"), saved_model_digest(folder, file)), encoding="utf-8")


def _signatures(model: keras.Model, metadata: ModelMetadata) -> dict[str, Callable]:
    import tensorflow as tf

    class_names = metadata.class_names
    count = len(class_names) if metadata.multi_label else min(TOP, len(class_names))
    features = classifier_input(model)
    outputs = {"probabilities": model.outputs[0]} | ({} if features is None else {"features": features})
    network_with_features = functional(model.inputs[0], outputs, name=model.name)
    floats = tf.TensorSpec((None, *metadata.image_shape), tf.float32, name="pixels")

    # One function that all signatures call is stored once.
    @tf.function(input_signature=[floats], autograph=False)
    def network(pixels):
        return network_with_features(pixels, training=False)

    @tf.function(input_signature=[floats], autograph=False)
    def serve(pixels):
        return {"probabilities": network(pixels)["probabilities"]}

    @tf.function(input_signature=[tf.TensorSpec(floats.shape, tf.uint8, name="pixels")], autograph=False)
    def serve_uint8(pixels):
        return serve(tf.cast(pixels, tf.float32))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        def view(contents):
            image = upright(_decode(contents), exif_orientation(contents))
            image = with_channels(tf.ensure_shape(image, (None, None, RGB)), metadata.channels)
            return evaluation_view(image, metadata.image_size, metadata.crop_fraction)

        pixels = tf.map_fn(view, image_bytes, fn_output_signature=tf.TensorSpec(metadata.image_shape, tf.float32))
        scores, classes = tf.math.top_k(network(pixels)["probabilities"], count)
        return {"labels": tf.gather(tf.constant(class_names), classes), "scores": scores}

    @tf.function(input_signature=[floats], autograph=False)
    def features_of(pixels):
        return {"features": network(pixels)["features"]}

    signatures: dict[str, Any] = {"serve": serve, "serve_uint8": serve_uint8, "serve_bytes": serve_bytes}
    return signatures if features is None else {**signatures, "features": features_of}


def _decode(contents: tf.Tensor) -> tf.Tensor:
    """Decodes an image file, gray or transparent ones included, to uint8 (height, width, 3)."""
    import tensorflow as tf

    # With channels=3, TensorFlow drops transparency and shows the hidden colors.
    image = tf.cond(
        tf.io.is_jpeg(contents),
        # `decode_image` uses a transform that is faster and rounds more than training's.
        lambda: tf.io.decode_jpeg(contents, channels=0, dct_method=TRANSFORM),
        lambda: tf.io.decode_image(contents, channels=0, expand_animations=False),
    )
    image = tf.ensure_shape(image, (None, None, None))
    channels = tf.shape(image)[2]
    colors = tf.cond(channels < 3, lambda: tf.repeat(image[..., :1], 3, axis=2), lambda: image[..., :3])

    def on_white():
        opacity = tf.cast(image[..., -1:], tf.float32) / 255.0
        return tf.cast(tf.round(tf.cast(colors, tf.float32) * opacity + 255.0 * (1.0 - opacity)), tf.uint8)

    return tf.cond(channels % 2 == 0, on_white, lambda: colors)
