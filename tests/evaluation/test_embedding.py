"""Feature vectors and neighbors, against closed forms for mean colors, and of a trained network."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.evaluation import Embedding, KerasPredictor, embed, open_predictor, prediction
from kerascnn.evaluation.embedding import neighbors_figure
from kerascnn.export import deployable
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, refused

SIZE = 8
COLORS = {"red.png": (250, 0, 0), "orange.png": (250, 125, 0), "blue.png": (0, 0, 200), "dark red.png": (50, 0, 0)}


def mean_colors(dense=True, nested=False, crop_fraction=1.0):
    """A network whose features are mean colors in [0, 1], with or without a dense layer."""
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, crop_fraction=crop_fraction, name="preprocessing")(pixels)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dense:
        x = keras.layers.Dense(3, name="fc")(keras.layers.Dropout(0.5, name="dropout")(x))
    model = keras.Model(pixels, keras.layers.Softmax(name="softmax")(x), name="colors")
    if nested:
        pixels = keras.Input((SIZE, SIZE, 3))
        model = keras.Model(pixels, model(pixels))
    return keras.Model(model.inputs, ClassLabels(["a", "b", "c"], name="labels")(model.outputs[0]), name="colors")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The network in every format, and two that do not end in a dense layer."""
    folder = tmp_path_factory.mktemp("models")
    mean_colors().save(folder / "colors.keras")
    write_saved_model(mean_colors(), folder / "colors")
    write_tflite(mean_colors(), folder / "colors.tflite")
    mean_colors(dense=False).save(folder / "bare.keras")
    write_saved_model(mean_colors(dense=False), folder / "bare")
    return folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, color in COLORS.items():
        Image.new("RGB", (20, 30), color).save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["colors.keras", "colors"])
def test_features_are_the_input_of_the_dense_layer(models, images, name):
    embedding = embed(open_predictor(models / name), [images])
    assert [path.name for path in embedding.paths] == sorted(COLORS)
    assert embedding.features.dtype == np.float32
    expected = np.array([COLORS[path.name] for path in embedding.paths]) / 255
    np.testing.assert_allclose(embedding.features, expected, atol=1e-6)


def test_images_are_cropped_as_for_evaluation(tmp_path):
    image = np.full((32, 48, 3), (0, 255, 0), "uint8")
    image[4:28, 12:36] = (255, 0, 0)
    Image.fromarray(image).save(tmp_path / "red center.png")
    [whole] = embed(mean_colors(), [tmp_path]).features
    [center] = embed(mean_colors(crop_fraction=0.5), [tmp_path]).features
    # The central square is 32 x 32, 24 x 24 of it red. Its central 16 x 16 and their neighbors are red.
    np.testing.assert_allclose(whole, [0.5625, 0.4375, 0], atol=0.012)
    np.testing.assert_allclose(center, [1, 0, 0], atol=1e-5)


def test_a_nested_network(images):
    [red] = embed(mean_colors(nested=True), [images / "red.png"]).features
    np.testing.assert_allclose(red, [250 / 255, 0, 0], atol=1e-6)


def test_a_trained_network(tiny_digits_run, photographs, tmp_path):
    paths = [photographs / kind / f"{number}.jpg" for kind in ("lying", "standing") for number in range(3)]
    embedding = embed(tiny_digits_run.model, paths)
    assert embedding.features.shape == (6, 8)
    # The classifier maps the features to the probabilities.
    kernel, bias = next(
        layer for layer in tiny_digits_run.model.layers[::-1] if isinstance(layer, keras.layers.Dense)
    ).get_weights()
    scores = np.exp(embedding.features.astype(float) @ kernel + bias)
    expected = KerasPredictor(tiny_digits_run.model).probabilities(views_of(list(map(read_image, paths)), 32, 1.0))
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), expected, atol=1e-5)
    write_saved_model(deployable(tiny_digits_run.model), tmp_path / "exported")
    exported = embed(open_predictor(tmp_path / "exported"), paths)
    # The exported model has batch normalization folded into its convolutions.
    np.testing.assert_allclose(exported.features, embedding.features, rtol=1e-4, atol=1e-4)


def test_many_images_are_read_once_each(tmp_path, monkeypatch):
    count = 2 * prediction.BATCH + 3
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 255)).save(tmp_path / f"{number:02}.png")
    read = []
    monkeypatch.setattr(prediction, "read_image", lambda path, decode: read.append(path) or read_image(path, decode))
    embedding = embed(mean_colors(), [tmp_path])
    assert read == list(embedding.paths) == sorted(tmp_path.iterdir())
    np.testing.assert_allclose(255 * embedding.features[:, 0], np.arange(count), atol=2e-4)


def test_a_damaged_image(images):
    (images / "cut.png").write_bytes((images / "red.png").read_bytes()[:40])
    with mentioning(InputError, "cut.png", "cannot be read"):
        embed(mean_colors(), [images])
    skipped = []
    embedding = embed(mean_colors(), [images], skipped.append)
    assert [path.name for path in embedding.paths] == sorted(COLORS)
    assert len(skipped) == 1 and "cut.png cannot be read" in str(skipped[0])
    with mentioning(InputError, "no image"):
        embed(mean_colors(), [images / "cut.png"], skipped.append)


def hand_made():
    rows = [[1, 0], [0, 0], [0, -3], [1, 1], [5, 0], [-2, 0]]
    return Embedding(tuple(Path(f"{number}.png") for number in range(len(rows))), np.array(rows, "float32"))


def test_neighbors_by_cosine():
    found = hand_made().nearest(0, 9)
    # Lengths do not matter. Zero and orthogonal vectors are equally far and stay in their order.
    assert [one.index for one in found] == [4, 3, 1, 2, 5]
    assert [one.similarity for one in found] == pytest.approx([1, 0.5**0.5, 0, 0, -1])
    assert found[0].path == Path("4.png")
    assert hand_made().nearest(0, 2) == found[:2]
    assert {one.similarity for one in hand_made().nearest(1)} == {0.0}
    for index, k in ((6, 1), (-1, 1), (0, 0)):
        with pytest.raises(InputError):
            hand_made().nearest(index, k)


def test_files(tmp_path):
    saved = Embedding((Path("a/é.png"), Path("b/long name.jpg")), np.array([[1.5, -2], [0, 3]], "float32"))
    saved.save(tmp_path / "new" / "features.npz")
    loaded = Embedding.load(tmp_path / "new" / "features.npz")
    assert loaded.paths == saved.paths
    assert loaded.features.dtype == np.float32
    np.testing.assert_array_equal(loaded.features, saved.features)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["features.npz"]
    with mentioning(InputError, "*.npz", tmp_path / "features.npy"):
        saved.save(tmp_path / "features.npy")
    (tmp_path / "file").touch()
    with mentioning(InputError, tmp_path / "file" / "features.npz", "cannot be written"):
        saved.save(tmp_path / "file" / "features.npz")
    np.savez(tmp_path / "other.npz", features=np.zeros((2, 2)), paths=np.array(["one"]))
    np.savez(tmp_path / "pickle.npz", features=np.zeros((1, 2)), paths=np.array([Path("one")]))
    for name in ("other.npz", "pickle.npz", "file", "missing.npz"):
        with mentioning(InputError, tmp_path / name, "features"):
            Embedding.load(tmp_path / name)


def test_the_figure_has_one_row_per_image(images):
    embedding = embed(mean_colors(), [images])
    figure = neighbors_figure(embedding, [0, 3], "similar", k=2)
    tiles = [axes for axes in figure.axes if axes.images]
    colors = [tuple(axes.images[0].get_array()[100, 100]) for axes in tiles]
    names = [axes.get_title().split("/")[1] for axes in tiles]
    # Dark red is parallel to red; blue is orthogonal to all others.
    assert names[:1] == ["blue.png"]
    assert names[3:] == ["red.png", "dark red.png", "orange.png"]
    assert colors == [COLORS[name] for name in names]
    assert [axes.get_title().split()[0] for axes in tiles[4:]] == ["1.000", "0.894"]
    assert tiles[0].get_position().y0 > tiles[3].get_position().y0


def test_command(models, images, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (images / "cut.png").write_bytes(b"not an image")
    outcome = command(
        "embed", models / "colors", "images", "--neighbors", "seen/similar.png", "--of", images / "red.png",
        "--nearest", 2, "--json",
    )  # fmt: skip
    assert outcome.status == 1
    reported, last = outcome.err.splitlines()
    assert last == "kerascnn: skipped 1 files that cannot be read."
    done = json.loads(outcome.out)
    [row] = done.pop("neighbors").pop("of")
    assert done == {
        "model": str(models / "colors"),
        "file": "features.npz",
        "images": 4,
        "dimensions": 3,
        "skipped": [reported.removeprefix("kerascnn: ")],
    }
    assert row["image"] == "images/red.png"
    assert [one["image"] for one in row["nearest"]] == ["images/dark red.png", "images/orange.png"]
    assert [one["similarity"] for one in row["nearest"]] == pytest.approx([1, 1 / 1.25**0.5], abs=1e-6)
    with Image.open("seen/similar.png") as image:
        # Three images in one row, below a title of three lines.
        assert image.format == "PNG" and image.width > 1.7 * image.height
    with np.load("features.npz") as stored:
        assert set(stored) == {"features", "paths"}
        assert stored["features"].dtype == np.float32
        assert list(stored["paths"]) == [f"images/{name}" for name in sorted(COLORS)]


def test_what_is_printed(models, images, tmp_path, command):
    outcome = command("embed", models / "colors.keras", images, "--to", tmp_path / "f.npz")
    assert (outcome.status, outcome.out) == (0, f"4 images, 3 features each: {tmp_path}/f.npz\n")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("{models}/missing {images}", ["no model", "{models}/missing"]),
        ("{models}/colors.keras {images}/missing.png", ["no file", "{images}/missing.png"]),
        ("{models}/colors.keras {images}/notes.txt", ["notes.txt", "not an image"]),
        ("{models}/colors.keras {images} --to features.npy", ["--to", ".npz", "features.npy"]),
        ("{models}/colors.keras {images} --neighbors a.gif", ["--neighbors", ".png", "a.gif"]),
        ("{models}/colors.keras {images} --to folder.npz", ["--to", "folder.npz", "folder"]),
        ("{models}/colors.keras {images} --nearest 0", ["--nearest", "at least 1", "'0'"]),
        ("{models}/colors.keras {images} --nearest 3", ["--nearest", "--neighbors"]),
        ("{models}/colors.keras {images} --of a.png", ["--of", "--neighbors"]),
        ("{models}/colors.keras {images} --neighbors a.png --of b.png", ["--of b.png", "4 images"]),
        ("{models}/colors.tflite {images}", ["colors.tflite", "TFLite", "features"]),
        ("{models}/bare.keras {images}", ["bare.keras", "dense layer"]),
        ("{models}/bare {images}", ["bare", "dense layer"]),
    ],
)
def test_user_errors_are_one_sentence(arguments, parts, models, images, tmp_path, command, monkeypatch):
    (images / "notes.txt").write_text("no image")
    (tmp_path / "here" / "folder.npz").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    values = {"models": models, "images": images}
    outcome = command("embed", *[word.format(**values) for word in arguments.split()])
    refused(outcome, *[part.format(**values) for part in parts])
    assert outcome.out == ""
    # The same error is printed twice if all files are skipped.
    assert len(set(outcome.err.splitlines())) == 1 and outcome.err.startswith("kerascnn: ")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["folder.npz"]


def test_one_image_has_no_neighbors(models, images, tmp_path, command):
    arguments = "embed", models / "colors.keras", images / "red.png", "--to", tmp_path / "f.npz", "--neighbors"
    outcome = command(*arguments, tmp_path / "similar.png")
    assert outcome.out == ""
    refused(outcome, "red.png", "neighbors")
