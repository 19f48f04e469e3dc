"""Layers that 8-bit integers would harm stay in float32 and are listed."""

import json

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kerascnn.evaluation import open_predictor
from kerascnn.export import Tolerance, deployable, export
from kerascnn.export.file_measurements import operations_of
from kerascnn.export.integer_quantization import layer_of
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels


@pytest.fixture(scope="module")
def lopsided(digits_run):
    """The network with one channel between two layers a thousand times as large as the others, which no layer reads."""
    model = keras.models.clone_model(deployable(digits_run.model))
    model.set_weights(deployable(digits_run.model).get_weights())
    kernel, bias = model.get_layer("conv3_3_1").get_weights()
    bias[0] = 1e4
    model.get_layer("conv3_3_1").set_weights([kernel, bias])
    kernel, bias = model.get_layer("conv3_3_2").get_weights()
    kernel[:, :, 0] = 0
    model.get_layer("conv3_3_2").set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def exported(lopsided, few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lopsided") / "mine"
    loose = Tolerance(max_mismatch_rate=0.1)
    return export(lopsided, few_digits, folder, formats=["tflite"], quantize=["none", "int8"], tolerance=loose)


@pytest.mark.slow
def test_layers_on_both_sides_of_a_lopsided_tensor_stay_in_float(lopsided, exported, few_digits):
    images = few_digits.validation.images.astype("float32")
    file = exported.folder / "mine-int8.tflite"
    predictor = open_predictor(file)
    assert predictor.metadata.float_fallback_layers == ("conv3_3_1", "conv3_3_2")
    found = operations_of(file)
    assert found.float_ops == ("CONV_2D",)
    # In and out of float32 on the way, and at the end.
    assert found.counts["DEQUANTIZE"] == 2
    assert np.abs(predictor.probabilities(images) - np.asarray(lopsided(images))).max() < 0.15


@pytest.mark.slow
def test_they_are_listed_in_verification_and_model_card(exported):
    rows = json.loads((exported.folder / "verification.json").read_text())["results"]
    assert [row["float_fallback_layers"] for row in rows] == [[], [], ["conv3_3_1", "conv3_3_2"]]
    assert "In the TFLite int8 these layers" in (exported.folder / "model_card.md").read_text()


@pytest.mark.slow
def test_a_healthy_network_is_quantized_whole(digits_run, few_digits, tmp_path):
    shown = [few_digits.training.images[:32].astype("float32")]
    write_tflite(deployable(digits_run.model), tmp_path / "int8.tflite", "int8", calibration=shown)
    assert open_predictor(tmp_path / "int8.tflite").metadata.float_fallback_layers == ()
    assert operations_of(tmp_path / "int8.tflite").float_ops == ()


def test_a_small_addend_has_the_steps_of_its_own_range(tmp_path):
    """TensorFlow's calibration gives it those of the sum, which is written over it."""
    pixels = keras.Input((8, 8, 3), name="pixels")
    small, large = (
        keras.layers.Conv2D(4, 1, kernel_initializer=keras.initializers.Constant(size), name=name)(pixels)
        for name, size in (("small", 0.001), ("large", 1.0))
    )
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Add(name="sum")([small, large]))
    named = ClassLabels(["dark", "light"], name="labels")(keras.layers.Dense(2, activation="softmax", name="fc")(x))
    write_tflite(
        deployable(keras.Model(pixels, named, name="sums")),
        tmp_path / "int8.tflite",
        "int8",
        calibration=[np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype("float32")],
    )
    interpreter = Interpreter(model_path=str(tmp_path / "int8.tflite"))
    steps = {
        tensor["name"].split("/")[1]: tensor["quantization"][0]
        for tensor in interpreter.get_tensor_details()
        if "/" in tensor["name"] and tensor["shape"].size == 4 and tensor["dtype"] == np.int8
    }
    # At most 3 * 255 times the kernel's value, in 255 steps.
    assert steps["small_1"] == pytest.approx(0.003, rel=0.01)
    assert steps["large_1"] == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net_1/conv1_relu_1/Relu;net_1/conv1_1/BiasAdd;net_1/conv1_1/convolution", "conv1"),
        ("net/conv3_1/BiasAdd", "conv3_1"),
        ("net_1/conv3_1_1/BiasAdd", "conv3_1"),
        ("net_1/add_1/Add", "add"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
    ],
)
def test_layers_of_tensors(tensor, layer):
    assert layer_of(tensor, ["conv1", "conv1_relu", "conv3_1", "add"]) == layer
