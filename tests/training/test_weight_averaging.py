"""Averaged weights with batch statistics that fit them."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn.layers import BatchNormalization
from kerascnn.training import AveragedWeights, Averaging, Recipe, Schedule, callbacks_for
from kerascnn.training.assembly import compile_for
from kerascnn.training.optimizers import optimizer_for

IMAGES = np.random.default_rng(0).normal(3, 2, (12, 4, 4, 3)).astype("float32")


def normalized():
    """A 1 x 1 convolution, its batch normalization, dropout and a classifier."""
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv1")(inputs)
    x = BatchNormalization(momentum=0.9, name="conv1_bn")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="predictions")(x))


def state(model):
    return [np.array(weight) for weight in model.weights] + [np.array(model.get_layer("dropout").seed_generator.state)]


def test_validation_uses_averages_and_their_statistics_and_training_continues_as_before():
    model = normalized()
    recipe = replace(Recipe.load("inceptionv3"), averaging=Averaging(0.9), schedule=Schedule("constant"))
    compile_for(model, recipe)
    labels = keras.utils.to_categorical(np.arange(12) % 2)
    for _ in range(3):
        model.train_on_batch(IMAGES, labels)
    before = state(model)
    averages = [np.array(value) for value in model.optimizer._model_variables_moving_average]
    callback = AveragedWeights([IMAGES[:6], (IMAGES[6:], labels[6:])])
    callback.set_model(model)
    callback.on_test_begin()
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(weight, average)
    # The mean over the batches of each one's own mean and variance, after the averaged convolution.
    maps = IMAGES @ averages[0][0, 0]
    halves = [maps[:6].reshape(-1, 2), maps[6:].reshape(-1, 2)]
    norm = model.get_layer("conv1_bn")
    np.testing.assert_allclose(norm.moving_mean, np.mean([half.mean(0) for half in halves], 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, np.mean([half.var(0) for half in halves], 0), rtol=1e-4)
    callback.on_test_end()
    for ours, theirs in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fit_ends_in_the_averages():
    model = normalized()
    recipe = replace(Recipe.load("inceptionv3"), averaging=Averaging(0.9), schedule=Schedule("constant"))
    compile_for(model, recipe)
    labels = keras.utils.to_categorical(np.arange(12) % 2)
    callbacks = callbacks_for(recipe, [IMAGES])
    history = model.fit(
        IMAGES, labels, epochs=2, verbose=0, callbacks=callbacks, validation_data=(IMAGES, labels)
    ).history
    for weight, average in zip(model.trainable_variables, model.optimizer._model_variables_moving_average, strict=True):
        np.testing.assert_array_equal(weight, average)
    # The last validation measured the model that remains.
    assert model.evaluate(IMAGES, labels, verbose=0)[0] == pytest.approx(history["val_loss"][-1], rel=1e-5)


def test_the_forward_pass_is_traced_once_until_layers_are_frozen(monkeypatch):
    traced = []
    call = BatchNormalization.call

    def counted(self, inputs, training=None, mask=None):
        traced.append(training)
        return call(self, inputs, training=training)

    model = normalized()
    recipe = replace(Recipe.load("inceptionv3"), averaging=Averaging(0.9), schedule=Schedule("constant"))
    compile_for(model, recipe)
    monkeypatch.setattr(BatchNormalization, "call", counted)
    callback = AveragedWeights([IMAGES])
    callback.set_model(model)
    counts = []
    for frozen in (False, False, True, False):
        model.get_layer("conv1").trainable = not frozen
        callback.on_test_begin()
        callback.on_test_end()
        counts.append(len(traced))
    assert counts == [1, 1, 2, 3]


@pytest.mark.slow
def test_rules_hold_behind_a_loss_scale():
    """Keras wraps the optimizer in another one if gradients are float16."""
    recipe = replace(Recipe.load("alexnet"), averaging=Averaging(0.9), schedule=Schedule("plateau", patience=1))
    labels = keras.utils.to_categorical(np.arange(12) % 2)
    ends = []
    for wrapped in (False, True):
        keras.utils.set_random_seed(0)
        model = normalized()
        optimizer = optimizer_for(recipe, model.trainable_variables, None)
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if wrapped else optimizer
        model.compile(optimizer, "categorical_crossentropy", metrics=[keras.metrics.CategoricalAccuracy(name="top1")])
        model.fit(
            IMAGES, labels, epochs=3, verbose=0, callbacks=callbacks_for(recipe, [IMAGES]), shuffle=False,
            validation_data=(IMAGES, labels),
        )  # fmt: skip
        ends.append([*model.get_weights(), model.optimizer.learning_rate.numpy()])
    for alone, scaled in zip(*ends, strict=True):
        np.testing.assert_allclose(alone, scaled, rtol=1e-5, atol=1e-6)
