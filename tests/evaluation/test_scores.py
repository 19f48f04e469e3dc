"""Scores, plots and predictors."""

import shutil
import zipfile
from functools import partial

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.evaluation import KerasPredictor, Scores, evaluate, open_predictor
from kerascnn.evaluation.predictors import METADATA_FILE, ModelMetadata
from kerascnn.evaluation.run_report import report_run
from kerascnn.export.keras_file import write_keras
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.training import RunFolder
from support.messages import mentioning
from support.networks import pixel_model


def scores(rows, labels, classes="abcdefg"):
    probabilities = np.zeros((len(rows), len(classes)), "float32")
    for number, order in enumerate(rows):
        for rank, column in enumerate(order):
            probabilities[number, column] = 1 / (rank + 2)
    return Scores(tuple(classes), np.array(labels), probabilities)


def test_accuracies_by_hand():
    order = [[0, 1, 2, 3, 4, 5, 6]] * 4
    measured = scores(order, [0, 1, 4, 5])
    assert measured.accuracy() == 0.25
    assert measured.accuracy(2) == 0.5
    assert measured.accuracy(5) == 0.75
    assert measured.accuracy(7) == 1.0


def test_confusions_by_hand():
    measured = scores([[0], [1], [1], [2]], [0, 0, 1, 1], classes="abc")
    np.testing.assert_array_equal(measured.confusion(), [[1, 1, 0], [0, 1, 1], [0, 0, 0]])


def red_data(reds, labels, class_names):
    images = np.zeros((len(reds), 8, 8, 3), np.uint8)
    images[..., 0] = np.array(reds)[:, None, None]
    examples = data.ArrayExamples(images, np.array(labels))
    return data.DataSet("reds", "reds", class_names, examples, examples)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_every_image_counts_once_for_any_batch(count):
    labels = np.arange(count) % 3
    wrong = np.arange(count) % 7 == 0
    reds = 10 * np.where(wrong, (labels + 1) % 3, labels)
    measured = evaluate(KerasPredictor(pixel_model("abc")), red_data(reds, labels, ("a", "b", "c")))
    assert measured.accuracy() == pytest.approx(1 - wrong.sum() / count)
    assert measured.confusion().sum() == count


def test_classes_are_matched_by_name():
    predictor = KerasPredictor(pixel_model(["c", "x", "a"]))
    measured = evaluate(predictor, red_data([20, 0], [0, 1], ("a", "c")))
    assert measured.accuracy() == 1.0


@pytest.mark.parametrize("shape", [(None, None, 3), (8, None, 3), (8, 8, 2), (8,)])
def test_other_models_raise_an_error(shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(3)])
    with mentioning(InputError, "RGB or gray images of one size"):
        KerasPredictor(model)


@pytest.mark.parametrize("file", ["model.keras", "saved_model", "model.tflite"])
def test_wrong_images_are_one_sentence_in_every_format(file, tmp_path):
    """TensorFlow ended the process where a traced function got another shape."""
    model = pixel_model(["a", "b", "c"])
    write = {"model.keras": lambda path: model.save(path), "saved_model": partial(write_saved_model, model)}
    write.get(file, partial(write_tflite, model))(tmp_path / file)
    predictor = open_predictor(tmp_path / file)
    shape = predictor.metadata.image_shape
    assert predictor.probabilities(np.zeros((0, *shape))).shape == (0, 3)
    assert predictor.probabilities(np.zeros((2, *shape), "uint8")).shape == (2, 3)
    for images in (
        np.zeros((32, 32, 3), "uint8"),
        np.zeros((1, *shape[:2])),
        np.zeros((1, *shape[:2], 1)),
        np.zeros(3),
    ):
        with mentioning(InputError, tmp_path / file, images.shape, "kerascnn.load"):
            predictor.probabilities(images)
    for images in (np.zeros((1, *shape), bool), np.zeros((1, *shape), complex), np.full((1, *shape), "a")):
        with mentioning(InputError, images.dtype):
            predictor.probabilities(images)


def test_a_model_without_class_names_gets_numbers():
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert KerasPredictor(model).metadata == ModelMetadata(("class 0", "class 1"), 4, 1.0)


def test_the_main_classifier_predicts(tiny_stripes_run, photographs):
    predictor = open_predictor(tiny_stripes_run.folder.path)
    assert predictor.metadata == ModelMetadata(("lying", "standing"), 16, 0.875)
    loaded = data.load(photographs)
    measured = evaluate(predictor, loaded)
    assert measured.accuracy() == pytest.approx(tiny_stripes_run.folder.history()[-1]["val_main_top1"])


@pytest.mark.parametrize(
    ("name", "contents", "parts"),
    [
        ("model.keras", b"no zip", ["model.keras", "Keras model"]),
        ("model.tflite", b"no flatbuffer", ["model.tflite", "TFLite file"]),
        ("saved_model.pb", b"\0", ["SavedModel"]),
        ("model.h5", b"", ["model.h5", "Keras model"]),
        ("model.pt", b"", ["model.pt", ".keras or .h5 file"]),
    ],
)
def test_files_that_are_not_models(tmp_path, name, contents, parts):
    (tmp_path / name).write_bytes(contents)
    with mentioning(InputError, *parts) as raised:
        open_predictor(tmp_path if name == "saved_model.pb" else tmp_path / name)
    assert "\n" not in str(raised.value)
    with mentioning(InputError, "no model", tmp_path / "missing.keras"):
        open_predictor(tmp_path / "missing.keras")


@pytest.mark.parametrize("write", [write_keras, write_tflite])
@pytest.mark.parametrize("metadata", ["{", "[]", '{"image_size": 8, "of another version": 1}'])
def test_exported_files_with_other_metadata(tmp_path, write, metadata):
    path = tmp_path / f"model.{write.__name__.removeprefix('write_')}"
    write(pixel_model(["a", "b", "c"]), path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(METADATA_FILE, metadata)
    with mentioning(InputError, path, "file of kerascnn"):
        open_predictor(path)


@pytest.mark.parametrize("network", [b"", b"no flatbuffer", bytes(64), b"\x1c\0\0\0TFL3" + bytes(64)])
def test_tflite_files_with_a_damaged_network(tmp_path, network):
    path = tmp_path / "model.tflite"
    path.write_bytes(network)
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in ModelMetadata(("a", "b"), 8, 1.0).to_files().items():
            archive.writestr(name, text)
    with mentioning(InputError, path, "TFLite file of kerascnn"):
        open_predictor(path)


@pytest.mark.parametrize("run", ["tiny_digits_run", "tiny_stripes_run"])
def test_plots_of_a_run(run, request, photographs, few_digits, tmp_path):
    run = request.getfixturevalue(run)
    loaded = few_digits if run.recipe.model == "resnet20" else data.load(photographs)
    folder = RunFolder(shutil.copytree(run.folder.path, tmp_path / "run"))
    predictor = KerasPredictor(run.model)
    scores = evaluate(predictor, loaded)
    assert scores.accuracy() < 1
    report_run(folder, scores, "a title", loaded.validation, predictor.metadata)
    for name in ("curves.png", "confusion_matrix.png"):
        with Image.open(folder.path / name) as image:
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 300
        # A plot is neither blank nor black.
        assert np.mean(pixels < 200) > 0.001 and np.mean(pixels > 200) > 0.1 and np.mean(pixels < 10) < 0.5
    written = list((folder.path / "validation").iterdir())
    for image in (b"confusion matrix", b"most wrong predictions"):
        assert any(image in file.read_bytes() for file in written)
