"""Every exported format in its real runtime, compared with the model."""

import json
import zipfile
from collections import Counter

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

import kerascnn
import kerascnn.export.exporter as exporter
from kerascnn import InputError, data
from kerascnn.applications import GoogLeNet
from kerascnn.evaluation import KerasPredictor, Predictor, evaluate, open_predictor
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.evaluation.trained_on import was_trained_on
from kerascnn.export import Tolerance, deployable, export
from kerascnn.export.file_measurements import operations_of
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, names

PUBLISHED = {"saved_model", "labels.txt", "model_card.md", "verification.json"}


@pytest.fixture(scope="module")
def digits_export(digits_run, few_digits, tmp_path_factory):
    origin = yaml.safe_load(digits_run.folder.recipe_file.read_text())
    folder = tmp_path_factory.mktemp("digits") / "saved_models" / "resnet20-digits"
    return export(digits_run.folder.model_file, few_digits, folder, origin=origin)


@pytest.fixture(scope="module")
def googlenet_export(googlenet_run, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes") / "googlenet-stripes"
    return export(googlenet_run.model, data.load(photographs), folder)


def predictors(exported):
    return [open_predictor(exported.folder), open_predictor(exported.folder / f"{exported.folder.name}.tflite")]


@pytest.mark.slow
def test_what_is_published(digits_export):
    assert {entry.name for entry in digits_export.folder.iterdir()} == PUBLISHED | {"resnet20-digits.tflite"}
    assert (digits_export.folder / "labels.txt").read_text() == "".join(f"{digit}\n" for digit in range(10))
    assert [entry.name for entry in digits_export.folder.parent.iterdir()] == ["resnet20-digits"]
    card = (digits_export.folder / "model_card.md").read_text()
    assert "He et al., Deep Residual Learning" in card
    assert "160 training images" in card


@pytest.mark.slow
def test_every_format_equals_the_model(digits_run, few_digits, digits_export):
    images = few_digits.validation.images.astype("float32")
    expected = np.asarray(digits_run.model(images))
    for predictor in predictors(digits_export):
        assert predictor.metadata == ModelMetadata(tuple("0123456789"), 32, 1.0)
        np.testing.assert_allclose(predictor.probabilities(images), expected, atol=1e-5)


@pytest.mark.slow
def test_a_mixed_precision_model_is_exported_in_float32_without_its_heads(googlenet_run, photographs, googlenet_export):
    flat = deployable(googlenet_run.model)
    assert {layer.compute_dtype for layer in flat.layers} == {"float32"}
    assert not any("aux" in layer.name for layer in flat.layers)
    images = np.random.default_rng(0).uniform(0, 255, (3, 72, 72, 3)).astype("float32")
    expected = np.asarray(flat(images))
    rounded = KerasPredictor(googlenet_run.model).probabilities(images)
    np.testing.assert_allclose(rounded, expected, atol=0.05)
    for predictor in predictors(googlenet_export):
        np.testing.assert_allclose(predictor.probabilities(images), expected, atol=1e-4)


@pytest.fixture
def passes(monkeypatch):
    """How often each kind of predictor is run on several images, by its format."""
    counted = Counter()
    run = Predictor.probabilities

    def counting(self, images):
        counted[self.kind, self.pixel_type] += len(images) > 1
        return run(self, images)

    monkeypatch.setattr(Predictor, "probabilities", counting)
    return counted


@pytest.mark.parametrize("known", [False, True])
def test_every_form_sees_the_images_once(brightness, grays, tmp_path, passes, known):
    scores = evaluate(brightness, grays) if known else None
    passes.clear()
    wanted = {"formats": ["tflite", "keras"], "quantize": ["none", "float16"], "scores": scores}
    results = export(brightness, grays, tmp_path / "mine", **wanted).verification.results
    once = [("Keras file", "float32"), ("TFLite", "float32"), ("TFLite float16", "uint8")]
    # The file that takes integers is compared with the network on rounded pixels.
    assert +passes == Counter([*once, ("Keras", "uint8"), *[("Keras", "float32")] * (not known)])
    assert results[0].max_difference == results[0].mean_difference == 0


def test_what_was_loaded_is_exported(brightness, grays, tmp_path):
    brightness.save(tmp_path / "light.keras")
    first, second = kerascnn.load(brightness), kerascnn.load(tmp_path / "light.keras")
    sizes = [
        export(loaded, grays, tmp_path / "mine", formats="keras").verification.results[0].size_bytes
        for loaded in (first, second, second.predictor)
    ]
    assert sizes == [None, *[(tmp_path / "light.keras").stat().st_size] * 2]
    exported = tmp_path / "mine" / "mine.keras"
    for again in (exported, kerascnn.load(exported)):
        with mentioning(InputError, "mine.keras is an exported file", "run folder"):
            export(again, grays, tmp_path / "again")
    for other in (5, None, ["light.keras"]):
        with mentioning(InputError, type(other).__name__, "Keras model"):
            export(other, grays, tmp_path / "again")


def test_a_16_bit_network_is_measured_in_float32_too(grays, tmp_path, passes):
    pixels = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    # No layer has this type, only the result of an operation.
    rounded = keras.ops.cast(keras.ops.cast(mean, "bfloat16"), "float32")
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", kernel_initializer="ones")(rounded))
    export(model, grays, tmp_path / "mine", formats="tflite", class_names=("dark", "light"))
    assert passes["Keras", "float32"] == 2


@pytest.mark.slow
def test_heads_do_not_take_space(googlenet_export):
    lite = googlenet_export.folder / "googlenet-stripes.tflite"
    # 5,975,602 parameters of GoogLeNet with two classes, 4 bytes each, and the graph.
    assert 23.9e6 < lite.stat().st_size < 24.2e6


@pytest.mark.slow
def test_heads_leave_nothing_behind(googlenet_run, tmp_path):
    """The file of a GoogLeNet trained with heads is that of one built without, in size and in every operation."""
    trained = googlenet_run.model
    pixels = keras.Input((72, 72, 3), name="pixels")
    preprocessing, labels = (
        type(layer).from_config(layer.get_config()) for layer in map(trained.get_layer, ("preprocessing", "labels"))
    )
    network = GoogLeNet(input_tensor=preprocessing(pixels), classes=2)
    built = keras.Model(pixels, labels(network.output), name=trained.name)
    assert "aux_4a_fc1" not in {layer.name for layer in built.layers}
    # A file holds equal constants once, and new biases are all equal.
    for layer in built.layers:
        layer.set_weights(trained.get_layer(layer.name).get_weights())
    for name, model in (("trained", trained), ("built", built)):
        write_tflite(deployable(model), tmp_path / f"{name}.tflite")
    trained, built = tmp_path / "trained.tflite", tmp_path / "built.tflite"
    assert trained.stat().st_size <= built.stat().st_size
    assert operations_of(trained).counts == operations_of(built).counts


@pytest.mark.slow
def test_deployable_does_not_change_the_model(googlenet_run):
    before = [np.asarray(weight) for weight in googlenet_run.model.weights]
    flat = deployable(googlenet_run.model)
    flat.set_weights([np.zeros(weight.shape) for weight in flat.weights])
    for ours, theirs in zip(before, googlenet_run.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert set(googlenet_run.model.output) == {"main", "aux_4a", "aux_4d"}


@pytest.mark.slow
def test_tflite_uses_builtin_operations_and_lists_its_labels(digits_export):
    from ai_edge_litert.interpreter import Interpreter

    path = digits_export.folder / "resnet20-digits.tflite"
    with zipfile.ZipFile(path) as extras:
        assert set(extras.namelist()) == {"labels.txt", "kerascnn.json"}
        assert extras.testzip() is None
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    [details] = interpreter.get_input_details()
    assert details["shape"].tolist() == [1, 32, 32, 3]
    operations = {operation["op_name"] for operation in interpreter._get_ops_details()} - {"DELEGATE"}
    assert "CONV_2D" in operations
    assert not any(name.startswith(("Flex", "CUSTOM")) for name in operations)


@pytest.mark.slow
def test_an_exported_file_knows_its_training_data_without_naming_them(digits_export, digits_run, command):
    origin = yaml.safe_load(digits_run.folder.recipe_file.read_text())
    assert origin["data"]["source"] == "digits"
    for name in ("resnet20-digits.tflite", "saved_model"):
        assert was_trained_on(digits_export.folder / name, "digits") is True
        assert was_trained_on(digits_export.folder / name, "holdout") is False
    assert was_trained_on(digits_export.folder.parent, "digits") is None
    shown = command("evaluate", digits_export.folder / "resnet20-digits.tflite", "--data", "digits", "--limit", 200)
    assert shown.status == 0
    names(shown.err, "scored: 40 validation images of 200", "trained on these data")


@pytest.mark.slow
def test_an_export_for_other_data_is_run_on_all_of_them(digits_run, few_digits, command, tmp_path):
    # Of one class: enough to compare files with, though not to train.
    (tmp_path / "holdout" / "3").mkdir(parents=True)
    for number in np.flatnonzero(few_digits.training.labels == 3)[:5]:
        Image.fromarray(few_digits.training.images[number]).save(tmp_path / "holdout" / "3" / f"{number}.png")
    arguments = ("--data", tmp_path / "holdout", "--formats", "tflite", "--to", tmp_path / "digits", "--json")
    ended = command("export", digits_run.folder.path, *arguments)
    assert ended.status == 0, ended.err
    assert [row["images"] for row in json.loads(ended.out)["results"]] == [5, 5]


@pytest.mark.slow
def test_verification_measures_the_whole_split(digits_export, few_digits):
    written = json.loads((digits_export.folder / "verification.json").read_text())
    assert written["failures"] == []
    assert [row["format"] for row in written["results"]] == ["Keras", "SavedModel", "TFLite"]
    for row in written["results"]:
        assert row["images"] == row["agreement"] == len(few_digits.validation) == 40
        assert row["accuracy"] == written["results"][0]["accuracy"]
        assert row["max_difference"] < 1e-4
        assert row["latency_ms"] > 0
    sizes = {row["format"]: row["size_bytes"] for row in written["results"]}
    assert sizes["TFLite"] == (digits_export.folder / "resnet20-digits.tflite").stat().st_size
    assert sizes["Keras"] > sizes["TFLite"] > 4 * 269_722


@pytest.mark.slow
def test_an_export_with_other_probabilities_is_not_published(brightness, grays, tmp_path, monkeypatch):
    def write_wrong(graphs, path, *quantization, **options):
        """A file whose last bias was changed."""
        wrong = keras.models.clone_model(graphs.model)
        wrong.set_weights(graphs.model.get_weights())
        bias = wrong.get_layer("fc").bias
        bias.assign(bias + np.array([0.0, 10.0]))
        right(wrong, path, *quantization, **options)

    right = exporter.write_tflite
    folder = export(brightness, grays, tmp_path / "grays").folder
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    monkeypatch.setattr(exporter, "write_tflite", write_wrong)
    result = export(brightness, grays, folder)
    assert result.folder is None
    # A dark image is 1 / (1 + e^1.99) = 0.12 light, and 1 / (1 + e^-8.01) = 1.00 in the file.
    [failure] = result.verification.failures
    names(failure, "TFLite", "0.88")
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.slow
def test_nan_fails(brightness, grays, tmp_path, monkeypatch):
    from kerascnn.evaluation import TFLitePredictor

    monkeypatch.setattr(
        TFLitePredictor, "probabilities", lambda self, images: np.full((len(images), 2), np.nan, "float32")
    )
    result = export(brightness, grays, tmp_path / "broken")
    assert result.folder is None
    assert "nan" in result.verification.failures[0]


@pytest.mark.slow
def test_the_mean_difference_is_from_the_trained_model(grays, tmp_path):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = keras.layers.Flatten(name="flat")(Preprocessing(std=255.0, name="preprocessing")(pixels))
    x = keras.layers.Dense(2, dtype="mixed_bfloat16", name="fc")(x)
    labels = ClassLabels(["dark", "light"], name="labels")
    model = keras.Model(pixels, labels(keras.layers.Softmax(name="softmax")(x)), name="rounded")
    assert (
        export(model, grays, tmp_path / "usual", tolerance=Tolerance(max_mismatch_rate=1.0)).verification.failures == []
    )
    strict = Tolerance(max_mean_difference=1e-9)
    result = export(model, grays, tmp_path / "strict", tolerance=strict)
    assert len(result.verification.failures) == 2
    names(result.verification.failures[0], "on average", "1e-09")


@pytest.mark.slow
def test_an_earlier_export_is_replaced_whole(brightness, grays, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "stale.tflite").write_text("")
    export(brightness, grays, folder)
    assert {entry.name for entry in folder.iterdir()} == PUBLISHED | {"mine.tflite"}


def test_targets_that_cannot_be_written(brightness, grays, tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with mentioning(InputError, target):
            export(brightness, grays, target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
