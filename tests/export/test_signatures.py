"""The signatures of an exported SavedModel, in a process that has TensorFlow alone."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image

import kerascnn
from kerascnn.data.ingestion.image_formats import decode_image
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.evaluation.feature_maps import classifier_input
from kerascnn.export import deployable
from kerascnn.export.saved_model import write_saved_model
from support.networks import without_values

PROGRAM = """
import sys
for package in ("keras", "kerascnn"):
    sys.modules[package] = None
import numpy as np
import tensorflow as tf
folder = sys.argv[1]
signatures = tf.saved_model.load(folder + "/saved_model").signatures
assert set(signatures) == {"serve", "serve_uint8", "serve_bytes", "features", "serving_default"}
given = np.load(folder + "/given.npz")
files = [given[f"file{number}"].tobytes() for number in range(int(given["files"]))]
answers = {}
for name, argument in (
    ("serve", {"pixels": tf.constant(given["pixels"], tf.float32)}),
    ("serving_default", {"pixels": tf.constant(given["pixels"], tf.float32)}),
    ("serve_uint8", {"pixels": tf.constant(given["pixels"])}),
    ("features", {"pixels": tf.constant(given["pixels"], tf.float32)}),
    ("serve_bytes", {"image_bytes": tf.constant(files)}),
):
    answers.update({f"{name}_{key}": value.numpy() for key, value in signatures[name](**argument).items()})
answers["serve_bytes_labels"] = answers["serve_bytes_labels"].astype(str)
np.savez(folder + "/answers.npz", **answers)
"""


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def files():
    """Images of several sizes in every format, gray, with a palette, transparent, animated."""
    generator = np.random.default_rng(0)
    noise = [
        Image.fromarray(generator.integers(0, 256, (*size, 3), "uint8")) for size in ((40, 60), (31, 33), (90, 20))
    ]
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    clear = noise[0].convert("RGBA")
    clear.putalpha(Image.fromarray(generator.integers(0, 256, (40, 60), "uint8")))
    return [
        encoded(noise[0], "PNG"),
        encoded(noise[1], "PNG"),
        encoded(noise[2].convert("L"), "PNG"),
        encoded(noise[2].convert("LA"), "PNG"),
        encoded(noise[0].convert("P"), "PNG"),
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True, exact=True),
        encoded(noise[1], "WEBP", lossless=True),
        encoded(noise[1], "BMP"),
        encoded(noise[0], "GIF"),
        encoded(noise[0], "GIF", save_all=True, append_images=[noise[0].rotate(180)]),
        encoded(noise[2], "JPEG", quality=95),
        encoded(noise[2].convert("L"), "JPEG", quality=95),
        # As a phone held upright writes it.
        encoded(noise[2], "JPEG", quality=95, exif=turned),
    ]


@pytest.fixture(scope="module")
def answers(digits_run, few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signatures")
    write_saved_model(deployable(digits_run.model), folder / "saved_model")
    contents = {f"file{number}": np.frombuffer(file, "uint8") for number, file in enumerate(files())}
    pixels = few_digits.validation.images[:3]
    np.savez(folder / "given.npz", pixels=pixels, files=len(contents), **contents)
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return np.load(folder / "answers.npz")


@pytest.mark.slow
def test_pixels_of_both_types(answers, digits_run, few_digits):
    expected = digits_run.model(few_digits.validation.images[:3])
    np.testing.assert_allclose(answers["serve_probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(answers["serve_uint8_probabilities"], answers["serve_probabilities"])
    np.testing.assert_array_equal(answers["serving_default_probabilities"], answers["serve_probabilities"])


@pytest.mark.slow
def test_features_are_what_the_classifier_sees(answers, digits_run):
    features = answers["features_features"]
    assert features.shape == (3, 64)
    kernel, bias = digits_run.model.get_layer("predictions").get_weights()
    scores = np.exp(features @ kernel + bias)
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, answers["serve_probabilities"], atol=1e-5)


@pytest.mark.slow
def test_files_of_every_kind(answers, digits_run):
    images = [decode_image(file) for file in files()]
    expected = np.asarray(digits_run.model(views_of(images, 32, 1.0)))
    found = answers["serve_bytes_scores"]
    assert found.shape == (len(images), 5)
    # Laying on white is rounded differently by a gray level, and JPEG by two decoders.
    np.testing.assert_allclose(found, -np.sort(-expected)[:, :5], atol=0.01)
    by_label = np.take_along_axis(expected, answers["serve_bytes_labels"].astype(int), axis=1)
    np.testing.assert_allclose(by_label, found, atol=0.01)


def test_where_features_are():
    assert classifier_input(without_values(kerascnn.applications.AlexNetV2, input_shape=(63, 63, 3))).shape == (
        None,
        4096,
    )
    assert classifier_input(kerascnn.applications.ResNet20(include_top=False)) is None
