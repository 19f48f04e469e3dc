"""Cross-validation: each fold once, with the mean and the standard deviation of what was measured."""

import json

import pytest

from kerascnn import InputError, data
from kerascnn.data import DataOptions
from kerascnn.experiments import runs as runs_module
from kerascnn.experiments.experiment import Arm
from kerascnn.experiments.folds import FoldRun, train_folds
from kerascnn.experiments.runs import ArmRun
from kerascnn.training import Recipe, RunConfig, RunFolder, TrainingDivergedError, TrainingInterruptedError, resolved
from kerascnn.training.checkpoints.files import Position
from support.messages import mentioning

# Of the folds, in the order of training. Mean 0.75, and deviations of -0.25, 0.05 and 0.2: their squares add up to
# 0.105, half of which is the variance of the sample.
ACCURACIES = (0.5, 0.8, 0.95)
MEAN, DEVIATION = 0.75, 0.0525**0.5


@pytest.fixture
def trainings(monkeypatch):
    """Replaces the training by one that writes what a run leaves behind; the list of the data that were trained on."""
    seen = []

    def finish(folder):
        accuracy = ACCURACIES[len(seen) - 1]
        folder.history_file.write_text(f"epoch,val_top1,val_loss\n1,0.1,9\n2,{accuracy},{1 - accuracy}\n")
        folder.model_file.write_bytes(b"")
        return type("Run", (), {"folder": folder})

    def train(recipe, images, *, runs, limit, callbacks, **options):
        seen.append(images)
        folder, facts = RunFolder.create(runs, recipe.model, images.name), {"classes": list(images.class_names)}
        facts |= {"training_images": len(images.training), "validation_images": len(images.validation)}
        folder.write_recipe(resolved(recipe, images), images.source, limit, facts, RunConfig(), images.options)
        if trainings.stop_at == len(seen):
            trainings.stop_at = None
            raise TrainingInterruptedError(folder, Position())
        if trainings.diverge_at == len(seen):
            raise TrainingDivergedError("the loss is nan after step 3 of epoch 1")
        return finish(folder)

    trainings = type("Trainings", (), {"seen": seen, "stop_at": None, "diverge_at": None})
    monkeypatch.setattr(runs_module, "train", train)
    monkeypatch.setattr(runs_module, "resume", lambda folder, *_, **__: finish(folder))
    return trainings


def folds_of(source="digits", parts=3, **options):
    return (data.load(source, options=DataOptions(fold=(part, parts)), **options) for part in range(1, parts + 1))


WORDS = ("train", "--folds", "3", "--model", "resnet20", "--epochs", "2", "--precision", "float32")


def test_the_command_reports_mean_and_standard_deviation_and_trains_no_fold_twice(command, trainings, tmp_path):
    first = command(*WORDS, "--out", tmp_path)
    assert first.status == 0, first.err
    for text in ("50.00%", "80.00%", "95.00%", f"{MEAN:.2%}", f"{DEVIATION:.2%}", "3 of 3 folds"):
        assert text in first.out
    # Together the folds hold out every image once.
    assert [images.options.fold for images in trainings.seen] == [(1, 3), (2, 3), (3, 3)]
    assert sum(len(images.validation) for images in trainings.seen) == 1797
    again = command(*WORDS, "--out", tmp_path, "--json")
    assert len(trainings.seen) == 3 and again.err.count("is trained already") == 3
    report = json.loads(again.out)
    assert report["event"] == "folds"
    assert report["mean"]["val_top1"] == pytest.approx(MEAN)
    # Of 1797 images 1348 or so; by hand, Wilson's interval of 0.7500 is 0.7295 to 0.7695.
    assert report["top1_interval"] == pytest.approx([0.7295, 0.7695], abs=1e-3)
    assert report["standard_deviation"]["val_top1"] == pytest.approx(DEVIATION)
    assert [row["val_top1"] for row in report["folds"]] == list(ACCURACIES)
    # The run folder says which fold it is of, so that `evaluate` measures on the same images.
    assert RunFolder.open(tmp_path / report["folds"][1]["run"]).read_data_options().fold == (2, 3)
    assert report["folds"][0]["most_frequent_class"] == pytest.approx(0.1, abs=0.01)


def test_a_stopped_fold_is_resumed_by_the_same_command(command, trainings, tmp_path):
    trainings.stop_at = 2
    first = command(*WORDS, "--out", tmp_path)
    assert first.status == 130 and "kerascnn train --folds 3" in first.err
    second = command(*WORDS, "--out", tmp_path)
    assert second.status == 0, second.err
    assert "fold 1, seed 0: is trained already" in second.err and "fold 2, seed 0: resumes" in second.err
    assert [images.options.fold[0] for images in trainings.seen] == [1, 2, 3]


def test_a_fold_that_diverged_is_left_out_of_the_mean_and_said(command, trainings, tmp_path):
    trainings.diverge_at = 2
    ended = command(*WORDS, "--out", tmp_path)
    assert ended.status == 1
    assert "diverged" in ended.out and "2 of 3 folds" in ended.out and f"{(0.5 + 0.95) / 2:.2%}" in ended.out


def test_a_fold_is_measured_by_the_model_that_its_run_leaves(tmp_path):
    folder = RunFolder(tmp_path)
    folder.history_file.write_text("epoch,val_top1,exported\n1,0.6,0\n2,0.9,1\n3,0.7,0\n")
    run = ArmRun(Arm("fold 1"), Recipe.load("finetune"), folder)
    assert FoldRun(1, run, 8, 2, None).metrics() == {"val_top1": 0.9}


def test_other_images_or_another_recipe_are_not_mixed(trainings, tmp_path):
    recipe = Recipe.for_model("resnet20").with_values(precision="float32")
    train_folds(recipe, folds_of(limit=200), tmp_path, limit=200, report=str)
    with mentioning(InputError, "other images", "limit 200", "--out"):
        train_folds(recipe, folds_of(limit=300), tmp_path, limit=300, report=str)
    with mentioning(InputError, "other images", "--out"):
        train_folds(recipe, folds_of(parts=2, limit=200), tmp_path, limit=200, report=str)
    with mentioning(InputError, "another recipe", "seed"):
        train_folds(recipe.with_values(seed=1), folds_of(limit=200), tmp_path, limit=200, report=str)


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--fold", "1/3"], ["--folds 3", "--fold"]),
        (["--val-fraction", "0.1"], ["--folds 3", "--val-fraction"]),
        (["--val-data", "other"], ["--folds 3", "--val-data"]),
        (["--workers", "2"], ["--folds 3", "--workers"]),
        (["--profile", "1:2"], ["--folds 3", "--profile"]),
        (["--resume", "runs/x"], ["--folds 3", "--resume", "repeat the command"]),
        (["--folds", "1"], ["--folds", "at least 2"]),
    ],
)
def test_options_that_contradict_folds(command, more, parts):
    ended = command(*WORDS, *more)
    assert ended.status == 2
    for part in parts:
        assert part in ended.err
