"""Features and neighbours against closed forms: of a network whose features are mean colours, and of a trained one."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.pipeline import views_of
from kerascnn.evaluation import Embedding, KerasPredictor, embed, naming, open_predictor
from kerascnn.evaluation.embedding_images import neighbours_figure
from kerascnn.export import deployable
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, refused

SIZE = 8
COLOURS = {"red.png": (250, 0, 0), "orange.png": (250, 125, 0), "blue.png": (0, 0, 200), "dark red.png": (50, 0, 0)}


def mean_colours(dense=True, nested=False, crop_fraction=1.0):
    """Mean colours from 0 to 1 of what is shown, classified by a dense layer or by none."""
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = Preprocessing((3,), std=255.0, crop_fraction=crop_fraction, name="preprocessing")(pixels)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dense:
        x = keras.layers.Dense(3, name="fc")(keras.layers.Dropout(0.5, name="dropout")(x))
    model = keras.Model(pixels, keras.layers.Softmax(name="softmax")(x), name="colours")
    if nested:
        pixels = keras.Input((SIZE, SIZE, 3))
        model = keras.Model(pixels, model(pixels))
    return keras.Model(model.inputs, ClassLabels(["a", "b", "c"], name="labels")(model.outputs[0]), name="colours")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The network in every form, and two that do not end in a dense layer."""
    folder = tmp_path_factory.mktemp("models")
    mean_colours().save(folder / "colours.keras")
    write_saved_model(mean_colours(), folder / "colours")
    write_tflite(mean_colours(), folder / "colours.tflite")
    mean_colours(dense=False).save(folder / "bare.keras")
    write_saved_model(mean_colours(dense=False), folder / "bare")
    return folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 30), colour).save(folder / name)
    return folder


@pytest.mark.parametrize("form", ["colours.keras", "colours"])
def test_features_are_what_the_dense_layer_is_given(models, images, form):
    embedding = embed(open_predictor(models / form), [images])
    assert [path.name for path in embedding.paths] == sorted(COLOURS)
    assert embedding.features.dtype == np.float32
    expected = np.array([COLOURS[path.name] for path in embedding.paths]) / 255
    np.testing.assert_allclose(embedding.features, expected, atol=1e-6)


def test_images_are_cut_as_for_evaluation(tmp_path):
    image = np.full((32, 48, 3), (0, 255, 0), "uint8")
    image[4:28, 12:36] = (255, 0, 0)
    Image.fromarray(image).save(tmp_path / "red centre.png")
    [whole] = embed(mean_colours(), [tmp_path]).features
    [centre] = embed(mean_colours(crop_fraction=0.5), [tmp_path]).features
    # The central square is 32 x 32, 24 x 24 of it red; its central 16 x 16 are red, as what is blurred into them is.
    np.testing.assert_allclose(whole, [0.5625, 0.4375, 0], atol=0.012)
    np.testing.assert_allclose(centre, [1, 0, 0], atol=1e-5)


def test_a_network_inside_another_is_looked_into(images):
    [red] = embed(mean_colours(nested=True), [images / "red.png"]).features
    np.testing.assert_allclose(red, [250 / 255, 0, 0], atol=1e-6)


def test_a_trained_network(tiny_digits_run, photographs, tmp_path):
    places = [photographs / kind / f"{number}.jpg" for kind in ("lying", "standing") for number in range(3)]
    embedding = embed(tiny_digits_run.model, places)
    assert embedding.features.shape == (6, 8)
    # Its classifier makes of the features the probabilities that it gives.
    kernel, bias = next(
        layer for layer in tiny_digits_run.model.layers[::-1] if isinstance(layer, keras.layers.Dense)
    ).get_weights()
    scores = np.exp(embedding.features.astype(float) @ kernel + bias)
    expected = KerasPredictor(tiny_digits_run.model).probabilities(views_of(list(map(read_image, places)), 32, 1.0))
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), expected, atol=1e-5)
    write_saved_model(deployable(tiny_digits_run.model), tmp_path / "exported")
    exported = embed(open_predictor(tmp_path / "exported"), places)
    # The exported form has batch normalization worked into its convolutions.
    np.testing.assert_allclose(exported.features, embedding.features, rtol=1e-4, atol=1e-4)


def test_many_images_are_read_once_each(tmp_path, monkeypatch):
    count = 2 * naming.BATCH + 3
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 255)).save(tmp_path / f"{number:02}.png")
    read = []
    monkeypatch.setattr(naming, "read_image", lambda path: read.append(path) or read_image(path))
    embedding = embed(mean_colours(), [tmp_path])
    assert read == list(embedding.paths) == sorted(tmp_path.iterdir())
    np.testing.assert_allclose(255 * embedding.features[:, 0], np.arange(count), atol=2e-4)


def test_a_damaged_image(images):
    (images / "cut.png").write_bytes((images / "red.png").read_bytes()[:40])
    with mentioning(InputError, "cut.png", "cannot be read"):
        embed(mean_colours(), [images])
    told = []
    embedding = embed(mean_colours(), [images], told.append)
    assert [path.name for path in embedding.paths] == sorted(COLOURS)
    assert len(told) == 1 and "cut.png cannot be read" in str(told[0])
    with mentioning(InputError, "no image"):
        embed(mean_colours(), [images / "cut.png"], told.append)


def hand_made():
    rows = [[1, 0], [0, 0], [0, -3], [1, 1], [5, 0], [-2, 0]]
    return Embedding(tuple(Path(f"{number}.png") for number in range(len(rows))), np.array(rows, "float32"))


def test_neighbours_by_cosine():
    found = hand_made().nearest(0, 9)
    # Lengths do not count; what is zero and what is at a right angle are equally far, and stay in their order.
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


def test_the_image_has_a_row_a_image(images):
    embedding = embed(mean_colours(), [images])
    figure = neighbours_figure(embedding, [0, 3], "alike", k=2)
    tiles = [axes for axes in figure.axes if axes.images]
    colours = [tuple(axes.images[0].get_array()[100, 100]) for axes in tiles]
    names = [axes.get_title().split("/")[1] for axes in tiles]
    # Dark red points where red does; blue is at a right angle to all others.
    assert names[:1] == ["blue.png"]
    assert names[3:] == ["red.png", "dark red.png", "orange.png"]
    assert colours == [COLOURS[name] for name in names]
    assert [axes.get_title().split()[0] for axes in tiles[4:]] == ["1.000", "0.894"]
    assert tiles[0].get_position().y0 > tiles[3].get_position().y0


def test_command(models, images, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (images / "cut.png").write_bytes(b"not an image")
    outcome = command(
        "embed", models / "colours", "images", "--neighbours", "seen/alike.png", "--of", images / "red.png",
        "--nearest", 2, "--json",
    )  # fmt: skip
    assert outcome.status == 1
    told, last = outcome.err.splitlines()
    assert last == "kerascnn: 1 of the files cannot be read and are left out."
    done = json.loads(outcome.out)
    [alike] = done.pop("neighbours").pop("of")
    assert done == {
        "model": str(models / "colours"),
        "file": "features.npz",
        "images": 4,
        "dimensions": 3,
        "skipped": [told.removeprefix("kerascnn: ")],
    }
    assert alike["image"] == "images/red.png"
    assert [one["image"] for one in alike["nearest"]] == ["images/dark red.png", "images/orange.png"]
    assert [one["similarity"] for one in alike["nearest"]] == pytest.approx([1, 1 / 1.25**0.5], abs=1e-6)
    with Image.open("seen/alike.png") as image:
        # Three images in one row.
        assert image.format == "PNG" and image.width > 2 * image.height
    with np.load("features.npz") as stored:
        assert set(stored) == {"features", "paths"}
        assert stored["features"].dtype == np.float32
        assert list(stored["paths"]) == [f"images/{name}" for name in sorted(COLOURS)]


def test_what_is_printed(models, images, tmp_path, command):
    outcome = command("embed", models / "colours.keras", images, "--to", tmp_path / "f.npz")
    assert (outcome.status, outcome.out) == (0, f"4 images, 3 features each: {tmp_path}/f.npz\n")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("{models}/missing {images}", ["no model", "{models}/missing"]),
        ("{models}/colours.keras {images}/missing.png", ["no file", "{images}/missing.png"]),
        ("{models}/colours.keras {images}/notes.txt", ["notes.txt", "not an image"]),
        ("{models}/colours.keras {images} --to features.npy", ["--to", ".npz", "features.npy"]),
        ("{models}/colours.keras {images} --neighbours a.gif", ["--neighbours", ".png", "a.gif"]),
        ("{models}/colours.keras {images} --to folder.npz", ["--to", "folder.npz", "folder"]),
        ("{models}/colours.keras {images} --nearest 0", ["--nearest", "at least 1", "'0'"]),
        ("{models}/colours.keras {images} --nearest 3", ["--nearest", "--neighbours"]),
        ("{models}/colours.keras {images} --of a.png", ["--of", "--neighbours"]),
        ("{models}/colours.keras {images} --neighbours a.png --of b.png", ["--of b.png", "4 images"]),
        ("{models}/colours.tflite {images}", ["colours.tflite", "TFLite", "features"]),
        ("{models}/bare.keras {images}", ["bare.keras", "dense layer"]),
        ("{models}/bare {images}", ["bare", "dense layer"]),
    ],
)
def test_a_mistake_is_one_sentence(arguments, parts, models, images, tmp_path, command, monkeypatch):
    (images / "notes.txt").write_text("no image")
    (tmp_path / "here" / "folder.npz").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    places = {"models": models, "images": images}
    outcome = command("embed", *[word.format(**places) for word in arguments.split()])
    refused(outcome, *[part.format(**places) for part in parts])
    assert outcome.out == ""
    # Both where all is skipped that there is.
    assert len(set(outcome.err.splitlines())) == 1 and outcome.err.startswith("kerascnn: ")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["folder.npz"]


def test_one_image_has_no_neighbours(models, images, tmp_path, command):
    arguments = "embed", models / "colours.keras", images / "red.png", "--to", tmp_path / "f.npz", "--neighbours"
    outcome = command(*arguments, tmp_path / "alike.png")
    assert outcome.out == ""
    refused(outcome, "red.png", "neighbours")
