"""The fused layer compared with its parent class, which expands into elementwise operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import BatchNormalization

TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}


def pair(policy="float32", **arguments):
    """The layer and its parent with the same random weights."""
    layers = [kind(dtype=policy, **arguments) for kind in (BatchNormalization, keras.layers.BatchNormalization)]
    generator = np.random.default_rng(1)
    for layer in layers:
        layer.build((None, 5, 4, 6))
    weights = [generator.uniform(0.5, 2, weight.shape) for weight in layers[1].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def images(seed=0):
    return np.random.default_rng(seed).normal(3, 2, (8, 5, 4, 6)).astype("float32")


def step(layer, x, training=True):
    """Output, gradients of input, scale and offset, and the moving statistics after one step."""
    target = tf.constant(images(7))
    x = tf.cast(tf.constant(x), layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_mean(tf.square(tf.cast(y, tf.float32) - target))
    gradients = tape.gradient(loss, [x, *[weight.value for weight in layer.trainable_weights]])
    return [tf.cast(value, tf.float32) for value in (y, *gradients, layer.moving_mean, layer.moving_variance)]


def is_fused(layer):
    operations = (
        tf.function(lambda x: layer(x, training=True))
        .get_concrete_function(tf.TensorSpec((None, 5, 4, 6), layer.compute_dtype))
        .graph.get_operations()
    )
    return any(operation.type == "FusedBatchNormV3" for operation in operations)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}, {"momentum": 0.9, "epsilon": 1e-5}])
def test_equals_the_parent(policy, training, arguments):
    fused, parent = pair(policy, **arguments)
    assert is_fused(fused)
    fused, parent = pair(policy, **arguments)
    tolerance = TOLERANCE[fused.compute_dtype]
    assert fused(tf.cast(images(), fused.compute_dtype)).dtype == parent(tf.cast(images(), parent.compute_dtype)).dtype
    for ours, theirs in zip(step(fused, images(), training), step(parent, images(), training), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_the_moving_variance_is_the_biased_one():
    layer = BatchNormalization(momentum=0.0)
    layer(images(), training=True)
    np.testing.assert_allclose(layer.moving_variance, images().reshape(-1, 6).var(axis=0), rtol=1e-5)


def test_frozen_layer_keeps_its_statistics():
    fused, parent = pair()
    fused.trainable = parent.trainable = False
    before = np.asarray(fused.moving_mean)
    np.testing.assert_allclose(fused(images(), training=True), parent(images(), training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(fused.moving_mean, before)


def test_one_pixel_has_no_variance():
    layer = BatchNormalization(momentum=0.0)
    np.testing.assert_allclose(layer(np.ones((1, 1, 1, 6), "float32"), training=True), 0, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"axis": 1}, (4, 6, 5, 3)),
        ({"axis": 2}, (4, 5, 6, 3)),
        ({}, (4, 6)),
        ({}, (4, 5, 6)),
        ({}, (4, 2, 5, 4, 6)),
        ({"renorm": True}, (4, 5, 4, 6)),
        ({"synchronized": True}, (4, 5, 4, 6)),
        ({"dtype": "bfloat16"}, (4, 5, 4, 6)),
        ({"dtype": "float64"}, (4, 5, 4, 6)),
    ],
)
def test_falls_back_to_the_parent(arguments, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    ours, theirs = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    for training in (True, False):
        x = tf.cast(x, ours.compute_dtype)
        np.testing.assert_array_equal(ours(x, training=training), theirs(x, training=training))
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_masked_pixels_do_not_count():
    mask = np.random.default_rng(4).random((8, 5, 4)) < 0.5
    fused, parent = pair(momentum=0.0)
    ours, theirs = (layer(images(), training=True, mask=mask) for layer in (fused, parent))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(fused.moving_mean, images()[mask].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_under_xla(policy):
    fused, parent = pair(policy)
    compiled = tf.function(lambda: step(fused, images()), jit_compile=True, autograph=False)
    tolerance = 10 * TOLERANCE[fused.compute_dtype]
    for ours, theirs in zip(compiled(), step(parent, images()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_files_are_exchanged_with_the_parent_in_both_directions(tmp_path):
    for kind, other in (
        (BatchNormalization, keras.layers.BatchNormalization),
        (keras.layers.BatchNormalization, BatchNormalization),
    ):
        ours, theirs = (keras.Sequential([keras.Input((5, 4, 6)), item(name="bn")]) for item in (kind, other))
        ours.set_weights([np.random.default_rng(2).uniform(0.5, 2, weight.shape) for weight in ours.weights])
        ours.save_weights(tmp_path / "bn.weights.h5")
        theirs.load_weights(tmp_path / "bn.weights.h5")
        np.testing.assert_allclose(ours(images()), theirs(images()), rtol=1e-5, atol=1e-5)
        ours.save(tmp_path / "bn.keras")
        theirs.set_weights([np.zeros(weight.shape) for weight in theirs.weights])
        theirs.load_weights(tmp_path / "bn.keras")
        for one, another in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, another)
        assert type(keras.saving.load_model(tmp_path / "bn.keras").get_layer("bn")) is kind
        config = kind(momentum=0.8, epsilon=1e-5, axis=3, name="bn").get_config()
        assert other.from_config(config).get_config() == config
