"""Gradual unfreezing: what each epoch trains, learning rates per layer, and a resumed fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.applications import VGG11, GoogLeNet, ResNet20
from kerascnn.layers import BatchNormalization
from kerascnn.training import (
    FineTuning,
    GradualUnfreezing,
    Recipe,
    TrainingInterruptedError,
    assembly,
    callbacks_for,
    compile_for,
    resume,
    train,
)
from kerascnn.training.fine_tuning.gradual_unfreezing import lr_multipliers, plan
from kerascnn.training.optimizers import optimizer_for
from support import tiny_training
from support.messages import mentioning
from support.runs import StopAfter, assert_same, assert_same_weights

GRADUAL = FineTuning(head_epochs=2, stage_epochs=3, layer_lr_decay=0.5, freeze_batch_norm=True)


def test_the_plan_from_the_top_down():
    rows = {row.stage: row for row in plan(ResNet20(classes=7), GRADUAL)}
    assert [(name, row.from_epoch, row.lr_multiplier) for name, row in rows.items()] == [
        ("head", 1, 1.0),
        ("C2", 3, 0.5),
        ("C1", 6, 0.25),
        ("C0", 9, 0.125),
    ]
    # He et al., section 4.2: conv1 and six layers of 16 filters, six of 32, six of 64, each with its normalization.
    convolutions = {"C0": 9 * 16 * (3 + 6 * 16), "C1": 9 * 32 * (16 + 5 * 32), "C2": 9 * 64 * (32 + 5 * 64)}
    for (name, kernels), (layers, filters) in zip(convolutions.items(), [(7, 16), (6, 32), (6, 64)], strict=True):
        row = rows[name]
        assert (row.layers, row.frozen) == (2 * layers, 2 * filters * layers)
        assert row.parameters - row.frozen == kernels
    assert (rows["head"].parameters, rows["head"].frozen, rows["head"].first) == (7 * 65, 0, "predictions")
    assert (rows["C2"].first, rows["C2"].last) == ("conv4_1_1", "conv4_3_2_bn")


def test_all_at_once_and_never():
    at_once = plan(VGG11(include_top=True, classes=3, input_shape=(32, 32, 3)), FineTuning(head_epochs=1))
    assert {row.stage: row.from_epoch for row in at_once}["head"] == 1
    assert {row.from_epoch for row in at_once[1:]} == {2}
    assert [row.stage for row in at_once[:2]] == ["head", "dense"]
    rows = {row.stage: row for row in plan(ResNet20(), FineTuning(frozen="^conv[12]_"))}
    # The first convolution, of 3 x 3 x 3 x 16, is called conv1, without an underscore.
    assert rows["C0"].from_epoch == 1 and rows["C0"].parameters - rows["C0"].frozen == 9 * 3 * 16
    rows = {row.stage: row for row in plan(ResNet20(), FineTuning(frozen="^conv[123]"))}
    assert [rows[name].from_epoch for name in ("head", "C2", "C1", "C0")] == [1, 1, None, None]


def test_the_classifiers_normalization_is_trained():
    model = GoogLeNet(aux_heads=True, batch_norm=True, classes=2, input_shape=(72, 72, 3))
    [head, *others] = plan(model, FineTuning(freeze_batch_norm=True))
    assert (head.stage, head.frozen) == ("head", 0)
    assert all(row.frozen > 0 for row in others)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("conv9", ("'conv9'", "resnet20", "conv1, conv3_1_1, ")),
        ("predictions", ("'predictions'", "resnet20", "classifier")),
    ],
)
def test_patterns_that_freeze_nothing_or_all(pattern, parts):
    with mentioning(InputError, "fine_tuning.frozen", *parts):
        plan(ResNet20(), FineTuning(frozen=pattern))


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"layer_lr_decay": 0.0}, ("layer_lr_decay", "above 0", "at most 1", "0.0")),
        ({"head_epochs": -1}, ("head_epochs", "at least 0", "-1")),
        ({"frozen": "("}, ("frozen", "'('", "regular expression")),
    ],
)
def test_values_outside_their_range(values, parts):
    with mentioning(InputError, *parts):
        FineTuning(**values)


class Seen(keras.callbacks.Callback):
    """The weights after every epoch, and how many gradients of convolutions a step takes in it."""

    def __init__(self, images, labels):
        super().__init__()
        self.batch = (images, labels)
        self.weights, self.gradients = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append({weight.path: np.array(weight) for weight in self.model.weights})
        self.gradients.append(executed(tf.function(self.model.train_step), self.batch).count("Conv2DBackpropFilter"))


def executed(function, *arguments):
    """The types of the operations that a function runs: what its results and its changes of variables depend on."""
    graph = function.get_concrete_function(*arguments).graph
    waiting, seen = [*(output.op for output in graph.outputs), *graph.control_outputs], set()
    while waiting:
        operation = waiting.pop()
        if operation not in seen:
            seen.add(operation)
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return [operation.type for operation in seen]


def two_stages():
    """Two convolutions of different strides with batch normalization, and a classifier."""
    x = pixels = keras.Input((8, 8, 3), name="pixels")
    for name, strides in (("conv1", 1), ("conv2", 2)):
        x = keras.layers.Conv2D(8, 3, strides=strides, padding="same", use_bias=False, name=name)(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(BatchNormalization(name=f"{name}_bn")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(pixels, keras.layers.Dense(3, activation="softmax", name="fc")(x), name="small")


@pytest.fixture(scope="module")
def tuned():
    """Three epochs of a step, by Keras' own `fit`: the classifier, the stage below it, and the one below that."""
    keras.utils.set_random_seed(0)
    model = two_stages()
    recipe = Recipe.load("finetune").with_values(
        epochs=3, batch_size=8, early_stopping=0, schedule={"warmup_epochs": 0}
    )
    recipe = replace(recipe, fine_tuning=FineTuning("", head_epochs=1, stage_epochs=1, freeze_batch_norm=True))
    generator = np.random.default_rng(0)
    images = generator.normal(size=(8, 8, 8, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[generator.integers(0, 3, 8)]
    before = {weight.path: np.array(weight) for weight in model.weights}
    compile_for(model, recipe, steps_per_epoch=1)
    seen = Seen(images, labels)
    model.fit(images, labels, batch_size=8, epochs=3, callbacks=[*callbacks_for(recipe), seen], verbose=0)
    return model, [before, *seen.weights], seen.gradients


def test_only_what_belongs_to_an_epoch_is_trained(tuned):
    """Batch normalization keeps its statistics, and here its scale and offset as well."""
    _, weights, _ = tuned
    classifier = {"fc/kernel", "fc/bias"}
    expected = [classifier, classifier | {"conv2/kernel"}, classifier | {"conv2/kernel", "conv1/kernel"}]
    for before, after, trained in zip(weights, weights[1:], expected, strict=False):
        assert {path for path in before if not np.array_equal(before[path], after[path])} == trained


def test_frozen_layers_take_no_gradients(tuned):
    assert tuned[2] == [0, 1, 2]


def test_no_layer_is_frozen_after_training(tuned):
    model = tuned[0]
    assert all(layer.trainable for layer in model.layers)
    assert len(model.optimizer._trainable_variables) == len(model.trainable_variables) == 8


@pytest.mark.parametrize("form", ["l2", "decoupled"])
def test_learning_rates_per_layer_follow_their_formula(form):
    """SGD with momentum; weight decay has the rate of its weight in either form."""
    settings = ["optimizer.learning_rate=0.1", "optimizer.momentum=0.9", "optimizer.weight_decay=0.5", "batch_size=64"]
    recipe = Recipe.load("cifar_resnet").with_settings(
        [
            *settings,
            f"optimizer.weight_decay_form={form}",
            "optimizer.weight_decay_exclude=[]",
            "schedule.name=constant",
        ]
    )
    weights = [keras.Variable([1.0, 2.0]), keras.Variable([3.0])]
    optimizer = optimizer_for(recipe, weights, 1, [1.0, 0.25])
    again = type(optimizer).from_config(optimizer.get_config())
    assert list(again.lr_multipliers) == [1.0, 0.25]
    peak = recipe.peak_learning_rate
    expected = [np.array([1.0, 2.0]), np.array([3.0])]
    speeds = [0.0, 0.0]
    for gradients in ([[0.5, -1.0], [2.0]], [[0.25, 0.0], [-1.0]]):
        optimizer.apply([np.array(one, "float32") for one in gradients], weights)
        for number, rate in enumerate((peak, peak / 4)):
            w, gradient = expected[number], np.array(gradients[number])
            shrunk = w if form == "l2" else w - rate * 0.5 * w
            gradient = gradient + 0.5 * w if form == "l2" else gradient
            speeds[number] = 0.9 * speeds[number] - rate * gradient
            expected[number] = shrunk + speeds[number]
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-5)


def test_weights_without_gradients_stay():
    """The optimizer is built for all weights; those without a gradient stay, and so does its state of them."""
    recipe = Recipe.load("finetune").with_values(epochs=1)
    weights = [keras.Variable([1.0]), keras.Variable([1.0])]
    optimizer = optimizer_for(recipe, weights, 1, [1.0, 0.5])
    optimizer.build(weights)
    state = [np.array(one) for one in optimizer.variables]
    optimizer.apply([np.array([1.0], "float32")], weights[1:])
    assert float(weights[0][0]) == 1.0 and float(weights[1][0]) < 1.0
    moved = [
        one.path for one, before in zip(optimizer.variables, state, strict=True) if not np.array_equal(one, before)
    ]
    assert len(moved) == 3  # the count of steps, and Adam's two moments of the second weight


def test_learning_rates_of_a_network():
    model = ResNet20(classes=3)
    factors = dict(zip([one.path for one in model.trainable_variables], lr_multipliers(model, GRADUAL), strict=True))
    assert (factors["predictions/kernel"], factors["conv4_1_1/kernel"], factors["conv1_bn/gamma"]) == (1.0, 0.5, 0.125)
    assert lr_multipliers(model, FineTuning()) == []
    slow = lr_multipliers(model, replace(GRADUAL, head_lr=0.1))
    changed = [name for name, other in zip(factors, slow, strict=True) if factors[name] != other]
    assert changed == ["predictions/kernel", "predictions/bias"] and slow[-1] == 0.1


@pytest.fixture
def scaled_loss(tiny_network, monkeypatch):
    """A loss scale as it begins in earnest; that of the other tests is too large to be doubled."""

    def scaled(*arguments):
        return keras.optimizers.LossScaleOptimizer(
            tiny_training.plain(*arguments), initial_scale=2.0**15, dynamic_growth_steps=5
        )

    monkeypatch.setattr(assembly, "optimizer_for", scaled)


@pytest.mark.slow
def test_a_resumed_fine_tuning_equals_an_uninterrupted_one(scaled_loss, tmp_path):
    """Stopped while the convolution is frozen, and again in the middle of the epoch in which it is not."""
    images, recipe = tiny_training.images(), replace(tiny_training.recipe(), epochs=2)
    assembly.build(recipe, images.class_names).save(tmp_path / "before.keras")
    tuning = FineTuning(str(tmp_path / "before.keras"), head_epochs=1, layer_lr_decay=0.5)
    recipe = replace(recipe, fine_tuning=tuning)
    whole = train(recipe, images, runs=tmp_path / "whole")
    with mentioning(TrainingInterruptedError, "after step 3 of epoch 1") as caught:
        train(recipe, images, runs=tmp_path / "stopped", callbacks=[StopAfter(3)])
    folder = caught.value.folder
    # A checkpoint has everything; the file is needed no more.
    (tmp_path / "before.keras").unlink()
    with mentioning(TrainingInterruptedError, "after step 2 of epoch 2"):
        resume(folder, folder.read_recipe()[0], images, callbacks=[StopAfter(5)])
    run = resume(folder, folder.read_recipe()[0], images)
    assert_same(folder, whole.folder)
    assert_same_weights(run.model, whole.model)
    best = keras.saving.load_model(next(folder.checkpoints.glob("best-*.keras")), compile=False)
    assert all(layer.trainable for model in (run.model, best) for layer in model.layers)


def test_unfreezing_in_a_custom_loop():
    """The callback alone, for a loop of one's own."""
    model = ResNet20(classes=3)
    callback = GradualUnfreezing(FineTuning(head_epochs=1))
    model.compile("sgd", "categorical_crossentropy")
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, count in ((0, 2), (1, 59)):
        callback.on_epoch_begin(epoch)
        assert len(model.trainable_variables) == count
