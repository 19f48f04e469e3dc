"""`compile_for` on builders' models, then nothing but Keras' own `fit`."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.applications import GoogLeNet, ResNet20
from kerascnn.training import Recipe, callbacks_for, compile_for, resume, train
from support.messages import mentioning

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 72, 72, 3)).astype("float32")
LABELS = keras.utils.to_categorical(np.arange(8) % 2, 2)


@pytest.fixture(scope="module")
def googlenet():
    model = GoogLeNet(input_shape=(72, 72, 3), classes=2, aux_heads=True)
    compile_for(model, Recipe.load("googlenet"), steps_per_epoch=2)
    return model


@pytest.mark.slow
def test_fit_with_auxiliary_heads_and_class_weights(googlenet):
    recipe = Recipe.load("googlenet")
    history = googlenet.fit(
        IMAGES, LABELS, batch_size=4, epochs=1, class_weight={0: 1.0, 1: 2.0}, validation_data=(IMAGES, LABELS),
        callbacks=callbacks_for(recipe, [IMAGES[:4]]), verbose=0,
    ).history  # fmt: skip
    assert {"main_top1", "aux_4a_top1", "val_aux_4d_loss", "val_main_top1"} < set(history)
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_class_weights_reach_every_head(googlenet):
    """With weight 0 for a class only the other one's images count, in the sum of all heads' losses."""
    weights = np.array([1.0, 0.0])[np.argmax(LABELS, 1)].astype("float32")
    probabilities = googlenet.predict(IMAGES, verbose=0)
    losses = {head: -np.log((found * LABELS).sum(1)) for head, found in probabilities.items()}
    # Keras divides by the images, not by their weights.
    expected = {head: (loss * weights).mean() for head, loss in losses.items()}
    measured = googlenet.evaluate(IMAGES, LABELS, sample_weight=weights, verbose=0, return_dict=True)
    total = expected["main"] + 0.3 * (expected["aux_4a"] + expected["aux_4d"])
    assert measured["loss"] == pytest.approx(total, rel=1e-3)


@pytest.mark.slow
def test_labels_may_be_repeated_for_every_head(googlenet):
    single = googlenet.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    several = googlenet.evaluate(IMAGES, dict.fromkeys(googlenet.output, LABELS), verbose=0, return_dict=True)
    assert single == pytest.approx(several, rel=1e-6)


@pytest.mark.slow
def test_fit_with_one_head():
    model = ResNet20(input_shape=(8, 8, 3), classes=2)
    compile_for(model, Recipe.load("resnet20"))
    images = IMAGES[:, :8, :8]
    losses = model.fit(images, LABELS, epochs=6, class_weight={0: 1.0, 1: 1.0}, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_epochs_must_be_known():
    model = ResNet20(input_shape=(8, 8, 3), classes=2)
    with mentioning(InputError, "steps_per_epoch"):
        compile_for(model, Recipe.load("resnet_small"))
    compile_for(model, replace(Recipe.load("resnet_small"), iterations=100).with_settings(["schedule.warmup_epochs=0"]))


@pytest.fixture(scope="module")
def own_model():
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="own_conv")(pixels)
    x = keras.layers.Flatten()(x)
    return keras.Model(pixels, keras.layers.Dense(10, "softmax", name="own_fc")(x), name="mine")


@pytest.mark.slow
def test_train_takes_a_custom_model_and_the_name_of_a_data_set(own_model, tmp_path):
    recipe = Recipe.load("resnet20").with_values(epochs=1, batch_size=32, precision="float32")
    before = own_model.get_layer("own_conv").kernel.numpy()
    run = train(recipe, data="digits", model=own_model, runs=tmp_path, limit=100)
    assert run.folder.path.name.startswith("mine-digits-")
    assert run.recipe.image_size == 8
    assert not np.array_equal(own_model.get_layer("own_conv").kernel.numpy(), before)
    # Whole pixels go in, and the classes have names.
    loaded = keras.saving.load_model(run.folder.model_file)
    assert loaded.get_layer("labels").class_names == tuple("0123456789")
    images = IMAGES[:, :8, :8] * 127 + 128
    np.testing.assert_array_equal(loaded(images), run.model(images))
    again = resume(run.folder, run.recipe, data.load("digits", limit=100), model=own_model)
    np.testing.assert_array_equal(again.model(images), run.model(images))


@pytest.mark.parametrize(
    ("settings", "classes", "parts"),
    [
        (["image_size=32"], 10, ("(8, 8, 3)", "(32, 32, 3)")),
        ([], 7, ("output", "(7,)", "10 classes")),
    ],
)
def test_a_custom_model_must_fit(settings, classes, parts, few_digits, tmp_path):
    pixels = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(classes, "softmax")(keras.layers.GlobalAveragePooling2D()(pixels))
    recipe = Recipe.load("resnet20").with_settings(settings)
    with mentioning(InputError, "mine", *parts):
        train(recipe, few_digits, model=keras.Model(pixels, outputs, name="mine"), runs=tmp_path)
    assert not list(tmp_path.iterdir())
