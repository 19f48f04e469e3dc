"""Quantized files through their real runtime."""

import importlib.util
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.applications import ResNet20
from kerascnn.data.dataset import ArrayExamples
from kerascnn.evaluation import TFLitePredictor
from kerascnn.evaluation.scores import views
from kerascnn.export import FormatResult, Tolerance, Verification, deployable, export
from kerascnn.export.file_measurements import operations_of
from kerascnn.export.tflite import QUANTIZATIONS, QUANTIZERS, Graphs, write_tflite
from kerascnn.layers import ClassLabels, LocalResponseNormalization, Preprocessing
from support.messages import mentioning, names

QUANTIZED = [quantization for quantization in QUANTIZATIONS if quantization != "none"]

needs_litert = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_quantizer") is None, reason="the extra `litert` is not installed"
)
each_quantizer = [pytest.param(name, marks=needs_litert if name == "litert" else ()) for name in QUANTIZERS]


@pytest.fixture(scope="module")
def recognized(few_digits):
    """The digits that `network` recognizes, some of them for validation."""
    return replace(few_digits, validation=few_digits.training.take(np.arange(40)))


@pytest.fixture(scope="module")
def network(recognized):
    """A ResNet-20 that recognizes digits without training, whatever its initial weights.

    Its blocks are close to the identity, its statistics are those of all images, and its classifier is the ridge
    regression of the labels on the features, so that the score of an image's class is about 1 above the others.
    """
    keras.utils.set_random_seed(0)
    images, labels = recognized.training.images.astype("float32"), np.eye(10)[recognized.training.labels]
    pixels = keras.Input((32, 32, 3), name="pixels")
    preprocessing = Preprocessing((3,), std=60.0, name="preprocessing")
    resnet = ResNet20(input_tensor=preprocessing(pixels))
    preprocessing.set_mean(images.mean(axis=(0, 1, 2)))
    normalizations = [layer for layer in resnet.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalizations:
        layer.momentum = 0.0
        if layer.name.endswith("_2_bn"):
            layer.gamma.assign(0.1 * layer.gamma)
    resnet(images, training=True)
    fc = resnet.get_layer("predictions")
    features = np.asarray(keras.Model(pixels, fc.input)(images))
    mean, spread = features.mean(axis=0), features - features.mean(axis=0)
    ridge = 0.03 * np.mean(spread**2) * len(spread) * np.eye(64)
    kernel = np.linalg.solve(spread.T @ spread + ridge, spread.T @ (labels - labels.mean(axis=0)))
    fc.set_weights([kernel, -mean @ kernel])
    return keras.Model(pixels, ClassLabels(recognized.class_names, name="labels")(resnet.output))


@pytest.fixture(scope="module", params=each_quantizer)
def quantizer(request):
    return request.param


@pytest.fixture(scope="module")
def exported(network, recognized, tmp_path_factory, quantizer):
    folder = tmp_path_factory.mktemp("quantized") / "digits"
    loose = Tolerance(max_mismatch_rate=0.1)
    return export(
        network, recognized, folder, formats=["tflite"], quantize=QUANTIZATIONS, quantizer=quantizer, tolerance=loose
    )


def file_of(exported, quantization):
    return exported.folder / ("digits.tflite" if quantization == "none" else f"digits-{quantization}.tflite")


@pytest.mark.slow
def test_what_is_published(exported, quantizer):
    files = {file_of(exported, quantization).name for quantization in QUANTIZATIONS}
    written = {entry.name for entry in exported.folder.iterdir()}
    assert written == files | {"labels.txt", "model_card.md", "verification.json"}
    rows = json.loads((exported.folder / "verification.json").read_text())["results"]
    assert [row["format"] for row in rows] == [
        "Keras",
        "TFLite",
        *(f"TFLite {quantization}" for quantization in QUANTIZED),
    ]
    assert all(row["single_thread_latency_ms"] > 0 for row in rows[1:])
    assert [row["quantizer"] for row in rows] == [None, None, *[quantizer] * 4]
    card = (exported.folder / "model_card.md").read_text()
    assert "saved_model" not in card
    maker = {"tensorflow": "TensorFlow's converter", "litert": "LiteRT's quantizer"}[quantizer]
    assert f"The quantized files were made by {maker}." in card
    assert "TFLite int8 4" in card


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantization", "share"), [("float16", 0.52), ("dynamic", 0.29), ("int8", 0.29), ("int16x8", 0.30)]
)
def test_size_and_predictions(exported, recognized, quantization, share):
    assert file_of(exported, quantization).stat().st_size < share * file_of(exported, "none").stat().st_size
    predictor = TFLitePredictor(file_of(exported, quantization))
    assert (predictor.kind, predictor.metadata.quantization) == (f"TFLite {quantization}", quantization)
    images = recognized.validation.images.astype("float32")
    expected = TFLitePredictor(file_of(exported, "none")).probabilities(images)
    assert np.mean(expected.argmax(axis=1) == recognized.validation.labels) > 0.9
    found = predictor.probabilities(images)
    assert np.abs(found - expected).max() < 0.1
    assert np.mean(found.argmax(axis=1) == expected.argmax(axis=1)) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_operations_are_those_of_the_network(exported, quantization):
    found = operations_of(file_of(exported, quantization))
    # ResNet-20: 1 + 3 * 3 * 2 convolutions, 3 * 3 additions, one dense layer; no batch normalization.
    assert (found.counts["CONV_2D"], found.counts["ADD"], found.counts["FULLY_CONNECTED"]) == (19, 9, 1)
    assert "MUL" not in found.counts
    assert found.custom_ops == ()
    if quantization in ("int8", "int16x8"):
        assert found.float_ops == ()


@pytest.mark.slow
def test_int8_takes_plain_pixels_and_has_one_scale_per_channel(exported):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file_of(exported, "int8")))
    [pixels] = interpreter.get_input_details()
    assert (pixels["dtype"], pixels["quantization"]) == (np.uint8, (1.0, 0))
    assert interpreter.get_output_details()[0]["dtype"] == np.float32
    kernels = [tensor for tensor in interpreter.get_tensor_details() if len(tensor["shape"]) == 4]
    kernels = [tensor for tensor in kernels if len(tensor["quantization_parameters"]["scales"]) > 1]
    # One scale per filter of each convolution.
    assert sorted(len(tensor["quantization_parameters"]["scales"]) for tensor in kernels) == (
        [16] * 7 + [32] * 6 + [64] * 6
    )
    assert all(tensor["dtype"] == np.int8 for tensor in kernels)


@pytest.mark.slow
def test_all_integers(network, recognized, tmp_path, quantizer):
    images = recognized.validation.images.astype("float32")
    shown = [recognized.training.images[:128].astype("float32")]
    with Graphs(deployable(network)) as graphs:
        write_tflite(graphs, tmp_path / "int8.tflite", "int8", calibration=shown, pixels="int8", quantizer=quantizer)
        write_tflite(graphs, tmp_path / "uint8.tflite", "int8", calibration=shown, quantizer=quantizer)
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(operations_of(tmp_path / "int8.tflite").counts)
    predictor = TFLitePredictor(tmp_path / "int8.tflite")
    assert (predictor.pixel_type, TFLitePredictor(tmp_path / "uint8.tflite").pixel_type) == ("int8", "uint8")
    expected = TFLitePredictor(tmp_path / "uint8.tflite").probabilities(images)
    np.testing.assert_array_equal(predictor.probabilities(images), expected)


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_calibration_on_other_images_is_what_the_file_gets(brightness, grays, tmp_path, quantization):
    def exported(name, **calibration):
        return export(brightness, grays, tmp_path / name, formats=["tflite"], quantize=quantization, **calibration)

    assert exported("own").verification.results[1].mismatches == 0
    # If only one pixel of one image is not black, the range ends at 1/64, and brighter images are clipped.
    black = ArrayExamples(np.zeros_like(grays.training.images), grays.training.labels)
    result = exported("black", calibration=replace(grays, training=black))
    assert result.folder is None
    [failure] = result.verification.failures
    names(failure, f"TFLite {quantization}", "5 of 10", "more than 1;")
    assert [entry.name for entry in tmp_path.iterdir()] == ["own"]


@needs_litert
def test_the_other_quantizer_is_quiet(brightness, grays, tmp_path, capfd, recwarn):
    shown = [np.tile(grays.training.images.astype("float32"), (3, 1, 1, 1))]
    write_tflite(deployable(brightness), tmp_path / "int8.tflite", "int8", calibration=shown, quantizer="litert")
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn if "debugging" in str(warning.message)] == []


def test_local_response_normalization_stays_in_float32_and_is_listed(grays, tmp_path):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv1")(Preprocessing(std=255.0, name="scaled")(pixels))
    x = LocalResponseNormalization(name="norm1")(x)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    scores = keras.layers.Dense(2, name="fc")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    labels = ClassLabels(["dark", "light"], name="labels")(keras.layers.Softmax(name="softmax")(scores))
    model, loose = keras.Model(pixels, labels, name="normalized"), Tolerance(max_mismatch_rate=1.0)
    result = export(model, grays, tmp_path / "normalized", formats=["tflite"], quantize="int8", tolerance=loose)
    row = result.verification.results[1]
    assert row.format == "TFLite int8"
    assert row.float_fallback_layers == ("norm1",)
    assert row.float_fallback_ops == ("ADD", "MUL", "PAD", "RSQRT", "SQRT", "SQUARE", "STRIDED_SLICE")
    assert row.custom_ops == ()
    assert row.operations["CONV_2D"] == 2


def test_normalized_contrast_stays_in_float32(grays, tmp_path):
    """TFLite divides by no integer that stands for zero, as the norms of images without contrast do."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = Preprocessing(std=1.0, contrast=55.0, name="preprocessing")(pixels)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(keras.layers.Conv2D(8, 3, name="conv1")(x))
    labels = ClassLabels(["dark", "light"], name="labels")(keras.layers.Dense(2, "softmax", name="fc")(x))
    model, loose = keras.Model(pixels, labels, name="contrasts"), Tolerance(max_mismatch_rate=1.0)
    result = export(model, grays, tmp_path / "contrasts", formats=["tflite"], quantize="int8", tolerance=loose)
    row = result.verification.results[1]
    assert row.float_fallback_layers == ("preprocessing",)
    assert "DIV" in row.float_fallback_ops and row.operations["CONV_2D"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "type_of_input"), [(None, "float32"), ("uint8", "uint8")])
def test_a_file_of_integer_pixels_is_compared_with_the_network_on_rounded_pixels(
    photographs, tmp_path, pixels, type_of_input
):
    """With a network for which half a gray level is a large difference."""
    keras.utils.set_random_seed(0)
    pixels_in = keras.Input((16, 16, 3), name="pixels")
    # Linear, so that nothing saturates.
    scores = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(0, 0.001), name="scores")
    values = scores(keras.layers.Flatten(name="flat")(pixels_in))
    model = keras.Model(pixels_in, ClassLabels(["lying", "standing"], name="labels")(values), name="rough")
    loaded = data.load(photographs)
    result = export(model, loaded, tmp_path / "rough", formats=["tflite"], pixels=pixels)
    assert result.verification.results[1].max_difference < 1e-4
    predictor = TFLitePredictor(tmp_path / "rough" / "rough.tflite")
    assert predictor.pixel_type == type_of_input
    [shown] = views(loaded.validation, predictor.metadata)
    difference = np.abs(predictor.probabilities(shown) - np.asarray(model(shown))).max()
    assert (difference > 1e-3) == (pixels == "uint8"), difference


RESULT = FormatResult("TFLite int8", "int8", 0.9, 1000, 1000, 0, 0.3, 0.01, 1, 1.0)


@pytest.mark.parametrize(
    ("changes", "tolerance", "parts"),
    [
        ({"mismatches": 30}, Tolerance(), None),
        ({"mismatches": 31}, Tolerance(), ["31 of 1000", "30"]),
        ({"mismatches": 6, "quantization": "float16"}, Tolerance(), ["6 of 1000", "more than 5"]),
        ({"mismatches": 31}, Tolerance(max_mismatch_rate=0.1), None),
        ({"mismatches": 1, "images": 10}, Tolerance(), None),
        ({"mismatches": 2, "images": 10}, Tolerance(), ["2 of 10 ", "more than 1"]),
        ({"max_difference": float("nan")}, Tolerance(), ["nan"]),
        ({"custom_ops": ("FlexLRN",)}, Tolerance(), ["FlexLRN"]),
        ({"quantization": "none"}, Tolerance(), ["0.3 ", "0.001"]),
        # Of 20 labels per image, 3 % of 20,000 may differ, and the mAP may fall by 3 %.
        ({"labels_per_image": 20, "mismatches": 600, "accuracy_loss": 0.03}, Tolerance(), None),
        ({"labels_per_image": 20, "mismatches": 601}, Tolerance(), ["601 of 20000", "600"]),
        ({"labels_per_image": 20, "accuracy_loss": 0.031}, Tolerance(), ["mAP", "3.10%", "3.00%"]),
        ({"labels_per_image": 20, "accuracy_loss": float("nan")}, Tolerance(), ["mAP", "nan"]),
        ({"labels_per_image": 20, "accuracy_loss": 0.09, "images": 11}, Tolerance(), None),
        ({"accuracy_loss": 0.031}, Tolerance(), None),
    ],
)
def test_the_tolerance(changes, tolerance, parts):
    failures = Verification((RESULT, replace(RESULT, **changes)), tolerance).failures
    assert (parts is None) == (failures == [])
    if parts:
        names(failures[0], *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"formats": ["caffe"]}, ["format ", "savedmodel, tflite, onnx, keras", "'caffe'"]),
        ({"formats": "int8"}, ["int8 is no format", "quantize='int8'"]),
        ({"formats": []}, ["format ", "savedmodel, tflite, onnx, keras", "nothing"]),
        ({"quantize": "int4"}, ["quantization ", "none, float16, dynamic, int8, int16x8", "'int4'"]),
        ({"quantizer": "torch"}, ["quantizer ", "tensorflow, litert", "'torch'"]),
        ({"pixels": "uint16"}, ["pixels ", "uint8, int8, float32", "'uint16'"]),
    ],
)
def test_unknown_values_are_rejected_in_a_sentence(brightness, grays, tmp_path, arguments, parts):
    with mentioning(InputError, *parts):
        export(brightness, grays, tmp_path / "never", **arguments)


def test_a_quantizer_that_is_not_installed_is_reported_before_any_work(brightness, grays, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    missing = "ai_edge_quantizer"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == missing else find(name, *more))
    parts = ("ai-edge-quantizer", "pip install 'kerascnn[litert]'")
    with mentioning(InputError, *parts):
        export(brightness, grays, tmp_path / "never", quantize="dynamic", quantizer="litert")
    with mentioning(InputError, *parts):
        write_tflite(deployable(brightness), tmp_path / "never.tflite", "dynamic", quantizer="litert")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
@pytest.mark.parametrize(
    ("calibration", "parts"),
    [
        ([], ["no images", "calibrate"]),
        ([np.zeros((9, 9, 9, 3))], ["calibration", "(9, 9, 3)", "(8, 8, 3)"]),
        ([np.zeros((9, 8, 8, 1))], ["calibration", "(8, 8, 1)", "(8, 8, 3)"]),
    ],
)
def test_images_that_cannot_calibrate(brightness, tmp_path, quantization, calibration, parts):
    with mentioning(InputError, *parts):
        write_tflite(deployable(brightness), tmp_path / "never.tflite", quantization, calibration=calibration)
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_no_classifiers_are_rejected(grays, tmp_path):
    pixels = keras.Input((32, 32, 3), name="pixels")
    maps = keras.Model(pixels, keras.layers.Conv2D(4, 3, name="conv")(pixels), name="maps")
    two = keras.Input((32, 32, 2), name="pixels")
    channels = keras.Model(two, keras.layers.Dense(2, name="fc")(keras.layers.Flatten(name="flat")(two)), name="two")
    for model in (maps, channels):
        with mentioning(InputError, f"'{model.name}'", "RGB or gray images of one size"):
            export(model, grays, tmp_path / "never")
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_to_calibrate_with(brightness, grays, tmp_path):
    few = replace(grays, training=grays.training.take(np.arange(7)))
    with mentioning(InputError, "7 training images", "calibration", "8"):
        export(brightness, grays, tmp_path / "few", quantize="int8", calibration=few)
    assert list(tmp_path.iterdir()) == []
