"""The losses of companion classifiers: squared hinge, a threshold, a weight that falls to zero."""

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.training import Recipe, compile_for
from kerascnn.training.losses import IntegerSquaredHinge, SquaredHinge, VanishingLoss
from support.messages import mentioning

SCORES = np.array([[2.0, 1.5, -1.0], [0.0, 3.0, 0.5]], "float32")
LABELS = np.eye(3, dtype="float32")[[0, 2]]
# Of the first, 0.5 and 3 above the others; of the second, 0.5 above and 2.5 below.
HINGES = np.array([(1 - 0.5) ** 2, (1 - 0.5) ** 2 + (1 + 2.5) ** 2])
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)


def test_squared_hinge_of_the_margins():
    np.testing.assert_allclose(SquaredHinge(reduction=None)(LABELS, PROBABILITIES), HINGES, rtol=1e-5)
    np.testing.assert_allclose(IntegerSquaredHinge()(np.array([[0], [2]]), PROBABILITIES), HINGES.mean(), rtol=1e-5)
    # A class that softmax has rounded to nothing is far away, not infinitely.
    assert np.isfinite(SquaredHinge()(np.eye(2, dtype="float32")[:1], np.array([[0.0, 1.0]], "float32")))


def network():
    """Two classifiers of two pixels' values."""
    pixels = keras.Input((2,))
    heads = {name: keras.layers.Dense(3, "softmax", name=name)(pixels) for name in ("main", "aux_conv1")}
    return keras.Model(pixels, heads, name="mine")


def compiled(**heads):
    keras.utils.set_random_seed(0)
    model = network()
    recipe = Recipe.load("dsn").with_values(auxiliary_heads=heads, optimizer={"lr_factors": {}, "weight_decay": 0.0})
    compile_for(model, recipe, steps_per_epoch=2)
    return model


IMAGES, ONE_HOT = np.array([[1.0, -1.0], [0.5, 2.0]], "float32"), np.eye(3, dtype="float32")[[1, 2]]


def companion_loss(model):
    return model.evaluate(IMAGES, ONE_HOT, verbose=0, return_dict=True)["aux_conv1_loss"]


def test_the_companions_weight_falls_to_zero():
    model = compiled(threshold=0.0, decay_epochs=2.0)
    whole = float(SquaredHinge()(ONE_HOT, model(IMAGES)["aux_conv1"]))
    for steps, share in ((0, 1.0), (1, 0.75), (3, 0.25), (4, 0.0), (9, 0.0)):
        model.optimizer.iterations.assign(steps)
        np.testing.assert_allclose(companion_loss(model), whole * share, rtol=1e-5)
    kernel = np.asarray(model.get_layer("aux_conv1").kernel)
    model.train_on_batch(IMAGES, ONE_HOT)
    np.testing.assert_array_equal(model.get_layer("aux_conv1").kernel, kernel)


def test_a_loss_below_the_threshold_counts_as_none():
    whole = companion_loss(compiled(threshold=0.0, decay_epochs=0.0))
    np.testing.assert_allclose(companion_loss(compiled(threshold=whole / 4, decay_epochs=0.0)), 0.75 * whole, rtol=1e-5)
    model = compiled(threshold=2 * whole, decay_epochs=0.0)
    kernel = np.asarray(model.get_layer("aux_conv1").kernel)
    assert companion_loss(model) == 0
    model.train_on_batch(IMAGES, ONE_HOT)
    np.testing.assert_array_equal(model.get_layer("aux_conv1").kernel, kernel)
    assert np.any(model.get_layer("main").kernel != 0)


def test_a_saved_model_keeps_its_losses(tmp_path):
    model = compiled(threshold=0.5, decay_epochs=2.0)
    model.save(tmp_path / "mine.keras")
    again = keras.saving.load_model(tmp_path / "mine.keras")
    loss = again.loss["aux_conv1"]
    assert isinstance(loss, VanishingLoss) and isinstance(loss.loss, SquaredHinge)
    assert (loss.threshold, loss.decay_steps) == (0.5, 4)


def test_companions_of_several_labels_take_the_cross_entropy():
    recipe = Recipe.load("dsn").with_values(task="multi-label", optimizer={"lr_factors": {}})
    with mentioning(InputError, "squared_hinge", "crossentropy"):
        compile_for(network(), recipe, steps_per_epoch=2)


@pytest.mark.parametrize("field", ["optimizer.momentum_epochs", "auxiliary_heads.decay_epochs"])
def test_lengths_in_epochs_need_the_steps_of_one(field):
    rising = 0.5 if field.startswith("optimizer") else None
    recipe = Recipe.load("dsn").with_values(optimizer={"lr_factors": {}, "initial_momentum": rising})
    with mentioning(InputError, field, "steps_per_epoch"):
        compile_for(network(), recipe)
