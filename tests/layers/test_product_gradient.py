"""1 x 1 convolutions with their gradient as a matrix product, beside Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import conv_unit, product_gradient

TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2}


def pair(policy="float32", **arguments):
    """The faster layer and Keras', with the same weights, and maps of an odd width and height."""
    layers = [change(keras.layers.Conv2D(dtype=policy, **arguments)) for change in (product_gradient, lambda it: it)]
    maps = tf.constant(np.random.default_rng(0).normal(size=(4, 7, 5, 6)).astype("float32"))
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


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize(("filters", "arguments"), [(3, {}), (9, {"use_bias": False, "padding": "same"})])
def test_values_and_gradients_are_those_of_keras(policy, strides, filters, arguments):
    (faster, plain), maps = pair(policy, filters=filters, kernel_size=1, strides=strides, **arguments)
    (ours, graph), (theirs, _) = step(faster, maps), step(plain, maps)
    assert "MatMul" in types(graph) and "Conv2DBackpropFilter" not in types(graph)
    for one, other in zip(ours, theirs, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, atol=TOLERANCE[policy])


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
    [{"kernel_size": 3}, {"kernel_size": 1, "groups": 2}, {"kernel_size": 1, "dtype": "float64"}],
    ids=["3 x 3", "groups", "float64"],
)
def test_other_convolutions_compute_as_before(arguments):
    layer = product_gradient(keras.layers.Conv2D(2, **arguments))
    maps = tf.ones((1, 5, 5, 4), layer.compute_dtype)
    layer.build(maps.shape)
    assert "MatMul" not in types(step(layer, maps)[1])


def test_weights_config_and_files_stay_those_of_keras(tmp_path):
    maps = keras.Input((5, 5, 4), name="maps")
    model = keras.Model(maps, conv_unit(maps, 3, 1, name="conv1", activation=None))
    conv, plain = model.get_layer("conv1"), keras.layers.Conv2D(3, 1, padding="same", name="conv1")
    assert type(conv) is keras.layers.Conv2D
    assert conv.get_config() == plain.get_config()
    model.save(tmp_path / "model.keras")
    assert b"kerascnn" not in (tmp_path / "model.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    values = np.ones((1, 5, 5, 4), "float32")
    np.testing.assert_array_equal(loaded(values), model(values))


def test_nothing_comes_between_the_convolution_and_its_bias():
    """TensorFlow fuses the two, and a rectification after them; `tf.custom_gradient` would part them."""
    (layer, _), maps = pair(filters=3, kernel_size=1)
    (bias,) = [one for one in step(layer, maps)[1].get_operations() if one.type in ("BiasAdd", "AddV2")]
    assert bias.inputs[0].op.type == "Conv2D"
