"""Which images an evaluation scores: splits, sources that were not trained on, classes that are not known."""

import json
import shutil
import unicodedata

import numpy as np
import pytest
import yaml
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data import LabeledImages, load_labeled
from kerascnn.evaluation import KerasPredictor, evaluate
from kerascnn.evaluation.class_matching import match_classes
from kerascnn.evaluation.metrics import by_class, calibration, majority_baseline, most_confused
from kerascnn.evaluation.study import ensemble
from kerascnn.evaluation.trained_on import trained_images
from support.images import landscape
from support.messages import mentioning, names, refused
from support.networks import pixel_model

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("theirs", "ours", "numbers", "unknown", "respelled"),
    [
        (["a", "b"], ["b", "a"], [1, 0], (), ()),
        (["c", "a"], ["b", "a"], [2, 1], ("c",), ()),
        ([DECOMPOSED], ["a", COMPOSED], [1], (), ()),
        (["cat", "DOG"], ["Dog", "Cat"], [1, 0], (), (("cat", "Cat"), ("DOG", "Dog"))),
        # An equal name comes first, whatever else is like it.
        (["Cat", "cat"], ["cat", "Cat"], [1, 0], (), ()),
        (["cat"], ["CAT", "cat"], [1], (), ()),
    ],
)
def test_classes_are_matched_by_name(theirs, ours, numbers, unknown, respelled):
    found = match_classes(theirs, ours, "holdout")
    assert (found.numbers.tolist(), found.unknown, found.respelled) == (numbers, unknown, respelled)
    assert found.class_names == (*ours, *unknown)


@pytest.mark.parametrize(
    ("theirs", "ours", "parts"),
    [
        (["cat", "CAT"], ["Cat", "Dog"], ["holdout", "'cat' and 'CAT'", "'Cat'"]),
        ([COMPOSED, DECOMPOSED], [COMPOSED, "a"], ["holdout", COMPOSED, DECOMPOSED]),
        (["cat"], ["Cat", "CAT"], ["holdout", "'cat'", "'Cat' or 'CAT'"]),
    ],
)
def test_classes_that_may_be_two_are_refused(theirs, ours, parts):
    with mentioning(InputError, *parts):
        match_classes(theirs, ours, "holdout")


def reds(values, labels, class_names, **more):
    """Images whose red is the class that `pixel_model` predicts, times ten."""
    images = np.zeros((len(values), 8, 8, 3), np.uint8)
    images[..., 0] = 10 * np.array(values)[:, None, None]
    return LabeledImages("reds", "reds", class_names, data.ArrayExamples(images, np.array(labels)), **more)


def test_unknown_classes_count_as_wrong_or_are_left_out():
    # The model knows a, b, c. Of three images of a and b, two are correct; two more are of the unknown x.
    images = reds([0, 1, 0, 2, 2], [0, 1, 1, 2, 2], ("a", "b", "x"))
    predictor = KerasPredictor(pixel_model(["a", "b", "c"]))
    counted = evaluate(predictor, images)
    assert (counted.class_names, counted.unknown) == (("a", "b", "c", "x"), ("x",))
    assert counted.correct() == 2 and len(counted.labels) == 5
    # With three classes, a known one is among the first three for certain; an unknown one never is.
    assert [counted.correct(k) for k in (2, 3, 5)] == [3, 3, 3]
    assert counted.confusion().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0]]
    assert by_class(counted)[3].recall == 0 and most_confused(counted)[0].true == "x"
    assert 0 < calibration(counted).error < 1
    # It cannot say "x"; of what it can say, "b" is the most frequent.
    assert (majority_baseline(counted).name, majority_baseline(counted).correct) == ("b", 2)
    assert ensemble([counted, counted]).unknown == ("x",)
    left = evaluate(predictor, images, unknown="skip")
    assert (left.class_names, left.unknown, len(left.labels)) == (("a", "b", "c"), (), 3)
    assert left.correct() == 2
    with mentioning(InputError, "'wrong'", "'skip'", "'drop'"):
        evaluate(predictor, images, unknown="drop")


@pytest.mark.parametrize("unknown", ["wrong", "skip"])
def test_a_model_that_knows_none_of_the_classes(unknown):
    with mentioning(InputError, "none of the classes", "reds", "'x', 'y'", "3 classes", "'a', 'b', 'c'"):
        evaluate(KerasPredictor(pixel_model(["a", "b", "c"])), reds([0, 1], [0, 1], ("x", "y")), unknown=unknown)


def test_splits_of_a_data_set():
    parts = {split: reds([0] * count, [0, 1] * (count // 2), ("a", "b")).examples for split, count in SIZES.items()}
    whole = data.DataSet("pets", "pets", ("a", "b"), **parts)
    counts = {split: len(LabeledImages.of(whole, split).examples) for split in ("all", *SIZES)}
    assert counts == {**SIZES, "all": 12}
    assert LabeledImages.of(whole, "test").counted == "2 test images of 12"
    assert LabeledImages.of(whole).counted == "12 images"
    assert evaluate(KerasPredictor(pixel_model(["a", "b"])), LabeledImages.of(whole, "test")).accuracy() == 0.5
    without = data.DataSet("pets", "pets", ("a", "b"), parts["training"], parts["validation"])
    with mentioning(InputError, "no test images", "training (6)", "validation (4)", "where there are no others"):
        LabeledImages.of(without, "test")


SIZES = {"training": 6, "validation": 4, "test": 2}


@pytest.fixture
def measure(tiny_stripes_run, command):
    """Evaluates the run on a source; returns the metrics and what was said."""

    def run(source, *arguments):
        ended = command("evaluate", tiny_stripes_run.folder.path, "--data", source, "--json", *arguments)
        assert ended.status == 0, ended.err
        return json.loads(ended.out), ended.err

    return run


def test_all_of_a_source_that_was_not_trained_on(measure, holdout):
    metrics, said = measure(holdout)
    assert (metrics["images"], metrics["available_images"], metrics["split"]) == (10, 10, "all")
    names(said, "scored: 10 images", "the model was trained on another source", "--split")
    assert "also in the data" not in said and metrics["trained_images"] == 0
    assert metrics["majority_class"]["class"] == "lying" and metrics["majority_class"]["accuracy"] == 0.6
    # As the source would be split for a training.
    metrics, said = measure(holdout, "--split", "validation")
    assert metrics["images"] < 10 and metrics["available_images"] == 10
    names(said, f"scored: {metrics['images']} validation images of 10")


def test_the_own_data_are_held_out_as_in_the_training(measure, photographs):
    loaded = data.load(photographs)
    metrics, said = measure(photographs)
    assert (metrics["images"], metrics["split"]) == (len(loaded.validation), "validation")
    names(said, f"scored: {len(loaded.validation)} validation images of 40", "trained on these data", "--split")
    metrics, said = measure(photographs, "--split", "all")
    assert (metrics["images"], metrics["trained_images"]) == (40, len(loaded.training))
    names(said, f"{len(loaded.training)} images are also in the data", "accuracies are too high")


def test_copies_of_training_images_are_noticed(measure, holdout, photographs):
    for number, path in enumerate(data.load(photographs).training.paths[:3]):
        shutil.copy(path, holdout / path.split("/")[-2] / f"copy{number}.jpg")
    metrics, said = measure(holdout)
    assert (metrics["images"], metrics["trained_images"]) == (13, 3)
    names(said, "3 images are also in the data", "accuracies are too high")


def test_images_that_look_like_training_images_are_noticed(tiny_stripes_run, tmp_path):
    for number in range(6):
        folder = tmp_path / "scenes" / ("lying" if number % 2 else "standing")
        folder.mkdir(parents=True, exist_ok=True)
        landscape(number).save(folder / f"{number}.png")
    scenes, run = data.load(tmp_path / "scenes"), trained_on(tiny_stripes_run, tmp_path / "scenes", tmp_path / "run")
    (tmp_path / "holdout" / "lying").mkdir(parents=True)
    with Image.open(scenes.training.paths[0]) as image:
        image.resize((80, 80)).save(tmp_path / "holdout" / "lying" / "smaller.jpg", quality=60)
    landscape(100).save(tmp_path / "holdout" / "lying" / "other.png")
    shutil.copy(scenes.validation.paths[0], tmp_path / "holdout" / "lying")
    images = load_labeled(tmp_path / "holdout")
    assert (len(images.examples), trained_images(run, images)) == (3, 1)
    assert trained_images(tmp_path, images) == 0


def trained_on(run, source, copy):
    """A copy of the run's folder that says that it was trained on another source."""
    shutil.copytree(run.folder.path, copy)
    values = yaml.safe_load((copy / "recipe.yaml").read_text())
    values["data"]["source"] = str(source)
    (copy / "recipe.yaml").write_text(yaml.safe_dump(values))
    return copy


@pytest.mark.parametrize("at", ["holdout/one", "holdout/one/lying"], ids=["a class folder", "its images alone"])
def test_a_source_of_one_class(at, measure, holdout, tmp_path):
    shutil.copytree(holdout / "lying", holdout / "one" / "lying")
    # Without the model's classes, these names would be two classes.
    for number, name in enumerate(("a1", "a2", "b1", "b2", "b3", "b4")):
        (holdout / "one" / "lying" / f"new{number}.jpg").rename(holdout / "one" / "lying" / f"{name}.jpg")
    metrics, said = measure(tmp_path / at)
    assert (metrics["images"], metrics["class_names"]) == (6, ["lying", "standing"])
    assert metrics["majority_class"] is None
    names(said, "6 images of 1 class (lying)", "recognized")
    assert load_labeled(tmp_path / at, class_names=("Lying", "Standing")).class_names == ("lying",)


def test_what_cannot_be_opened_beside_images_of_one_class(holdout):
    (holdout / "lying" / "gone.jpg").symlink_to("nowhere.jpg")
    loaded = load_labeled(holdout / "lying", class_names=("lying", "standing"))
    assert (len(loaded.examples), [file.path for file in loaded.skipped]) == (6, ["gone.jpg"])


def test_unknown_classes_are_named(measure, holdout, command, tiny_stripes_run):
    shutil.copytree(holdout / "standing", holdout / "flying")
    (holdout / "lying").rename(holdout / "Lying")
    metrics, said = measure(holdout)
    assert (metrics["images"], metrics["unknown_classes"], metrics["left_out"]) == (14, ["flying"], {})
    names(said, "1 class that the model does not know, 'flying' (4)", "4 images count as wrong", "--unknown skip")
    names(said, "'Lying' is the model's 'lying'")
    metrics, said = measure(holdout, "--unknown", "skip")
    assert (metrics["images"], metrics["unknown_classes"], metrics["left_out"]) == (10, [], {"flying": 4})
    names(said, "'flying' (4)", "left out")
    shown = command("evaluate", tiny_stripes_run.folder.path, "--data", holdout, "--unknown", "skip")
    names(shown.out, "10 images of 14", "always saying 'lying'")


def test_a_test_split_is_reachable(measure, holdout, photographs, tiny_stripes_run, command, tmp_path):
    for split, first in (("train", 0), ("val", 10), ("test", 15)):
        for kind in ("lying", "standing"):
            (tmp_path / "split" / split / kind).mkdir(parents=True)
            for number in range(first, first + 5):
                shutil.copy(
                    photographs / kind / f"{number}.jpg", tmp_path / "split" / split / kind / f"{kind}{number}.jpg"
                )
    # A class that no training image has.
    shutil.copytree(holdout / "standing", tmp_path / "split" / "test" / "flying")
    metrics, _ = measure(tmp_path / "split", "--split", "test")
    assert (metrics["images"], metrics["available_images"], metrics["unknown_classes"]) == (14, 34, ["flying"])
    assert measure(tmp_path / "split")[0]["images"] == 34
    assert measure(tmp_path / "split", "--split", "train")[0]["images"] == 10
    # The same for a run that was trained on it: its test images are scored, for they are the last word.
    shown = command("evaluate", trained_on(tiny_stripes_run, tmp_path / "split", tmp_path / "run"))
    names(shown.err, "scored: 14 test images of 34", "'flying' (4)")
    assert shown.status == 0
    refused(command("evaluate", tiny_stripes_run.folder.path, "--split", "test"), "no test images", "validation")


def test_a_model_of_unknown_origin(tiny_stripes_run, photographs, command, tmp_path):
    model = shutil.copy(tiny_stripes_run.folder.model_file, tmp_path / "model.keras")
    shown = command("evaluate", model, "--data", photographs, "--json")
    assert json.loads(shown.out)["images"] == 40
    names(shown.err, "nothing beside", "model.keras", "--split validation")


def test_comparisons_have_the_same_choices(tiny_stripes_run, holdout, command, tmp_path):
    other = shutil.copytree(tiny_stripes_run.folder.path, tmp_path / "other")
    arguments = (tiny_stripes_run.folder.path, other, "--data", holdout, "--split", "all", "--json")
    assert json.loads(command("compare-runs", *arguments).out)["images"] == 10
