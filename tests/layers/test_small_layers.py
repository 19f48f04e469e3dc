"""Local response normalization, the parameter-free shortcut, preprocessing, class labels, the conv unit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.layers import ClassLabels, LocalResponseNormalization, Preprocessing, SubsampledIdentity, conv_unit
from support.messages import mentioning


def maps(*shape):
    return np.random.default_rng(0).normal(0, 30, shape).astype("float32")


@pytest.mark.parametrize("arguments", [{}, {"size": 3, "k": 1.0, "alpha": 0.02, "beta": 0.5}, {"size": 1}])
def test_local_response_normalization_is_tensorflows(arguments):
    layer = LocalResponseNormalization(**arguments)
    x = maps(2, 3, 4, 9)
    expected = tf.nn.lrn(x, depth_radius=layer.size // 2, bias=layer.k, alpha=layer.alpha, beta=layer.beta)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_local_response_normalization_by_hand():
    # The window of the middle channel covers all three: 2 + 1e-4 (100^2 + 200^2 + 300^2) = 16.
    x = np.array([100, 200, 300], "float32").reshape(1, 1, 1, 3)
    result = LocalResponseNormalization(size=3)(x)
    np.testing.assert_allclose(np.asarray(result)[0, 0, 0, 1], 200 / 16**0.75, rtol=1e-6)


def test_local_response_normalization_does_not_overflow_in_float16():
    layer = LocalResponseNormalization(dtype="mixed_float16")
    result = layer(np.full((1, 1, 1, 5), 3000, "float16"))
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(result)[0, 0, 0, 2], 3000 / (2 + 1e-4 * 5 * 9e6) ** 0.75, rtol=1e-3)


def test_local_response_normalization_with_the_channels_first():
    x = maps(2, 7, 3, 4)
    first = LocalResponseNormalization(data_format="channels_first")(x)
    last = LocalResponseNormalization(data_format="channels_last")(x.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(first, np.asarray(last).transpose(0, 3, 1, 2), rtol=1e-6)


def test_local_response_normalization_becomes_builtin_operations_of_tflite():
    from ai_edge_litert.interpreter import Interpreter

    layer = LocalResponseNormalization()
    function = tf.function(layer, input_signature=[tf.TensorSpec((1, 6, 5, 16), tf.float32)])
    # Without flex operations, as by default, the converter rejects operations that are not built in.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    assert converter.target_spec.supported_ops == {tf.lite.OpsSet.TFLITE_BUILTINS}
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    operations = {operation["op_name"] for operation in interpreter._get_ops_details()}
    assert not any(name.startswith(("Flex", "CUSTOM")) for name in operations)
    assert operations - {"DELEGATE"}

    x = maps(1, 6, 5, 16)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(result, layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("arguments", [{}, {"size": 3, "k": 1.0, "alpha": 0.02, "beta": 0.5}, {"size": 1}])
def test_local_response_normalization_in_training_has_tensorflows_values_and_gradient(arguments, data_format):
    layer = LocalResponseNormalization(**arguments, data_format=data_format)
    x, given = tf.constant(maps(2, 3, 4, 9)), maps(2, 3, 4, 9)[::-1]
    order = (0, 3, 1, 2) if data_format == "channels_first" else (0, 1, 2, 3)
    window = {"depth_radius": layer.size // 2, "bias": layer.k, "alpha": layer.alpha, "beta": layer.beta}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        expected = tf.reduce_sum(tf.nn.lrn(x, **window) * given)
        measured = tf.reduce_sum(layer(tf.transpose(x, order), training=True) * tf.transpose(given, order))
    np.testing.assert_allclose(measured, expected, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(measured, x), tape.gradient(expected, x), rtol=1e-4, atol=1e-6)


def test_local_response_normalization_in_training_keeps_the_compute_type():
    layer = LocalResponseNormalization(dtype="mixed_float16")
    result = layer(np.full((1, 1, 1, 5), 3000, "float16"), training=True)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(result)[0, 0, 0, 2], 3000 / (2 + 1e-4 * 5 * 9e6) ** 0.75, rtol=1e-3)


@pytest.mark.parametrize("size", [0, 4])
def test_local_response_normalization_needs_an_odd_size(size):
    with mentioning(ValueError, "odd", size):
        LocalResponseNormalization(size=size)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_shortcut_subsamples_and_pads(data_format):
    x = maps(2, 5, 4, 3)
    expected = np.concatenate([x[:, ::2, ::2], np.zeros((2, 3, 2, 2))], axis=-1)
    if data_format == "channels_first":
        x, expected = x.transpose(0, 3, 1, 2), expected.transpose(0, 3, 1, 2)
    layer = SubsampledIdentity(5, strides=2, data_format=data_format)
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.weights == []


def test_shortcut_cannot_drop_channels():
    with mentioning(ValueError, "3 channels", "filters=2"):
        SubsampledIdentity(2)(maps(1, 4, 4, 3))


@pytest.mark.parametrize("mean", [5.0, [1.0, 2.0, 3.0], maps(4, 6, 3)])
def test_preprocessing(mean):
    layer = Preprocessing(np.shape(mean), std=[2.0, 4.0, 8.0], dtype="mixed_float16")
    layer.build((None, 4, 6, 3))
    layer.set_mean(mean)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype("uint8")
    result = np.asarray(layer(pixels))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (pixels - np.asarray(mean)) / [2.0, 4.0, 8.0], rtol=1e-5, atol=1e-4)


def test_preprocessing_and_labels_survive_saving(tmp_path):
    inputs = keras.Input((4, 4, 3))
    x = Preprocessing((3,), std=2.0, crop_fraction=0.875, name="preprocessing")(inputs)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, ClassLabels(["Katze", "Hündin"], name="labels")(x))
    model.get_layer("preprocessing").set_mean([1, 2, 3])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("labels").class_names == ("Katze", "Hündin")
    assert again.get_layer("preprocessing").crop_fraction == 0.875
    np.testing.assert_array_equal(again(maps(1, 4, 4, 3)), model(maps(1, 4, 4, 3)))


def test_class_names_must_fit():
    with mentioning(InputError, "2 class names", "3 classes"):
        ClassLabels(["a", "b"])(np.zeros((1, 3), "float32"))


def test_symmetric_padding_is_that_of_the_papers_programs():
    inputs = keras.Input((6, 6, 1))
    outputs = conv_unit(
        inputs, 1, 3, strides=2, padding="symmetric", activation=None, name="c", kernel_initializer="ones"
    )
    x = maps(1, 6, 6, 1)
    padded = np.pad(x[0, ..., 0], 1)
    expected = [[padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].sum() for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(np.asarray(keras.Model(inputs, outputs)(x))[0, ..., 0], expected, rtol=1e-4, atol=1e-3)
