from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import registry
from kerascnn.training import Recipe, choose_precision
from kerascnn.training.assembly import compile_for
from kerascnn.training.recipe_files import FOLDER


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_loads_and_survives_a_round_trip(file, tmp_path):
    recipe = Recipe.load(file.stem)
    assert Recipe.load(file) == recipe
    assert Recipe.from_dict(recipe.to_dict(), "again") == recipe


def test_every_network_has_a_recipe():
    for name in registry.list_models():
        assert Recipe.for_model(name).model == name


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epoch": 3}, "unknown field 'epoch'; the closest is 'epochs'"),
        ({"optimizer": {"learning_rat": 3}}, r"'optimizer.learning_rat'; the closest is 'optimizer\.learning_rate'"),
        ({"epochs": "many"}, "mine.yaml: .*epochs"),
        ({"optimizer": {"name": "lion"}}, "mine.yaml: .*optimizer"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"seed": -1}, "seed must be from 0 to 2147483647, not -1"),
        ({"model": "resnet"}, "no model 'resnet'; did you mean"),
    ],
)
def test_mistakes_are_named(tmp_path, values, sentence):
    import yaml

    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=sentence) as raised:
        Recipe.load(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("contents", "sentence"), [("a: [1", "is not YAML"), ("- 1", "holds no fields"), (None, "cannot be read")]
)
def test_files_that_are_no_recipes(tmp_path, contents, sentence):
    file = tmp_path / "mine.yaml"
    if contents:
        file.write_text(contents)
    with pytest.raises(InputError, match=sentence):
        Recipe.load(file)
    with pytest.raises(InputError, match="no recipe 'resnet_smal'; did you mean resnet_small"):
        Recipe.load("resnet_smal")


def chain(x, *layers):
    start = x
    for layer in layers:
        x = layer(x)
    return keras.Model(start, x)


def learning_rates(recipe, steps_per_epoch):
    model = chain(keras.Input((2,)), keras.layers.Dense(3, name="fc"))
    compile_for(model, recipe, steps_per_epoch)
    schedule = model.optimizer._learning_rate
    return np.array([float(schedule(step)) for step in range(recipe.epochs * steps_per_epoch + 1)])


def test_cosine_with_warm_up_is_its_closed_form():
    recipe = Recipe.load("resnet_small").with_values(epochs=5)
    rates = learning_rates(recipe, steps_per_epoch=10)
    steps = np.arange(51)
    expected = np.where(steps < 10, 0.1 * steps / 10, 0.05 * (1 + np.cos(np.pi * (steps - 10) / 40)))
    np.testing.assert_allclose(rates, expected, atol=1e-7)


def test_constant_with_warm_up():
    recipe = Recipe.load("resnet_small").with_values(epochs=3)
    recipe = replace(recipe, schedule=replace(recipe.schedule, name="constant", warmup_epochs=2))
    rates = learning_rates(recipe, steps_per_epoch=5)
    np.testing.assert_allclose(rates, np.minimum(np.arange(16), 10) / 100, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_weight_decay_spares_biases_and_normalization(name):
    recipe = Recipe.load("resnet_small")
    settings = replace(recipe.optimizer, name=name, weight_decay=0.1, learning_rate=0.5, momentum=0.0)
    recipe = replace(recipe, optimizer=settings, schedule=replace(recipe.schedule, name="constant", warmup_epochs=0))
    dense = keras.layers.Dense(3, name="fc", bias_initializer="ones")
    model = chain(keras.Input((2,)), dense, keras.layers.BatchNormalization(name="bn"))
    compile_for(model, recipe, 1)
    before = {weight.path: np.asarray(weight) for weight in model.trainable_variables}
    model.optimizer.apply(
        [np.zeros(weight.shape, "float32") for weight in model.trainable_variables], model.trainable_variables
    )
    for weight in model.trainable_variables:
        kept = 1 - 0.5 * 0.1 if weight.path.endswith("kernel") else 1
        np.testing.assert_allclose(np.asarray(weight), kept * before[weight.path], rtol=1e-5)


def test_losses_of_auxiliary_heads_are_weighted():
    inputs = keras.Input((2,))
    outputs = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("main", "aux_4a")}
    model = keras.Model(inputs, outputs)
    compile_for(model, Recipe.load("googlenet_small"), 1)
    x, y = np.ones((4, 2), "float32"), keras.utils.to_categorical([0, 1, 2, 0], 3)
    figures = model.evaluate(x, dict.fromkeys(outputs, y), verbose=0, return_dict=True)
    assert {"main_top1", "aux_4a_top1"} < set(figures)
    np.testing.assert_allclose(figures["loss"], figures["main_loss"] + 0.3 * figures["aux_4a_loss"], rtol=1e-5)


def test_label_smoothing_is_its_closed_form():
    model = chain(keras.Input((4,)), keras.layers.Activation("softmax", name="predictions"))
    compile_for(model, replace(Recipe.load("resnet_small"), label_smoothing=0.1), 1)
    logits = np.array([[2.0, 0.0, -1.0, 1.0]], "float32")
    logs = logits - np.log(np.exp(logits).sum())
    expected = -(np.array([0.925, 0.025, 0.025, 0.025]) * logs).sum()
    loss = model.evaluate(logits, np.eye(4)[:1], verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_precision_that_is_asked_for_is_taken():
    assert choose_precision("mixed_float16").policy == "mixed_float16"
    automatic = choose_precision("auto")
    assert automatic.policy in ("float32", "mixed_bfloat16", "mixed_float16")
    assert automatic.reason
