"""One line in Python: `kerascnn.load` of every format, and images in every form, against mean colors."""

import io
import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from test_predict import COLORS, OTHER, OWN

import kerascnn
from kerascnn import InputError
from kerascnn.applications import preprocessing, registry
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.evaluation import embed, evaluate
from kerascnn.evaluation.explanation import Explainer
from kerascnn.evaluation.image_inputs import images_of
from kerascnn.export import deployable
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning
from support.servers import FileServer, serving

FORMATS = ("colors.keras", "colors", "colors.tflite")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A network whose output is the softmax of the mean of each color, in several formats."""
    folder = tmp_path_factory.mktemp("models")
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="copy")(x)
    x = keras.layers.Dense(3, name="fc")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(pixels, ClassLabels(list(COLORS), name="labels")(keras.layers.Softmax()(x)), name="colors")
    model.get_layer("copy").set_weights([np.eye(3)[None, None]])
    model.get_layer("fc").set_weights([np.eye(3), np.zeros(3)])
    model.save(folder / "colors.keras")
    write_saved_model(model, folder / "colors")
    write_tflite(model, folder / "colors.tflite")
    return folder


@pytest.fixture(scope="module")
def model(models):
    return kerascnn.load(models / "colors.keras")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "warm").mkdir(parents=True)
    for name, color in (("warm/1.png", "red"), ("2.png", "green"), ("3.png", "blue")):
        Image.new("RGB", (20, 30), COLORS[color]).save(folder / name)
    return folder


def labels(predictions):
    return [image.top[0][0] for image in predictions]


@pytest.mark.parametrize("file", FORMATS)
def test_every_format(models, images, file):
    model = kerascnn.load(models / file)
    assert (model.class_names, model.input_size) == (tuple(COLORS), (8, 8))
    [image] = model.predict(images / "2.png", top=1)
    assert image.path == images / "2.png" and image.top == [("green", pytest.approx(OWN, abs=1e-4))]


FORMS = {
    "path": lambda path: path,
    "text": lambda path: str(path),
    "folder": lambda path: path.parent,
    "glob": lambda path: f"{path.parents[1]}/**/1.*",
    "bytes": lambda path: path.read_bytes(),
    "open file": lambda path: io.BytesIO(path.read_bytes()),
    "directory entry": lambda path: next(os.scandir(path.parent)),
    "column of paths": lambda path: np.array([str(path)]),
    "column of objects": lambda path: np.array([path], object),
    "PIL image": Image.open,
    "array": read_image,
    "image of the network's size": lambda path: read_image(path)[:8, :8],
    "array of floats": lambda path: read_image(path).astype("float64"),
    "batch": lambda path: read_image(path)[None],
    "RGBA": lambda path: np.asarray(Image.open(path).convert("RGBA")),
    "tensor": lambda path: keras.ops.convert_to_tensor(read_image(path)),
    "list": lambda path: [path],
    "generator": lambda path: (item for item in [path]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(model, images, form):
    [image] = model.predict(FORMS[form](images / "warm" / "1.png"))
    assert [label for label, _ in image.top] == ["red", "green", "blue"]
    assert [share for _, share in image.top] == pytest.approx([OWN, OTHER, OTHER], abs=1e-4)


def test_mixed_forms_stay_in_order_and_have_names(model, images):
    two, three = images / "2.png", images / "3.png"
    predicted = model.predict([three, np.zeros((2, 5, 7, 3), "uint8"), [str(two)], three.read_bytes()], top=1)
    assert [str(image.path) for image in predicted] == [str(three), "array 1", "array 2", str(two), "bytes 3"]
    assert labels(predicted[:1]) + labels(predicted[3:]) == ["blue", "green", "blue"]


def test_url(model, images):
    with serving(FileServer()) as server:
        server.files["2.png"] = (images / "2.png").read_bytes()
        [image] = model.predict(server.url("2.png"), top=1)
        assert (image.path, image.top[0][0]) == (server.url("2.png"), "green")


def test_gray_images_and_a_batch_of_none(model):
    assert [share for _, share in model.predict(np.full((9, 9), 200, "uint8"))[0].top] == [pytest.approx(1 / 3)] * 3
    for empty in (np.zeros((0, 8, 8, 3), "uint8"), [], iter(())):
        assert len(model.predict(empty)) == 0


def test_alpha_is_laid_on_white(model):
    clear = np.zeros((9, 9, 4), "uint8")
    assert [share for _, share in model.predict(clear)[0].top] == [pytest.approx(1 / 3)] * 3
    [view] = images_of(clear)
    assert view.pixels.min() == view.pixels.max() == 255


def test_endless_streams_are_read_in_batches(model):
    read = []

    def frames():
        while True:
            read.append(len(read))
            yield np.full((12, 12, 3), COLORS["green"], "uint8")

    stream = model.stream(frames(), top=1)
    assert labels(next(stream) for _ in range(40)) == ["green"] * 40
    assert len(read) <= 64


REFUSED = {
    "channels first": (np.zeros((3, 32, 32), "uint8"), r"shape \(3, 32, 32\) is no image"),
    "two channels": (np.zeros((32, 32, 2), "uint8"), r"shape \(32, 32, 2\)"),
    "five dimensions": (np.zeros((1, 1, 8, 8, 3), "uint8"), "is no image"),
    "no pixels": (np.zeros((0, 8, 3), "uint8"), "is no image"),
    "scaled": (np.linspace(0, 1, 192).reshape(8, 8, 3), "255 times"),
    "negative": (np.full((8, 8, 3), -1.0), "from -1 to -1"),
    "16 bits": (np.full((8, 8, 3), 40000, "uint16"), "from 40000 to 40000"),
    "not a number": (np.full((8, 8, 3), np.nan, "float32"), "nan"),
    "truth values": (np.ones((8, 8, 3), bool), "bool"),
    "text array": (np.array([["a"]]), "<U1"),
    "number": (3.5, "float is not an image"),
    "nothing": (None, "NoneType is not an image"),
    "dictionary": ({"image": "cat.jpg"}, "dict is not an image"),
    "empty text": ("", "empty text"),
    "blank text": (" ", "empty text"),
    "symbolic tensor": (keras.Input((8, 8, 3)), "KerasTensor is not an image"),
    "missing file": ("missing.jpg", "there is no file missing.jpg"),
    "glob of nothing": ("missing/*.jpg", r"no file matches missing/\*.jpg"),
    "too long": ("x" * 5000, "there is no file x+…"),
    "file of text": (io.StringIO("cat.jpg"), 'mode "rb"'),
    "damaged bytes": (b"not an image", "bytes 1 cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_image_is_one_sentence(model, case):
    x, reason = REFUSED[case]
    for method in (model.predict, model.embed, model.explain):
        with pytest.raises(InputError, match=reason):
            method(x)


@pytest.mark.parametrize("top", [0, -1, 2.5, "3"])
def test_the_number_of_classes_is_whole(model, top):
    for method in (model.predict, model.stream, model.explain):
        with mentioning(InputError, "top", repr(top)):
            method(np.zeros((8, 8, 3), "uint8"), top=top)


@pytest.mark.parametrize("what", [5, None, ["resnet50"], b"resnet50"])
def test_what_is_no_model_at_all(what):
    with mentioning(InputError, type(what).__name__, "Keras model"):
        kerascnn.load(what)


@pytest.mark.parametrize("name", ["x" * 5000, "runs/" + "x" * 300, "x" * 300 + ".keras"])
def test_names_that_no_file_can_have(name):
    with mentioning(InputError, "there is no model at"):
        kerascnn.load(name)


def test_table_json_and_pandas(model, images, monkeypatch):
    monkeypatch.chdir(images)
    predicted = model.predict(["2.png", "3.png"], top=2)
    table = str(predicted)
    assert table == repr(predicted)
    assert next(line.split() for line in table.splitlines() if "57.61%" in line) == ["2.png", "green", "57.61%"]
    [first, second] = json.loads(predicted.to_json())
    assert first["image"] == "2.png" and second["top"][0]["label"] == "blue"
    pandas = pytest.importorskip("pandas")
    frame = predicted.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == ["image", "rank", "label", "probability"]
    assert list(frame["rank"]) == [1, 2, 1, 2]


def test_embedding_and_explanation(model, images):
    embedding = model.embed(str(images / "2.png"))
    assert embedding.features.shape == (1, 3)
    [explained] = model.explain(images / "2.png", top=1)
    assert (explained.classes[0].label, explained.view.shape) == ("green", (8, 8, 3))
    assert len(explained.figure().axes) == 2


def test_functions_take_models_in_every_form(model, models, images):
    path, data = models / "colors.keras", kerascnn.data.load_labeled(colored(images))
    for form in (model, model.predictor, path, str(path), keras.models.load_model(path)):
        assert embed(form, images / "2.png").features.shape == (1, 3)
        assert Explainer(form).predictor.metadata.class_names == model.class_names
        assert evaluate(form, data).accuracy() == 1.0
    for function in (lambda form: embed(form, images), Explainer, lambda form: evaluate(form, data), deployable):
        with mentioning(InputError, "int is no model", "Keras model"):
            function(3)
    with mentioning(InputError, "kerascnn.data.load", "'digits'"):
        evaluate(model, "digits")


def colored(images):
    """The images in folders by their colors."""
    for file, color in (("2.png", "green"), ("3.png", "blue")):
        (images / "labeled" / color).mkdir(parents=True)
        shutil.copy(images / file, images / "labeled" / color)
    return images / "labeled"


def test_a_model_in_memory_and_what_is_no_model(models, tmp_path):
    assert kerascnn.load(keras.saving.load_model(models / "colors.keras")).class_names == tuple(COLORS)
    for name, reason in (("resnet51", "no network of that name; .*resnet50"), (tmp_path / "missing.keras", "no model")):
        with pytest.raises(InputError, match=reason):
            kerascnn.load(name)
    for arguments, reason in (
        ((models / "colors.keras", "keras"), "weights='keras' is for the name of a network"),
        (("resnet50", "imagnet"), "ResNet50 has no public weights 'imagnet'; it has 'imagenet', 'keras'"),
        (("timm/resnet50.a9_in1k",), "no public weights 'timm/resnet50.a9_in1k'; did you mean timm/resnet50.a"),
    ):
        with pytest.raises(InputError, match=reason):
            kerascnn.load(arguments[0], weights=next(iter(arguments[1:]), None))


@pytest.mark.parametrize(
    ("asked", "mode", "crop_fraction"),
    [
        (("resnet50",), "caffe", 0.875),
        (("resnet50", "torchvision"), "torch", 0.875),
        (("resnet50", "torchvision-v2"), "torch", 224 / 232),
        (("timm/resnet50.a1_in1k",), "torch", 0.95),
    ],
)
def test_public_weights_by_the_name_of_a_network(asked, mode, crop_fraction, monkeypatch, images, command):
    """A stand-in for the network shows what it gets: the mean of each color, in the scale of its weights."""

    def create(name, weights):
        assert name in ("resnet50", "ResNet50") and weights == (asked[-1] if asked != ("resnet50",) else "imagenet")
        pixels = keras.Input((8, 8, 3))
        x = keras.layers.GlobalAveragePooling2D()(pixels)
        model = keras.Model(pixels, keras.layers.ZeroPadding1D((0, 997))(keras.layers.Reshape((3, 1))(x)))
        model = keras.Model(pixels, keras.layers.Flatten()(model(pixels)), name="resnet50")
        model.preprocessing_mode = mode
        return model

    monkeypatch.setattr(registry, "create", create)
    monkeypatch.setattr(preprocessing, "imagenet_class_names", lambda: tuple(f"name {n}" for n in range(1000)))
    model = kerascnn.load(asked[0], weights=next(iter(asked[1:]), None))
    assert model.predictor.network.get_layer("preprocessing").crop_fraction == pytest.approx(crop_fraction, abs=1e-4)
    pixels = np.full((1, 8, 8, 3), COLORS["green"], "float32")
    [values] = model.predictor.probabilities(pixels)[:, :3]
    expected = {
        "caffe": np.array([0, 255, 0]) - [103.939, 116.779, 123.68],
        "torch": (np.array([0, 1, 0]) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }
    np.testing.assert_allclose(values, expected[mode], atol=2e-3)
    assert model.class_names[999] == "name 999"
    if len(asked) == 1:
        printed = command("predict", *asked, images / "2.png", "--top", 1, "--json")
        assert [[one["label"] for one in image["top"]] for image in json.loads(printed.out)] == [["name 1"]]
