"""Contrast normalization and whitening: fitted to the training images, inside the model and every exported form."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.data.dataset import ArrayExamples, DataSet
from kerascnn.evaluation import open_predictor
from kerascnn.export import deployable
from kerascnn.export.keras_file import write_keras
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import Preprocessing
from kerascnn.training import Recipe
from kerascnn.training.assembly import assemble
from kerascnn.training.fine_tuning.pretrained import resolve_pretrained
from kerascnn.training.pixel_statistics import fit_whitening
from support.messages import mentioning

SIZE = 4
VALUES = SIZE * SIZE * 3


def images(count, seed=0):
    """Neighboring pixels and colors have much in common."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 160, (count, 2, 2, 1))
    return (np.kron(coarse, np.ones((1, 2, 2, 3))) + generator.uniform(0, 90, (count, SIZE, SIZE, 3))).astype("uint8")


@pytest.fixture(scope="module")
def data():
    training, validation = (ArrayExamples(images(count, count), np.arange(count) % 2) for count in (150, 10))
    return DataSet("blocks", "blocks", ("a", "b"), training, validation)


def recipe():
    """Maxout's way with pixels, for another network."""
    values = Recipe.load("maxout").with_values(model="nin", image_size=SIZE, channels=3, precision="float32")
    return values.with_values(task="single-label", seed=1)


def contrast_normalized(pixels):
    flat = pixels.reshape(len(pixels), -1).astype("float64")
    flat = flat - flat.mean(axis=1, keepdims=True)
    return 55 * flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_global_contrast_normalization():
    layer = Preprocessing(contrast=55.0)
    pixels = images(3)
    found = np.asarray(layer(pixels)).reshape(3, -1)
    np.testing.assert_allclose(found, contrast_normalized(pixels), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer(np.full((1, 4, 4, 3), 7, "uint8")), 0)  # an image of one color


def test_whitening_is_the_inverse_root_of_the_covariance(data):
    settings = recipe()
    layer = Preprocessing(contrast=55.0, whitening=0.1)
    layer.build((None, SIZE, SIZE, 3))
    fit_whitening(layer, settings, data)
    flat = contrast_normalized(data.training.images)
    covariance = np.cov(flat.T, bias=True)
    matrix = np.asarray(layer.whitening_matrix, "float64")
    identity = matrix @ (covariance + 0.1 * np.eye(VALUES)) @ matrix
    np.testing.assert_allclose(identity, np.eye(VALUES), atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    whitened = np.asarray(layer(data.training.images)).reshape(len(flat), -1)
    np.testing.assert_allclose(whitened, (flat - flat.mean(axis=0)) @ matrix, atol=1e-3)


def test_images_with_too_many_values():
    settings = recipe().with_values(image_size=64)
    with mentioning(InputError, "4,096", "64 x 64 x 3 = 12,288", "pixels.whitening=0"):
        fit_whitening(Preprocessing(whitening=0.1), settings, None)


@pytest.fixture(scope="module")
def model(data):
    keras.utils.set_random_seed(0)
    model = assemble(recipe(), data)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(2 * layer.kernel)
    return model


def test_what_was_fitted_is_no_weight_to_train(model):
    layer = model.get_layer("preprocessing")
    assert np.any(layer.whitening_matrix) and not layer.trainable_weights
    assert len([weight for weight in model.non_trainable_weights if "whitening" in weight.path]) == 2


def test_a_saved_model_keeps_it(model, tmp_path):
    model.save(tmp_path / "mine.keras")
    again = keras.saving.load_model(tmp_path / "mine.keras")
    np.testing.assert_array_equal(again(images(3)), model(images(3)))


@pytest.mark.slow
def test_every_exported_form_has_it(model, tmp_path):
    pixels = images(5, seed=9).astype("float32")
    expected = np.asarray(model(pixels))
    assert np.ptp(expected[:, 0]) > 1e-3
    small = deployable(model)
    write_saved_model(small, tmp_path / "saved_model")
    write_tflite(small, tmp_path / "mine.tflite", "none")
    write_keras(small, tmp_path / "mine.keras")
    for name in ("saved_model", "mine.tflite", "mine.keras"):
        found = open_predictor(tmp_path / name).probabilities(pixels)
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)
    program = "import sys; sys.modules['kerascnn'] = None; import keras; keras.models.load_model(sys.argv[1])"
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "mine.keras"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_run_keeps_it_when_it_is_fine_tuned(model, data, tmp_path):
    """Pixels "as the weights were trained" are normalized and whitened as then, not as the new images say."""
    model.save(tmp_path / "mine.keras")
    tuned = Recipe.load("finetune").with_values(model="nin", image_size=SIZE, channels=3, precision="float32")
    weights = {"weights": str(tmp_path / "mine.keras"), "probe": False, "cut": "none"}
    tuned = tuned.with_values(task="single-label", fine_tuning=weights)
    other = DataSet("new", "new", ("c", "d", "e"), ArrayExamples(images(9, 5), np.arange(9) % 3), data.validation)
    pretrained = resolve_pretrained(tuned)
    again = assemble(pretrained.complete(tuned), other, pretrained=pretrained)
    pixels = images(2)
    ours, theirs = (one.get_layer("preprocessing") for one in (again, model))
    np.testing.assert_allclose(ours(pixels), theirs(pixels), atol=1e-5)
    np.testing.assert_array_equal(again.get_layer("conv1").kernel, model.get_layer("conv1").kernel)
