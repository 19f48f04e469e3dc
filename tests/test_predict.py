"""`kerascnn predict`, with a network whose answers are known: softmax of the mean of each colour."""

import csv
import io
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kerascnn import InputError
from kerascnn.evaluation import naming, open_predictor
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, names, refused

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
FORMS = ["colours.keras", "colours", "colours.tflite"]
# Of its own colour: e / (e + 1 + 1).
OWN, OTHER = 0.576117, 0.211942


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    pixels = keras.Input((8, 8, 3), name="pixels")
    means = keras.layers.GlobalAveragePooling2D(name="pool")(
        Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    )
    labels = ClassLabels(list(COLOURS), name="labels")(keras.layers.Softmax(name="softmax")(means))
    model = keras.Model(pixels, labels, name="colours")
    model.save(folder / "colours.keras")
    write_saved_model(model, folder / "colours")
    write_tflite(model, folder / "colours.tflite")
    return folder


@pytest.fixture
def images(tmp_path):
    """Three images at three depths, and files that are none."""
    folder = tmp_path / "images"
    for place, colour in (("a/b/1.png", "blue"), ("a/2.JPG", "green"), ("c.webp", "red")):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), COLOURS[colour]).save(folder / place, lossless=True)
    (folder / "notes.txt").write_text("no image, and not called one")
    (folder / ".hidden.png").write_text("not looked at")
    return folder


EXPECTED = {"a/2.JPG": "green", "a/b/1.png": "blue", "c.webp": "red"}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_with_every_form(models, images, command, form):
    outcome = command("predict", models / form, images, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    named = json.loads(outcome.out)
    assert outcome.out == json.dumps(named, indent=2) + "\n"
    assert {item["image"]: item["top"][0]["label"] for item in named} == {
        str(images / path): colour for path, colour in EXPECTED.items()
    }
    assert [item["image"] for item in named] == sorted(item["image"] for item in named)
    for item in named:
        # JPEG does not keep pure green.
        assert [entry["probability"] for entry in item["top"]] == pytest.approx([OWN, OTHER, OTHER], abs=3e-3)


def test_order_is_that_of_the_arguments(models, images, command):
    given = [images / "c.webp", images / "a", images / "c.webp"]
    outcome = command("predict", models / "colours.tflite", *given, "--top", 1, "--csv")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [row["label"] for row in rows] == ["red", "green", "blue", "red"]
    assert list(rows[0]) == ["image", "rank", "label", "probability"]
    assert [row["probability"] for row in rows[::3]] == [f"{OWN:.6f}"] * 2


def test_csv_has_a_line_a_class(models, images, command):
    rows = command("predict", models / "colours.tflite", images, "--top", 2, "--csv").out.splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["1", "2"] * 3


def test_what_cannot_be_read_is_told_and_skipped(models, images, command):
    (images / "b.jpg").write_bytes((images / "a" / "2.JPG").read_bytes()[:200])
    (images / "z.png").symlink_to("nowhere")
    outcome = command("predict", models / "colours.tflite", images, "--json")
    assert outcome.status == 1
    assert [Path(item["image"]).name for item in json.loads(outcome.out)] == ["2.JPG", "1.png", "c.webp"]
    *told, last = outcome.err.splitlines()
    assert len(told) == 2
    link, damaged = sorted(told, key=lambda line: "b.jpg" in line)
    names(damaged, f"{images}/b.jpg")
    names(link, f"{images}/z.png", "link")
    names(last, "kerascnn: 2 ")


def test_tables_of_many(models, tmp_path, command):
    for number in range(70):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / f"{number:02}.png")
    shown = command("predict", models / "colours.tflite", tmp_path, "--top", 1).out
    assert shown.count("57.61%") == 70
    assert shown.count("probability") == 2


def test_only_few_images_are_held(models):
    read = []

    def images():
        for number in range(200):
            read.append(number)
            yield naming.LoadedImage(Path(f"{number}.png"), np.zeros((8, 8, 3), "uint8"))

    named = naming.predictions(open_predictor(models / "colours.tflite"), images())
    for number in range(200):
        assert next(named).path == Path(f"{number}.png")
        assert len(read) <= number + naming.BATCH + 1
    assert next(named, None) is None


def test_a_progress_bar_leaves_results_alone(models, images, command, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr("kerascnn.console.messages", lambda: Console(file=terminal, force_terminal=True, width=80))
    outcome = command("predict", models / "colours.tflite", images, "--json")
    assert len(json.loads(outcome.out)) == 3
    assert "Naming" in terminal.getvalue()
    assert "label" not in terminal.getvalue()


def test_cut_off_file(models, images, tmp_path, command):
    whole = (models / "colours.tflite").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.tflite").write_bytes(whole[:length])
        outcome = command("predict", tmp_path / "cut.tflite", images)
        assert (outcome.status, outcome.out) == (2, "")
        refused(outcome, f"{tmp_path}/cut.tflite", "TFLite file", "incomplete")
        assert outcome.err.count("\n") == 1


def test_file_that_is_no_classifier(models, images, tmp_path, command):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32), tf.TensorSpec((1, 2), tf.float32)])
    def total(x, y):
        return x + y

    path = tmp_path / "total.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([total.get_concrete_function()]).convert())
    refused(command("predict", path, images), "labels.txt")
    with zipfile.ZipFile(models / "colours.tflite") as extras, zipfile.ZipFile(path, "a") as added:
        for name in extras.namelist():
            added.writestr(name, extras.read(name))
    outcome = command("predict", path, images)
    refused(outcome, path, "3 classes", "(1, 2), (1, 2), (1, 2)", "(1, 8, 8, 3)", "(1, 3)")
    assert outcome.err.count("\n") == 1


def test_nothing_to_name(models, images, tmp_path, command):
    (tmp_path / "empty").mkdir()
    refused(command("predict", models / "colours.tflite", tmp_path / "empty"), tmp_path / "empty", "no images")
    outcome = command("predict", models / "colours.tflite", images / "notes.txt")
    refused(outcome, "notes.txt")
    assert outcome.err.count("\n") == 1 and outcome.out == ""
    outcome = command("predict", models / "colours.tflite", images / "notes.txt", images / "notes.txt")
    refused(outcome, "none", "2 files")
    assert outcome.out == ""
    outcome = command("predict", models / "colours.tflite", images, "--csv", "--json")
    refused(outcome, "--json", "--csv")
    with mentioning(InputError, tmp_path / "missing"):
        naming.image_files([tmp_path / "missing"], print)


def test_equal_probabilities_stay_in_the_order_of_the_classes(models, tmp_path, command):
    Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / "grey.png")
    rows = command("predict", models / "colours.tflite", tmp_path / "grey.png", "--csv").out.splitlines()[1:]
    assert [row.split(",")[1:] for row in rows] == [[str(n), c, "0.333333"] for n, c in enumerate(COLOURS, start=1)]
