"""Convolutions with the gradient by their filters as products of matrices, beside Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import conv_unit, product_gradient

TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2}


def pair(policy="float32", channels=6, size=(7, 5), **arguments):
    """The faster layer and Keras', with the same weights, and maps of this height and width."""
    arguments = {"use_bias": False, "dtype": policy, **arguments}
    layers = [change(keras.layers.Conv2D(**arguments)) for change in (product_gradient, lambda layer: layer)]
    maps = tf.constant(np.random.default_rng(0).normal(size=(4, *size, channels)).astype("float32"))
    for layer in layers:
        layer.build(maps.shape)
    layers[1].set_weights(layers[0].get_weights())
    return layers, maps


def step(layer, maps):
    """Values, the gradients of maps and weights, and the types of the operations that compute them."""

    @tf.function
    def values_and_gradients(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            values = tf.cast(layer(maps), tf.float32)
            loss = tf.reduce_sum(tf.square(values - 1))
        return [values, *tape.gradient(loss, [maps, *[weight.value for weight in layer.trainable_weights]])]

    return values_and_gradients(maps), values_and_gradients.get_concrete_function(maps).graph


def types(graph):
    return [operation.type for operation in graph.get_operations()]


def check(policy, **arguments):
    (faster, plain), maps = pair(policy, **arguments)
    (ours, graph), (theirs, _) = step(faster, maps), step(plain, maps)
    assert "MatMul" in types(graph) and "Conv2DBackpropFilter" not in types(graph)
    for one, other in zip(ours, theirs, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, atol=TOLERANCE[policy])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize(("filters", "padding"), [(3, "valid"), (9, "same")])
def test_values_and_gradients_of_1x1_convolutions_are_those_of_keras(policy, strides, filters, padding):
    check(policy, kernel_size=1, strides=strides, filters=filters, padding=padding)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(7, 6), (8, 7)])
@pytest.mark.parametrize("shape", [{"kernel_size": 3, "strides": 2}, {"kernel_size": (1, 4)}, {"kernel_size": (5, 3)}])
def test_values_and_gradients_of_others_on_small_maps_are_those_of_keras(padding, size, shape):
    check("mixed_bfloat16", channels=112, filters=96, padding=padding, size=size, **shape)


def test_gradients_of_gradients_are_those_of_keras():
    layers, maps = pair(filters=3, kernel_size=1, strides=2)

    def second(layer):
        with tf.GradientTape() as outer:
            outer.watch(maps)
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(layer(maps) ** 3)
            first = inner.gradient(loss, layer.kernel.value)
            return outer.gradient(tf.reduce_sum(first**2), maps)

    ours, theirs = map(second, layers)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3},
        {"kernel_size": 3, "dtype": "bfloat16"},
        {"kernel_size": 1, "groups": 2},
        {"kernel_size": 1, "use_bias": True},
        {"kernel_size": 1, "dtype": "float64"},
    ],
    ids=["float32", "few channels", "groups", "bias", "float64"],
)
def test_other_convolutions_compute_as_before(arguments):
    layer = product_gradient(keras.layers.Conv2D(2, **{"use_bias": False, **arguments}))
    maps = tf.ones((1, 5, 5, 4), layer.compute_dtype)
    layer.build(maps.shape)
    assert "MatMul" not in types(step(layer, maps)[1])


def test_weights_config_and_files_stay_those_of_keras(tmp_path):
    maps = keras.Input((5, 5, 4), name="maps")
    model = keras.Model(maps, conv_unit(maps, 3, 1, name="conv1", activation=None, use_bias=False))
    conv, plain = model.get_layer("conv1"), keras.layers.Conv2D(3, 1, padding="same", use_bias=False, name="conv1")
    assert type(conv) is keras.layers.Conv2D
    assert conv.get_config() == plain.get_config()
    model.save(tmp_path / "model.keras")
    assert b"kerascnn" not in (tmp_path / "model.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    values = np.ones((1, 5, 5, 4), "float32")
    np.testing.assert_array_equal(loaded(values), model(values))


def test_nothing_comes_between_the_convolution_and_what_follows():
    """TensorFlow fuses the two in inference; `tf.custom_gradient` would part them."""
    (layer, _), maps = pair(filters=3, kernel_size=1)
    graph = tf.function(lambda maps: tf.nn.relu(layer(maps))).get_concrete_function(maps).graph
    (rectification,) = [operation for operation in graph.get_operations() if operation.type == "Relu"]
    assert rectification.inputs[0].op.type == "Conv2D"
