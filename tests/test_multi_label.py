"""Images with any number of classes, from a table to the exported files: one small training that all tests share."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import InputError, data, training
from kerascnn.cli import main
from kerascnn.evaluation import load, open_predictor
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.evaluation.scores import evaluate
from kerascnn.training import Recipe
from kerascnn.training.resolution import task_of
from support.messages import mentioning
from support.pages import Page, arguments_of, run_line
from support.tiny_training import tiny_networks

pytestmark = pytest.mark.slow

COLORS = ("blue", "green", "red")
CHANNELS = {"red": 0, "green": 1, "blue": 2}

PAGE = Page("docs/multilabel.md")

# What is added to the page's training: a small network, and few images that it learns in a moment.
TRAIN = (
    "--model resnet20 --image-size 16 --epochs 12 --batch-size 8 --precision float32 --class-weights balanced "
    "--set optimizer.learning_rate=0.1 --set augmentation.pad=0 --set schedule.warmup_epochs=0"
)


def image_of(names, seed):
    """Noise, bright in the channels of the named colors."""
    pixels = np.random.default_rng(seed).integers(0, 60, (16, 16, 3), dtype=np.uint8)
    for name in names:
        pixels[..., CHANNELS[name]] += 150
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 64 images, and a table with every combination of three tags eight times; and one image more."""
    place = tmp_path_factory.mktemp("tags")
    (place / "planet").mkdir()
    combinations = [[name for bit, name in enumerate(COLORS) if number >> bit & 1] for number in range(8)] * 8
    for number, names in enumerate(combinations):
        image_of(names, number).save(place / "planet" / f"{number}.png")
    with (place / "planet" / "labels.csv").open("w", newline="") as file:
        rows = [
            [f"{number}.png", *(int(name in names) for name in COLORS)] for number, names in enumerate(combinations)
        ]
        csv.writer(file).writerows([["image", *COLORS], *rows])
    image_of(["red", "blue"], 100).save(place / "beach.png")
    return place


def printed_by(place, subcommand, more):
    """What the page's line of a subcommand, with more arguments, prints on standard output and standard error."""
    [line] = [line for line in PAGE.lines() if line.split()[1] == subcommand]
    out, err = io.StringIO(), io.StringIO()
    redirected = contextlib.redirect_stderr(err), contextlib.redirect_stdout(out)
    with contextlib.chdir(place), redirected[0], redirected[1], tiny_networks(), pytest.raises(SystemExit) as ended:
        main([*arguments_of(line), *more.split()])
    assert ended.value.code == 0, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def trained(place):
    return printed_by(place, "train", TRAIN)


@pytest.fixture(scope="module")
def exported(run, place):
    """The folder of the page's export, and its measurements by format."""
    printed, _ = printed_by(place, "export", "--formats savedmodel,tflite,onnx --quantize none,int8 --json")
    results = {result["format"]: result for result in json.loads(printed)["results"]}
    return place / "saved_models" / "planet-0.3", results


@pytest.fixture(scope="module")
def run(trained, place):
    [folder] = (place / "runs").iterdir()
    return training.RunFolder.open(folder)


@pytest.fixture(scope="module")
def loaded(place):
    return data.load(place / "planet")


@pytest.fixture(scope="module")
def scores(run, loaded):
    return evaluate(open_predictor(run.path), loaded)


def test_what_is_printed(trained):
    printed, errors = trained
    assert "tags from 3 columns of 0 and 1 (blue, green, red) of labels.csv" in errors
    assert "sigmoid, binary cross-entropy" in errors
    for part in ("micro F1", "val mAP", "the same probabilities for every image have"):
        assert part in errors
    assert "mAP" in printed and "top-1" not in printed


def test_the_page(run, place, command, monkeypatch):
    monkeypatch.chdir(place)
    # Fixtures run the others.
    for line in PAGE.lines():
        if line.split()[1] not in ("train", "export"):
            run_line(command, line)
    assert (place / "reports" / "planet" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore:arrays. images have several classes")
def test_the_code_of_the_page(run, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    images = np.arange(10 * 48).reshape(10, 4, 4, 3).astype("uint8")
    hot = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0], *[[1, 0, 1]] * 4, *[[0, 1, 0]] * 3])
    lists = [["fog", "sun"]] * 4 + [["sea"]] * 3
    PAGE.run({"images": images, "more": lists, "tags_as_0_and_1": hot}, block=0)
    assert capsys.readouterr().out.startswith("True [")
    PAGE.run(block=1)
    assert "'red'" in capsys.readouterr().out


def test_the_data_decide_and_the_recipe_records_it(run, loaded, digits):
    recipe, *_ = run.read_recipe()
    assert recipe.task == "multi-label"
    with mentioning(InputError, "multi-label", "digits", "single-label", "auto"):
        task_of(recipe, digits)
    assert training.resolved(Recipe.for_model("resnet20"), digits).task == "single-label"
    assert task_of(Recipe(), loaded) == "multi-label"


def test_the_last_epoch_measures_what_the_evaluation_measures(run, scores):
    from sklearn.metrics import average_precision_score, f1_score

    last = run.history()[-1]
    expected = average_precision_score(scores.labels, scores.probabilities, average="macro")
    assert last["val_map"] == pytest.approx(expected, rel=1e-6)
    assert last["val_microf1"] == pytest.approx(f1_score(scores.labels, scores.predictions, average="micro"))
    assert last["val_macrof1"] == pytest.approx(f1_score(scores.labels, scores.predictions, average="macro"))
    assert "map" not in last
    assert last["val_map"] > 0.9
    [best] = run.checkpoints.glob("best-epoch-*.keras")
    maps = [row["val_map"] for row in run.history()]
    assert best.stem == f"best-epoch-{np.argmax(maps) + 1:04d}"
    assert {path.name for path in run.path.glob("*.png")} == {"curves.png", "thresholds.png"}


def test_tensorboard_has_the_metrics(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for folder in ("validation", "train"):
        events = EventAccumulator(str(run.path / folder)).Reload()
        found[folder] = set(events.Tags()["tensors"])
    assert {"epoch/mAP", "epoch/micro F1", "epoch/macro F1", "epoch/loss"} <= found["validation"]
    assert {"epoch/micro F1", "epoch/macro F1"} <= found["train"]


def test_predict_prints_the_classes_above_the_threshold(run, tmp_path, command):
    image_of(["red", "blue"], 99).save(tmp_path / "both.png")
    image_of([], 101).save(tmp_path / "none.png")
    outcome = command("predict", run.path, tmp_path / "both.png", tmp_path / "none.png", "--json")
    both, none = json.loads(outcome.out)
    assert {found["label"] for found in both["top"]} == {"red", "blue"}
    assert all(found["probability"] >= 0.5 for found in both["top"])
    assert none["top"] == []
    [all_classes] = json.loads(command("predict", run.path, tmp_path / "both.png", "--threshold", 0, "--json").out)
    assert [found["label"] for found in all_classes["top"]][2:] == ["green"]
    assert len(json.loads(command("predict", run.path, tmp_path / "both.png", "--top", 1, "--json").out)[0]["top"]) == 1
    lines = command("predict", run.path, tmp_path / "none.png", "--csv").out.splitlines()
    assert lines == ["image,rank,label,probability", f"{tmp_path / 'none.png'},,,"]
    assert "–" in command("predict", run.path, tmp_path / "none.png").out


def test_evaluate_reports_every_class(run, scores, tmp_path, command):
    report = tmp_path / "report"
    outcome = command("evaluate", run.path, "--threshold", 0.3, "--crops", "1,10", "--report", report, "--json")
    measured = json.loads(outcome.out)
    assert (measured["threshold"], measured["class_names"]) == (0.3, list(COLORS))
    assert [row["crops"] for row in measured["rows"]] == ["1 crop", "10 crops"]
    assert measured["rows"][0]["map"] == pytest.approx(scores.mean_average_precision())
    assert {"average_precision", "precision", "recall", "f1"} < measured["classes"][0].keys()
    page = (report / "report.html").read_text()
    assert "Labels at the threshold 0.3" in page and "Confusion" not in page
    with (report / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(scores.labels)
    assert float(rows[0]["probability of red"]) == pytest.approx(scores.probabilities[0, 2], abs=1e-6)
    assert rows[0]["labels"] == "|".join(scores.names_of(scores.labels[0]))
    shown = command("evaluate", run.path).out
    assert "average precision" in shown and "micro F1 is greatest at" in " ".join(shown.split())


def test_runs_of_tags_are_not_compared_by_top_1(run, command):
    outcome = command("compare-runs", run.path, run.path)
    assert outcome.status == 2
    assert "mAP" in outcome.err and "evaluate" in outcome.err


def test_every_format_predicts_the_same_classes(exported):
    files, results = exported
    assert set(results) == {"Keras", "SavedModel", "TFLite", "TFLite int8", "ONNX"}
    assert results["TFLite"]["agreement"] == 3 * results["Keras"]["images"]
    assert results["TFLite"]["accuracy"] == pytest.approx(results["Keras"]["accuracy"])
    pixels = np.asarray(image_of(["green"], 200))
    for file in ("saved_model", "planet-0.3.tflite", "planet-0.3-int8.tflite", "planet-0.3.onnx"):
        model = load(files / file)
        assert model.predictor.metadata.threshold == 0.3
        assert [label for label, _ in model.predict(pixels)[0].top] == ["green"]
    card = (files / "model_card.md").read_text()
    assert "multi-label" in card and "| mAP |" in card and "at least 0.3" in card
    contents = io.BytesIO()
    image_of(["green"], 200).save(contents, "PNG")
    serve = tf.saved_model.load(str(files / "saved_model")).signatures["serve_bytes"]
    labels = serve(tf.constant([contents.getvalue()]))["labels"].numpy()[0]
    assert labels[0] == b"green" and len(labels) == 3


def test_mediapipe_returns_the_classes_above_the_threshold(exported):
    import mediapipe
    from mediapipe.tasks.python import vision

    file = exported[0] / "planet-0.3.tflite"
    base = mediapipe.tasks.BaseOptions(model_asset_path=str(file))
    with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base)) as classifier:
        for names in (["red"], ["green", "blue"], []):
            pixels = np.ascontiguousarray(image_of(names, 500))
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            [head] = classifier.classify(image).classifications
            [expected] = open_predictor(file).probabilities(pixels[None].astype("float32"))
            found = {category.category_name for category in head.categories}
            assert found == {name for name, share in zip(COLORS, expected, strict=True) if share >= 0.3}
            assert set(names) <= found and len(found) < 3


def test_features_and_heatmaps(run):
    model = load(run.path)
    pixels = np.asarray(image_of(["red"], 300))
    assert model.embed(pixels).features.shape == (1, 8)
    assert model.explain(pixels, top=1)[0].classes[0].label == "red"


def test_one_class_per_image_is_another_task(run, digits):
    with mentioning(InputError, "any number of classes", "one class per image", "digits"):
        evaluate(open_predictor(run.path), digits)
    with mentioning(InputError, "one class per image", "threshold"):
        ModelMetadata(("cat", "dog"), 16, 1.0).with_threshold(0.5)
