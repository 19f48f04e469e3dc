"""Maxout, highway and spatial pyramid pooling: closed forms; Keras' own layers; builtin operations of TFLite."""

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.export.file_measurements import operations_of
from kerascnn.export.keras_file import stock_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import SpatialPyramidPooling, highway_conv, maxout_conv, maxout_dense
from support.messages import mentioning


def maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A small network of all of them, with random weights."""
    keras.utils.set_random_seed(0)
    x = pixels = keras.Input((7, 8, 3), name="pixels")
    x = maxout_conv(x, 4, 3, pieces=2, name="conv1")
    x = highway_conv(x, 4, 3, name="conv2", gate_bias=-1.0)
    x = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=(1, 2), name="prelu")(x)
    x = SpatialPyramidPooling((3, 2, 1), name="spp")(x)
    x = maxout_dense(x, 5, pieces=3, name="fc")
    return keras.Model(pixels, keras.layers.Softmax(name="predictions")(x))


def output(model, name, images):
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(images))


def test_maxout_is_the_largest_of_its_pieces(model):
    images = maps(2, 7, 8, 3)
    pieces = [output(model, f"conv1_{number}", images) for number in (1, 2)]
    np.testing.assert_array_equal(output(model, "conv1", images), np.maximum(*pieces))
    vector = output(model, "spp", images)
    sums = [vector @ kernel + bias for kernel, bias in (model.get_layer(f"fc_{n}").get_weights() for n in (1, 2, 3))]
    np.testing.assert_allclose(output(model, "fc", images), np.max(sums, axis=0), rtol=1e-5, atol=1e-6)


def test_a_highway_layer_mixes_its_input_and_its_convolution(model):
    images = maps(2, 7, 8, 3)
    x, changed = output(model, "conv1", images), output(model, "conv2_relu", images)
    gate = 1 / (1 + np.exp(-output(model, "conv2_gate", images)))
    expected = changed * gate + x * (1 - gate)
    np.testing.assert_allclose(output(model, "conv2_highway", images), expected, rtol=1e-5, atol=1e-6)


def test_spatial_pyramid_pooling_covers_every_pixel(model):
    images = maps(2, 7, 8, 3)
    x, found = output(model, "prelu", images), output(model, "spp", images)
    bins = []
    for count in (3, 2, 1):
        for row in range(count):
            rows = slice(7 * row // count, -(-7 * (row + 1) // count))
            for column in range(count):
                columns = slice(8 * column // count, -(-8 * (column + 1) // count))
                bins.append(x[:, rows, columns].max(axis=(1, 2)))
    np.testing.assert_array_equal(found, np.concatenate(bins, axis=-1))


def test_spatial_pyramid_pooling_with_the_channels_first():
    x = maps(2, 5, 6, 3)
    first = SpatialPyramidPooling((2, 1), data_format="channels_first")
    found = first(x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(found, SpatialPyramidPooling((2, 1), data_format="channels_last")(x))
    assert first.compute_output_shape((None, 3, 5, 6)) == (None, found.shape[1]) == (None, 15)


def test_a_file_of_keras_own_layers_has_the_same_function(model):
    stock = stock_model(model)
    assert {type(layer).__module__.split(".")[0] for layer in stock.operations} == {"keras"}
    images = maps(2, 7, 8, 3)
    np.testing.assert_allclose(stock(images), model(images), rtol=1e-6)


@pytest.mark.slow
def test_they_become_builtin_operations_of_tflite(model, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    write_tflite(model, tmp_path / "model.tflite", "none")
    assert operations_of(tmp_path / "model.tflite").custom_ops == ()
    images = maps(1, 7, 8, 3)
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bins", [(), (2, 0), (1.5,)])
def test_bins_are_whole_numbers(bins):
    with mentioning(InputError, "bins", str(bins)):
        SpatialPyramidPooling(bins)


def test_what_composed_layers_cannot_be_made_of():
    with mentioning(InputError, "'spp'", "known size"):
        SpatialPyramidPooling((2, 1), name="spp")(keras.Input((None, None, 3)))
    for make in (lambda x: maxout_conv(x, 4, 3, pieces=1, name="wide"), lambda x: maxout_dense(x, 4, 0, name="wide")):
        with mentioning(InputError, "'wide'", "at least 2"):
            make(keras.Input((8, 8, 3)))
