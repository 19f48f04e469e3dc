"""Loss, metrics and networks for images of several classes, by numbers worked out by hand."""

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.applications import ResNet20
from kerascnn.average_precision import average_precisions, mean_average_precision
from kerascnn.training import Recipe, assembly, compile_for
from kerascnn.training.checkpoints.files import Checkpoint, Position
from kerascnn.training.multi_label import LabelCrossentropy
from kerascnn.training.search.trial_training import hold_out
from kerascnn.training.search.validation import objective_for
from support.messages import mentioning
from support.tiny_training import network

RECIPE = replace(Recipe.for_model("resnet20"), task="multi-label", precision="float32", image_size=8)
TINY = functools.partial(network, "tiny", classes=3, dropout=0.0)


def test_average_precision_by_hand():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]])
    probabilities = np.array([[0.9, 0.1, 0.5], [0.8, 0.9, 0.5], [0.7, 0.5, 0.5], [0.1, 0.5, 0.5]])
    # First class: ranks 1 and 3, (1/1 + 2/3) / 2. Second: rank 1, and two equal ones at once, 1/3 + 2/3 * 3/3.
    np.testing.assert_allclose(average_precisions(labels, probabilities), [5 / 6, 1, np.nan])
    assert mean_average_precision(labels, probabilities) == pytest.approx(11 / 12)
    # Equal probabilities for all: the share of the images with the class.
    np.testing.assert_allclose(average_precisions(labels, np.zeros((4, 3))), [1 / 2, 3 / 4, np.nan])
    assert np.isnan(mean_average_precision(labels[:, 2:], probabilities[:, 2:]))
    assert np.isnan(mean_average_precision(labels, np.full((4, 3), np.nan)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_binary_cross_entropy(smoothing):
    labels = np.array([[1.0, 0.0, 0.3], [0.0, 0.0, 1.0]], "float32")
    probabilities = np.array([[0.8, 0.4, 0.5], [0.1, 0.2, 0.9]], "float32")
    mean = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)(labels, probabilities)
    loss = LabelCrossentropy(smoothing)
    np.testing.assert_allclose(loss(labels, probabilities), 3 * mean, rtol=1e-6)
    # One weight per label: only the last label counts, twice, in the mean over two images.
    weights = np.array([[0, 0, 0], [0, 0, 2]], "float32")
    target = 1 - smoothing / 2
    by_hand = -2 * (target * np.log(0.9) + (1 - target) * np.log(0.1)) / 2
    np.testing.assert_allclose(loss(labels, probabilities, weights), by_hand, rtol=1e-5)
    assert keras.losses.deserialize(keras.losses.serialize(loss)).label_smoothing == smoothing


def test_a_network_ends_in_sigmoids_and_keeps_its_threshold():
    model = assembly.build(RECIPE, ("fog", "sea", "sun"))
    assert model.get_layer("labels").threshold == 0.5
    assert model.get_layer("labels").get_config()["threshold"] == 0.5
    assert float(keras.ops.sum(model(np.zeros((1, 8, 8, 3))))) == pytest.approx(1.5, abs=0.5)
    single = assembly.build(replace(RECIPE, task="single-label"), ("fog", "sea", "sun"))
    assert "threshold" not in single.get_layer("labels").get_config()
    assert float(keras.ops.sum(single(np.zeros((1, 8, 8, 3))))) == pytest.approx(1)
    with mentioning(InputError, "resnet20", "softmax", "sigmoid"):
        assembly.build(RECIPE, ("fog", "sea", "sun"), ResNet20(classes=3, input_shape=(8, 8, 3)))
    own = ResNet20(classes=3, input_shape=(8, 8, 3), classifier_activation="sigmoid")
    assert assembly.build(RECIPE, ("fog", "sea", "sun"), own).output_shape == (None, 3)


def test_a_network_begins_with_the_share_of_each_class():
    labels = np.repeat([[1, 0, 1, 0], [1, 1, 0, 0]], [3, 1], axis=0).astype("uint8")
    examples = data.ArrayExamples(np.zeros((4, 8, 8, 3), "uint8"), labels)
    tags = data.DataSet("tags", "tags", tuple("abcd"), examples, examples)
    biases = assembly.assemble(RECIPE, tags).get_layer("predictions").bias
    np.testing.assert_allclose(keras.ops.sigmoid(biases), [0.999, 0.25, 0.75, 0.001], rtol=1e-4)
    balanced = assembly.assemble(replace(RECIPE, class_weights="balanced"), tags).get_layer("predictions").bias
    np.testing.assert_array_equal(balanced, np.zeros(4))


@pytest.fixture(scope="module")
def fitted():
    """A network with auxiliary heads after two epochs of Keras' own `fit`, its history and its validation data."""
    images = np.random.default_rng(0).uniform(-1, 1, (24, 8, 8, 3)).astype("float32")
    labels = (images.mean(axis=(1, 2)) > 0).astype("float32")
    model = TINY(input_tensor=keras.Input((8, 8, 3)), aux_heads=True, classifier_activation="sigmoid")
    compile_for(model, RECIPE, steps_per_epoch=3)
    options = {"batch_size": 5, "epochs": 2, "verbose": 0, "validation_data": (images[16:], labels[16:])}
    return model, model.fit(images[:16], labels[:16], **options).history, images[16:], labels[16:]


def test_fit_measures_every_head_and_the_exact_map(fitted):
    model, history, images, labels = fitted
    reported = {"loss", *(f"{head}_{name}" for head in ("main", "aux_4a") for name in ("loss", "microf1", "macrof1"))}
    assert set(history) == reported | {f"val_{name}" for name in reported} | {"val_main_map"}
    probabilities = np.asarray(model.predict(images, verbose=0)["main"])
    assert history["val_main_map"][-1] == pytest.approx(mean_average_precision(labels, probabilities))
    assert model.evaluate(images, labels, verbose=0, return_dict=True)["main_map"] == history["val_main_map"][-1]


def test_metrics_of_half_an_epoch_are_restored(fitted):
    model = fitted[0]
    values = [np.full(variable.shape, 3.0, "float32") for variable in model.metrics_variables]
    again = TINY(input_tensor=keras.Input((8, 8, 3)), aux_heads=True, classifier_activation="sigmoid")
    compile_for(again, RECIPE, steps_per_epoch=3)
    Checkpoint(Position(), [], {}, {"metrics": values}).restore_metrics(again)
    assert all(np.all(np.asarray(variable) == 3) for variable in again.metrics_variables)


def test_a_search_maximizes_the_map():
    assert objective_for(RECIPE, 10) == objective_for(RECIPE, 10, "val_map")
    assert objective_for(RECIPE, 10).direction == "max"
    assert objective_for(replace(RECIPE, model="googlenet", image_size=None), 10).name == "val_main_map"
    assert objective_for(RECIPE, 10, "val_macrof1").direction == "max"
    with mentioning(InputError, "resnet20", "'val_top1'"):
        objective_for(RECIPE, 10, "val_top1")


def test_trials_hold_out_a_fifth_of_every_class():
    labels = (np.random.default_rng(0).uniform(size=(200, 5)) < [0.5, 0.3, 0.2, 0.05, 0.02]).astype("uint8")
    examples = data.ArrayExamples(np.zeros((200, 2, 2, 3), "uint8"), labels)
    held = hold_out(data.DataSet("tags", "tags", tuple("abcde"), examples, examples))
    counts = held.counts(held.validation)
    np.testing.assert_array_less(0, counts)
    np.testing.assert_array_less(0, labels.sum(axis=0) - counts)
    assert len(held.training) + len(held.validation) == 200
    assert 0.15 < len(held.validation) / 200 < 0.3
