"""The metadata of `.tflite` files, read back by the published schema and used by MediaPipe."""

import zipfile

import numpy as np
import pytest

from kerascnn.evaluation import TFLitePredictor
from kerascnn.evaluation.predictors import ModelMetadata, model_metadata_of
from kerascnn.export import deployable
from kerascnn.export.metadata import ModelDescription, tflite_metadata, with_metadata
from kerascnn.export.tflite import QUANTIZATIONS, pixel_type, write_tflite


def network_of(path):
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(path.read_bytes(), 0)


def metadata_of(path):
    """The ModelMetadata in a file, by the classes that flatc made of the schema for MediaPipe."""
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    model = network_of(path)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    [entry] = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    contents = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(contents, 0)
    return schema, schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(contents, 0))


def test_the_threshold_of_a_multi_label_model():
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    contents = tflite_metadata(ModelDescription("tags"), ModelMetadata(("fog", "sea"), 32, 1.0, threshold=0.25))
    found = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(contents, 0))
    [probabilities] = found.subgraphMetadata[0].outputTensorMetadata
    [unit] = probabilities.processUnits
    assert unit.optionsType == schema.ProcessUnitOptions.ScoreThresholdingOptions
    assert unit.options.globalScoreThreshold == 0.25
    assert "any number" in probabilities.description.decode()


def test_every_field(digits_files):
    schema, found = metadata_of(digits_files / "none.tflite")
    assert (found.name, found.description.decode()) == (b"digits", "Ten digits, größer als sie waren.")
    assert (found.author, found.license, found.minParserVersion) == (b"A. Nonymous", b"MIT", b"1.0.0")
    [graph] = found.subgraphMetadata
    [pixels] = graph.inputTensorMetadata
    [probabilities] = graph.outputTensorMetadata
    assert (pixels.name, probabilities.name) == (b"pixels", b"probabilities")
    assert pixels.content.contentPropertiesType == schema.ContentProperties.ImageProperties
    image = pixels.content.contentProperties
    assert (image.colorSpace, image.defaultSize.width, image.defaultSize.height) == (
        schema.ColorSpaceType.RGB, 32, 32,
    )  # fmt: skip
    [unit] = pixels.processUnits
    assert unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    assert (list(unit.options.mean), list(unit.options.std)) == ([0], [1])
    assert (list(pixels.stats.min), list(pixels.stats.max)) == ([0], [255])
    assert probabilities.content.contentPropertiesType == schema.ContentProperties.FeatureProperties
    assert (list(probabilities.stats.min), list(probabilities.stats.max)) == ([0], [1])
    [labels] = probabilities.associatedFiles
    assert (labels.name, labels.type) == (b"labels.txt", schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    assert [file.name for file in found.associatedFiles] == [b"kerascnn.json"]
    with zipfile.ZipFile(digits_files / "none.tflite") as extras:
        assert extras.namelist() == ["labels.txt", "kerascnn.json"]
        # Readers on phones map the file into memory.
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in extras.infolist())


def test_unknown_fields_are_left_out(tiny_digits_run, tmp_path):
    model = deployable(tiny_digits_run.model)
    write_tflite(model, tmp_path / "digits.tflite")
    _, found = metadata_of(tmp_path / "digits.tflite")
    assert found.name.decode() == model.name
    assert (found.description, found.author, found.license) == (None, None, None)


@pytest.mark.parametrize("length", [0, 1, 7, 15])
def test_the_network_is_unchanged_whatever_its_length(tiny_digits_run, length):
    import tensorflow as tf
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
    def double(x):
        return x * tf.constant([[2.0, 3.0]])

    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()])
    network = converter.convert() + bytes(length)
    metadata = tflite_metadata(ModelDescription("x" * length), model_metadata_of(tiny_digits_run.model))
    front, back = with_metadata(network, metadata)
    # Weights stay where they are within 16 bytes, and so do the metadata, as the schema asks.
    assert back.startswith(network) and len(front) % 16 == len(back) % 16 == (front + back).index(metadata) % 16 == 0
    before, after = (schema.ModelT.InitFromObj(schema.Model.GetRootAs(part, 0)) for part in (network, front + back))
    assert after.buffers[-1].data.tobytes() == metadata
    assert after.metadata[-1].buffer == len(before.buffers)
    assert [entry.name for entry in after.metadata[:-1]] == [entry.name for entry in before.metadata]
    assert (after.version, after.description) == (before.version, before.description)
    interpreter = Interpreter(model_content=front + back)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32([[5, 7]]))
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), [[10, 21]])


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_signature_names_what_the_metadata_describe(digits_files, quantization):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(digits_files / f"{quantization}.tflite"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["pixels"], "outputs": ["probabilities"]}}
    [pixels] = interpreter.get_input_details()
    expected = "float32" if quantization == "none" else "uint8"
    assert np.dtype(pixels["dtype"]).name == expected == pixel_type(quantization)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_mediapipe_reads_the_file(digits_files, few_digits, quantization):
    """Top-1 and probability of images of the input's size, which MediaPipe does not resize."""
    import mediapipe
    from mediapipe.tasks.python import vision

    base = mediapipe.tasks.BaseOptions(model_asset_path=str(digits_files / f"{quantization}.tflite"))
    images = few_digits.validation.images[:20]
    expected = TFLitePredictor(digits_files / f"{quantization}.tflite").probabilities(images.astype("float32"))
    with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base)) as classifier:
        for image, row in zip(images, expected, strict=True):
            for_mediapipe = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
            [head] = classifier.classify(for_mediapipe).classifications
            assert head.head_name == "probabilities"
            found = {int(category.category_name): category.score for category in head.categories}
            np.testing.assert_allclose([found[number] for number in range(10)], row, atol=1e-3)
            assert head.categories[0].score == max(found.values())
