"""The command `kerascnn predict`, with a network whose output is the softmax of the mean of each color."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kerascnn import InputError
from kerascnn.evaluation import open_predictor, prediction
from kerascnn.evaluation.model_digests import KEY
from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.saved_model import write_saved_model
from kerascnn.export.tflite import write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.messages import mentioning, names, refused
from support.servers import FileServer, serving

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
# Probability of the image's color, e / (e + 1 + 1), and of another.
OWN, OTHER = 0.576117, 0.211942


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    pixels = keras.Input((8, 8, 3), name="pixels")
    scaled = Preprocessing((3,), std=255.0, name="preprocessing")(pixels)
    means = keras.layers.GlobalAveragePooling2D(name="pool")(scaled)
    labels = ClassLabels(list(COLORS), name="labels")(keras.layers.Softmax(name="softmax")(means))
    model = keras.Model(pixels, labels, name="colors")
    model.save(folder / "colors.keras")
    write_saved_model(model, folder / "colors")
    write_tflite(model, folder / "colors.tflite")
    return folder


@pytest.fixture
def images(tmp_path):
    """Three images in nested folders, and files that are not images."""
    folder = tmp_path / "images"
    for name, color in (("a/b/1.png", "blue"), ("a/2.JPG", "green"), ("c.webp", "red")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), COLORS[color]).save(folder / name, lossless=True)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("ignored")
    return folder


EXPECTED = {"a/2.JPG": "green", "a/b/1.png": "blue", "c.webp": "red"}


@pytest.mark.parametrize("file", ["colors.keras", "colors", "colors.tflite"])
def test_a_folder_with_every_format(models, images, command, file):
    outcome = command("predict", models / file, images, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    predicted = json.loads(outcome.out)
    assert outcome.out == json.dumps(predicted, indent=2) + "\n"
    best = [(item["image"], item["top"][0]["label"]) for item in predicted]
    assert best == [(str(images / path), color) for path, color in EXPECTED.items()]
    for item in predicted:
        # JPEG changes pure green.
        assert [entry["probability"] for entry in item["top"]] == pytest.approx([OWN, OTHER, OTHER], abs=3e-3)


@pytest.mark.slow
def test_exported_files_are_run_without_tensorflow(models, images):
    """What `kerascnn predict` does in a process of its own imports nothing that takes seconds."""
    write_onnx(keras.models.load_model(models / "colors.keras"), models / "colors.onnx")
    program = """
import contextlib, sys
from kerascnn.cli import main
for arguments in (["predict", "--csv", "--top", "1"], ["embed"]):
    for model in sys.argv[2:]:
        with contextlib.suppress(SystemExit):
            main([*arguments, model, sys.argv[1]])
print(*{name.partition(".")[0] for name in sys.modules})
"""
    files = [images, models / "colors.tflite", models / "colors.onnx"]
    ended = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, timeout=60)
    *rows, imported = ended.stdout.splitlines()
    assert [row.split(",")[2] for row in rows] == ["label", *EXPECTED.values()] * 2, ended.stderr
    assert {"ai_edge_litert", "onnxruntime", "numpy", "PIL"} < set(imported.split())
    # They give no features, which is said at once.
    assert [line.count("no features") for line in ended.stderr.splitlines()] == [1, 1]
    heavy = {"tensorflow", "keras", "jax", "torch", "sklearn", "scipy", "pandas", "matplotlib", "pydantic"}
    assert not heavy & set(imported.split())


def test_predictions_are_in_the_order_of_the_arguments(models, images, command):
    given = [images / "c.webp", images / "a", images / "c.webp"]
    outcome = command("predict", models / "colors.tflite", *given, "--top", 1, "--csv")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [row["label"] for row in rows] == ["red", "green", "blue", "red"]
    assert list(rows[0]) == ["image", "rank", "label", "probability"]
    assert [row["probability"] for row in rows[::3]] == [f"{OWN:.6f}"] * 2


def test_csv_has_one_line_per_class(models, images, command):
    rows = command("predict", models / "colors.tflite", images, "--top", 2, "--csv").out.splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["1", "2"] * 3


def test_unreadable_files_are_reported_and_skipped(models, images, command):
    (images / "b.jpg").write_bytes((images / "a" / "2.JPG").read_bytes()[:200])
    (images / "z.png").symlink_to("nowhere")
    outcome = command("predict", models / "colors.tflite", images, "--json")
    assert outcome.status == 1
    assert [Path(item["image"]).name for item in json.loads(outcome.out)] == ["2.JPG", "1.png", "c.webp"]
    *reported, last = outcome.err.splitlines()
    assert len(reported) == 2
    link, damaged = sorted(reported, key=lambda line: "b.jpg" in line)
    names(damaged, f"{images}/b.jpg")
    names(link, f"{images}/z.png", "link")
    names(last, "kerascnn: ", " 2 ")


def test_tables_of_many(models, tmp_path, command):
    for number in range(70):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / f"{number:02}.png")
    shown = command("predict", models / "colors.tflite", tmp_path, "--top", 1).out
    assert (shown.count("57.61%"), shown.count("probability")) == (70, 2)


def test_few_images_are_in_memory(models):
    read = []

    def images():
        for number in range(200):
            read.append(number)
            yield prediction.LoadedImage(Path(f"{number}.png"), np.zeros((8, 8, 3), "uint8"))

    predicted = prediction.predictions(open_predictor(models / "colors.tflite"), images())
    for number in range(200):
        assert next(predicted).path == Path(f"{number}.png")
        assert len(read) <= number + prediction.BATCH + 1
    assert next(predicted, None) is None


def test_a_progress_bar_does_not_change_results(models, images, command, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr("kerascnn.console.messages", lambda: Console(file=terminal, force_terminal=True, width=80))
    outcome = command("predict", models / "colors.tflite", images, "--json")
    assert len(json.loads(outcome.out)) == 3
    assert "Predicting" in terminal.getvalue()
    assert "label" not in terminal.getvalue()


def test_truncated_file(models, images, tmp_path, command):
    whole = (models / "colors.tflite").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.tflite").write_bytes(whole[:length])
        outcome = command("predict", tmp_path / "cut.tflite", images)
        assert (outcome.status, outcome.out) == (2, "")
        refused(outcome, f"{tmp_path}/cut.tflite", "TFLite file", "incomplete" if length else "empty")
        assert outcome.err.count("\n") == 1


def test_file_that_is_not_a_classifier(models, images, tmp_path, command):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32), tf.TensorSpec((1, 2), tf.float32)])
    def total(x, y):
        return x + y

    path = tmp_path / "total.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([total.get_concrete_function()]).convert())
    refused(command("predict", path, images), "labels.txt")
    with zipfile.ZipFile(models / "colors.tflite") as extras, zipfile.ZipFile(path, "a") as added:
        added.writestr(LABELS_FILE, extras.read(LABELS_FILE))
        metadata = {name: value for name, value in json.loads(extras.read(METADATA_FILE)).items() if name != KEY}
        added.writestr(METADATA_FILE, json.dumps(metadata))
    outcome = command("predict", path, images)
    refused(outcome, path, "3 classes", "(1, 2), (1, 2), (1, 2)", "(8, 8, 3)", "(3,)")
    assert outcome.err.count("\n") == 1


def test_nothing_to_predict(models, images, tmp_path, command):
    (tmp_path / "empty").mkdir()
    refused(command("predict", models / "colors.tflite", tmp_path / "empty"), tmp_path / "empty", "no images")
    outcome = command("predict", models / "colors.tflite", images / "notes.txt")
    refused(outcome, "notes.txt")
    assert outcome.err.count("\n") == 1 and outcome.out == ""
    outcome = command("predict", models / "colors.tflite", images / "notes.txt", images / "notes.txt")
    refused(outcome, "none", "2 files")
    assert outcome.out == ""
    outcome = command("predict", models / "colors.tflite", images, "--csv", "--json")
    refused(outcome, "--json", "--csv")
    with mentioning(InputError, tmp_path / "missing"):
        prediction.image_files([tmp_path / "missing"], print)


def test_equal_probabilities_stay_in_the_order_of_the_classes(models, tmp_path, command):
    Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / "gray.png")
    rows = command("predict", models / "colors.tflite", tmp_path / "gray.png", "--csv").out.splitlines()[1:]
    assert [row.split(",")[1:] for row in rows] == [[str(n), c, "0.333333"] for n, c in enumerate(COLORS, start=1)]


def test_urls_globs_and_standard_input(models, images, command, monkeypatch):
    with serving(FileServer()) as server:
        server.files["c.webp"] = (images / "c.webp").read_bytes()
        url = server.url("c.webp")
        outcome = command("predict", models / "colors.tflite", url, f"{images}/*/*.JPG", "--json")
    assert [item["top"][0]["label"] for item in json.loads(outcome.out)] == ["red", "green"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((images / "c.webp").read_bytes())))
    outcome = command("predict", models / "colors.tflite", "-", "--csv", "--top", 1)
    assert outcome.out.splitlines()[1].startswith("-,1,red,")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"no image")))
    refused(command("predict", models / "colors.tflite", "-"), "-", "not an image")


OWN_OUTPUTS = [
    ("run", "a run", ["recipe.yaml", "history.csv", "curves.png"]),
    ("exported", "an export", ["verification.json", "model_card.md", "card.png"]),
    ("report", "an evaluation report", ["metrics.json", "report.html", "roc.png"]),
    ("maps", "explanations", ["filters.png", "cat.png", "cat/01-conv1.png"]),
]


@pytest.mark.parametrize(("folder", "kind", "files"), OWN_OUTPUTS)
def test_own_outputs_among_images_are_left_out(models, images, command, folder, kind, files):
    for file in files:
        written = images / "a" / folder / file
        written.parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".png"):
            Image.new("RGB", (8, 8)).save(written)
        else:
            written.touch()
    for given, found in [
        (images, EXPECTED),
        (f"{images}/**/*.*[gGp]", EXPECTED),
        (f"{images}/a/*/*.png", ["a/b/1.png"]),
    ]:
        outcome = command("predict", models / "colors.tflite", given, "--json")
        assert [item["image"] for item in json.loads(outcome.out)] == [f"{images}/{name}" for name in found]
        assert (outcome.status, outcome.err.count("\n")) == (0, 1)
        names(outcome.err, f"{images}/a/{folder} ", kind)
    # One that is named is read, if it is a file.
    assert command("predict", models / "colors.tflite", images / "a" / folder / files[-1]).status == 0
    refused(command("predict", models / "colors.tflite", images / "a" / folder), images / "a" / folder)
    (images / "a" / "2.JPG").rename(images / "2.JPG")
    (images / "a" / "b" / "1.png").rename(images / "1.png")
    assert "except" in command("predict", models / "colors.tflite", images / "a").err
    refused(
        command("predict", models / "colors.tflite", f"{images}/a/*/*.png"), f"{images}/a/*/*.png", "kerascnn wrote"
    )


def test_a_name_that_is_neither_a_model_nor_a_network(images, command):
    refused(command("predict", "resnet51", images), "resnet51", "resnet50")
