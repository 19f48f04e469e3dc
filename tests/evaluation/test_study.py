"""Several models, alone and as ensembles."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.evaluation import Protocol, Scores
from kerascnn.evaluation.study import Measurement, Study, ensemble, study
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning

GRAYS = np.array([10, 100, 200, 250])


def gray_model(path, size, class_names, scale):
    """Softmax of (gray, 100) over a scale, for the first and the second class."""
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = Preprocessing((), std=scale, name="preprocessing")(pixels)
    gray = keras.layers.GlobalAveragePooling2D()(scaled)[:, :1]
    logits = keras.layers.Concatenate()([gray, 0 * gray + 100 / scale])
    model = keras.Model(pixels, ClassLabels(class_names, name="labels")(keras.layers.Softmax()(logits)))
    model.save(path)
    return path


@pytest.fixture
def grays():
    images = np.broadcast_to(GRAYS[:, None, None, None], (4, 12, 12, 3)).astype(np.uint8)
    examples = data.ArrayExamples(images, np.array([1, 0, 1, 0]))
    return data.DataSet("grays", "grays", ("dark", "light"), examples, examples)


def test_an_ensemble_of_different_sizes_preprocessing_and_class_orders(grays, tmp_path):
    first = gray_model(tmp_path / "first.keras", 8, ("light", "dark"), 50.0)
    second = gray_model(tmp_path / "second.keras", 12, ("light", "dark"), 200.0)
    both = study([first, second], grays, [Protocol("1 crop"), Protocol("10 crops")])
    light = [1 / (1 + np.exp((100 - GRAYS) / scale)) for scale in (50.0, 200.0)]
    assert [(row.name, row.protocol, row.views) for row in both.alone] == [
        (str(first), "1 crop", 1), (str(first), "10 crops", 10),
        (str(second), "1 crop", 1), (str(second), "10 crops", 10),
    ]  # fmt: skip
    assert [(row.name, row.protocol, row.views) for row in both.together] == [
        ("ensemble of 2", "1 crop", 2), ("ensemble of 2", "10 crops", 20),
    ]  # fmt: skip
    for row, expected in zip(both.alone, (light[0], light[0], light[1], light[1]), strict=True):
        np.testing.assert_allclose(row.scores.probabilities[:, 0], expected, atol=1e-5)
    for row in both.together:
        np.testing.assert_allclose(row.scores.probabilities[:, 0], np.mean(light, axis=0), atol=1e-5)
    assert both.result is both.together[-1]
    assert [(len(row.models), row.protocol) for row in both.by_models_and_views()] == [
        (1, "1 crop"), (1, "10 crops"), (2, "1 crop"), (2, "10 crops"),
    ]  # fmt: skip


def test_classes_are_matched_by_name():
    ours = Scores(("a", "b"), np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]], "float32"))
    theirs = Scores(("b", "a"), np.array([1, 0]), np.array([[0.4, 0.6], [0.9, 0.1]], "float32"))
    np.testing.assert_allclose(ensemble([ours, theirs]).probabilities, [[0.7, 0.3], [0.35, 0.65]], atol=1e-6)
    assert ensemble([ours, theirs]).correct() == 2


def test_models_that_cannot_be_averaged(grays, tmp_path):
    ours = Scores(("a", "b"), np.array([0]), np.array([[0.8, 0.2]], "float32"))
    with mentioning(InputError, "'c'"):
        ensemble([ours, Scores(("a", "b", "c"), np.array([0]), np.array([[1, 0, 0]], "float32"))])
    with mentioning(InputError, "different images"):
        ensemble([ours, Scores(("a", "b"), np.array([1]), np.array([[1, 0]], "float32"))])
    lone = gray_model(tmp_path / "lone.keras", 8, ("light", "dark"), 50.0)
    with mentioning(InputError, "lone.keras", "run folder", "recipe"):
        study([lone], grays, ["recipe"])


def test_a_model_that_diverged(grays, tmp_path):
    diverged = gray_model(tmp_path / "diverged.keras", 8, ("light", "dark"), float("nan"))
    with mentioning(InputError, "diverged.keras", "not finite", "4 of 4 images"):
        study([diverged], grays, [Protocol("1 crop")])


def test_the_protocol_of_the_recipe(tiny_digits_run, few_digits):
    [row] = study([tiny_digits_run.folder.path], few_digits, ["recipe"]).alone
    assert (row.protocol, row.views) == ("1 crop", 1)
    assert row.scores.accuracy() == pytest.approx(tiny_digits_run.folder.history()[-1]["val_top1"])


def test_short_names(few_digits):
    def names(*models):
        alone = tuple(Measurement((Path(model),), ("Keras",), "1 crop", 1, None, 0.0) for model in models)
        return [Study(few_digits, alone).short_name(row) for row in alone]

    assert names("/home/me/runs/a/x", "/home/me/runs/b/x") == ["a/x", "b/x"]
    assert names("runs/a", "model.keras") == ["runs/a", "model.keras"]
    assert names("/home/me/runs/a") == ["/home/me/runs/a"]
    assert names("/home/me/a", "b") == ["/home/me/a", "b"]
