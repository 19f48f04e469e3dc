"""The optimizers' updates against their formulas in NumPy."""

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.training import Averaging, Recipe, Schedule, fused_updates
from kerascnn.training.assembly import compile_for
from support.messages import mentioning

GRADIENTS = [np.array([[3.0], [-4.0]], "float32"), np.array([[0.5], [0.25]], "float32")]


def trained(recipe, gradients=GRADIENTS, bias_gradients=(0.0, 0.0)):
    """A dense layer's kernel, from [[1], [2]], and bias, from 1, after each of the updates."""
    dense, inputs = keras.layers.Dense(1, bias_initializer="ones", name="fc"), keras.Input((2,))
    model = keras.Model(inputs, dense(inputs))
    dense.kernel.assign([[1.0], [2.0]])
    compile_for(model, replace(recipe, schedule=Schedule("constant")), 1)
    states = []
    for gradient, bias_gradient in zip(gradients, bias_gradients, strict=True):
        model.optimizer.apply([gradient, np.array([bias_gradient], "float32")], model.trainable_variables)
        states.append([np.array(weight) for weight in model.trainable_variables])
    return states, model


def test_momentum_with_the_papers_weight_decay():
    """AlexNet, section 5: v = 0.9 v - 0.0005 x rate x w - rate x gradient; w = w + v."""
    recipe = Recipe.load("alexnet").with_settings(["optimizer.weight_decay=0.5"])
    states, _ = trained(recipe, bias_gradients=(1.0, 0.0))
    w, v = np.array([[1.0], [2.0]]), 0.0
    for (kernel, _), gradient in zip(states, GRADIENTS, strict=True):
        v = 0.9 * v - 0.5 * 0.01 * w - 0.01 * gradient
        w = w + v
        np.testing.assert_allclose(kernel, w, rtol=1e-6)
    # The bias has no weight decay: 1 - 0.01, then the momentum alone, - 0.009.
    np.testing.assert_allclose([bias[0] for _, bias in states], [0.99, 0.981], rtol=1e-6)


def test_decoupled_weight_decay_stays_out_of_the_momentum():
    changes = ["optimizer.weight_decay=0.5", "optimizer.weight_decay_form=decoupled"]
    states, _ = trained(Recipe.load("alexnet").with_settings(changes))
    w, v = np.array([[1.0], [2.0]]), 0.0
    for (kernel, _), gradient in zip(states, GRADIENTS, strict=True):
        v = 0.9 * v - 0.01 * gradient
        w = w - 0.01 * 0.5 * w + v
        np.testing.assert_allclose(kernel, w, rtol=1e-6)


def test_inceptions_rmsprop_with_clipped_gradients():
    """The mean square keeps 0.9, epsilon 1.0 is inside the root, gradients of more than 2.0 are scaled down."""
    states, _ = trained(Recipe.load("inceptionv3"))
    w, square = np.array([[1.0], [2.0]]), 0.0
    for (kernel, _), gradient in zip(states, GRADIENTS, strict=True):
        # The first has the norm 5, the second less than 2.
        gradient = gradient * min(1.0, 2.0 / np.sqrt((gradient**2).sum()))
        square = 0.9 * square + 0.1 * gradient**2
        w = w - 0.045 * gradient / np.sqrt(square + 1.0)
        np.testing.assert_allclose(kernel, w, rtol=1e-6)


def test_residual_networks_decay_everything():
    states, _ = trained(Recipe.load("resnet20").with_settings(["optimizer.weight_decay=0.5"]))
    # No gradient for the bias, so it moves by -0.1 x 0.5 x 1.
    np.testing.assert_allclose(states[0][1], [0.95], rtol=1e-6)


def test_gradients_are_clipped_before_weight_decay_is_added():
    changes = ["optimizer.weight_decay=0.5", "optimizer.clip_norm=1.0", "optimizer.momentum=0"]
    states, _ = trained(Recipe.load("alexnet").with_settings(changes))
    np.testing.assert_allclose(states[0][0], [[1 - 0.01 * (0.6 + 0.5)], [2 - 0.01 * (-0.8 + 1.0)]], rtol=1e-6)


def apply(optimizer, gradient):
    optimizer.apply([gradient])


@pytest.mark.parametrize(
    ("name", "arguments", "kernel"),
    [
        ("SGD", {"momentum": 0.9}, "ResourceApplyKerasMomentum"),
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, "ResourceApplyKerasMomentum"),
        ("SGD", {"momentum": 0.9, "gradient_accumulation_steps": 2, "loss_scale_factor": 4.0}, None),
        ("SGD", {}, None),
        ("Adam", {"global_clipnorm": 0.1, "use_ema": True}, "ResourceApplyAdam"),
        ("Adam", {"amsgrad": True}, None),
        ("RMSprop", {"momentum": 0.9, "epsilon": 1e-3}, "ResourceApplyRMSProp"),
        ("RMSprop", {"momentum": 0.9, "centered": True}, None),
        ("RMSprop", {}, None),
    ],
)
def test_updates_in_one_kernel_are_those_of_keras(name, arguments, kernel):
    """Weights and all variables of the optimizers, after four steps."""
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=(5, 3)), generator.normal(size=(4, 5, 3))
    states = []
    for module in (fused_updates, keras.optimizers):
        optimizer = getattr(module, name)(0.1, **arguments)
        weight = keras.Variable(start, dtype="float32")
        optimizer.build([weight])
        step = tf.function(functools.partial(apply, optimizer))
        for gradient in tf.constant(gradients, "float32"):
            step(gradient)
        states.append([np.array(value) for value in (weight, *optimizer.variables)])
        if kernel and module is fused_updates:
            graph = step.get_concrete_function(tf.TensorSpec((5, 3))).graph
            assert kernel in {operation.type for operation in graph.get_operations()}
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_averages_follow_the_weights():
    recipe = replace(Recipe.load("alexnet"), averaging=Averaging(0.15))
    gradients = [GRADIENTS[0], GRADIENTS[1], GRADIENTS[0], GRADIENTS[0]]
    states, model = trained(recipe, gradients, (0.0,) * 4)
    average = states[0][0]
    # n / (n + 9) after n steps, 0.15 at most: 1/10, 2/11 > 0.15, 3/12 > 0.15.
    for (kernel, _), keep in zip(states[1:], (0.1, 0.15, 0.15), strict=True):
        average = keep * average + (1 - keep) * kernel
    np.testing.assert_allclose(model.optimizer._model_variables_moving_average[0], average, rtol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "inceptionv3"])
def test_optimizers_survive_a_file(name, tmp_path):
    recipe = Recipe.load(name)
    _, model = trained(recipe)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_filters_are_scaled_to_their_maximum():
    """Zeiler and Fergus, section 3: filters whose root mean square exceeds 0.1 are scaled down to it."""
    inputs = keras.Input((3, 3, 2))
    conv = keras.layers.Conv2D(2, 3, use_bias=False, name="conv1")
    model = keras.Model(
        inputs, keras.layers.Softmax(name="predictions")(keras.layers.Flatten(name="flat")(conv(inputs)))
    )
    compile_for(model, Recipe.load("zfnet"), 1)
    kernel = np.random.default_rng(0).normal(0, 1, (3, 3, 2, 2)).astype("float32")
    kernel[..., 1] *= 0.01
    conv.kernel.assign(kernel)
    model.optimizer.apply([np.zeros_like(kernel)], model.trainable_variables)
    after = np.array(conv.kernel)
    np.testing.assert_allclose(np.sqrt((after[..., 0] ** 2).mean()), 0.1, rtol=1e-5)
    np.testing.assert_allclose(after[..., 0] / kernel[..., 0], after[0, 0, 0, 0] / kernel[0, 0, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(after[..., 1], kernel[..., 1])


def test_momentum_that_rises():
    """Of Maxout's authors: linearly from one value to another, then constant."""
    settings = ["optimizer.initial_momentum=0.5", "optimizer.momentum=0.9", "optimizer.momentum_epochs=2"]
    recipe = Recipe.load("alexnet").with_settings([*settings, "optimizer.weight_decay=0"])
    gradients = [np.array([[1.0], [0.0]], "float32")] * 4
    states, model = trained(recipe, gradients, bias_gradients=(0.0,) * 4)
    w, v = 1.0, 0.0
    for (kernel, _), momentum in zip(states, (0.5, 0.7, 0.9, 0.9), strict=True):
        v = momentum * v - 0.01
        w = w + v
        np.testing.assert_allclose(kernel[0], w, rtol=1e-6)
    again = type(model.optimizer).from_config(model.optimizer.get_config())
    assert (again.initial_momentum, again.momentum_steps, again.momentum) == (0.5, 2, 0.9)


def test_factors_of_the_learning_rate():
    """Caffe's: twice the learning rate for biases, a tenth for one kernel; the last pattern counts."""
    recipe = Recipe.load("alexnet").with_settings(["optimizer.weight_decay=0"])
    recipe = recipe.with_values(optimizer={"lr_factors": {"fc": 3.0, "bias$": 2.0, "fc/kernel": 0.1}})
    states, _ = trained(recipe, bias_gradients=(1.0, 0.0))
    np.testing.assert_allclose(states[0][0], [[1 - 0.001 * 3], [2 + 0.001 * 4]], rtol=1e-6)
    np.testing.assert_allclose(states[0][1], [1 - 0.02], rtol=1e-6)


def test_norms_of_filters_and_units_are_bounded():
    pixels = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 2, name="conv1")(pixels)
    x = keras.layers.Dense(2, name="fc")(keras.layers.Flatten()(x))
    model = keras.Model(pixels, keras.layers.Dense(2, name="predictions")(x))
    recipe = Recipe.load("alexnet").with_values(optimizer={"max_norms": {"": 8.0, "^conv": 0.5}})
    compile_for(model, recipe.with_values(schedule={"name": "constant"}), 1)
    for layer in (model.get_layer("conv1"), model.get_layer("fc")):
        layer.kernel.assign(3 * np.ones(layer.kernel.shape))
    model.optimizer.apply([np.zeros(weight.shape, "float32") for weight in model.trainable_variables])
    norms = [
        np.sqrt((np.asarray(model.get_layer(name).kernel) ** 2).sum(axis=axes))
        for name, axes in (("conv1", (0, 1, 2)), ("fc", 0))
    ]
    np.testing.assert_allclose(norms[0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(norms[1], 8.0, rtol=1e-5)


@pytest.mark.parametrize(("field", "name"), [("max_norms", "layer"), ("lr_factors", "weight")])
def test_patterns_that_match_nothing(field, name):
    recipe = Recipe.load("alexnet").with_values(optimizer={field: {"^conv9": 1.0}})
    with mentioning(InputError, f"optimizer.{field}", "'^conv9'", name):
        trained(recipe)
    with mentioning(InputError, f"optimizer.{field}", "'['", "regular expression"):
        Recipe.load("alexnet").with_values(optimizer={field: {"[": 1.0}})


def test_momentum_rises_for_sgd_only():
    with mentioning(InputError, "initial_momentum", "'adam'"):
        Recipe.load("alexnet").with_values(optimizer={"name": "adam", "initial_momentum": 0.5})
