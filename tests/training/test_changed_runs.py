"""Runs whose images, recipe or place have changed when they are resumed: named, and refused unless accepted."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from kerascnn import InputError
from kerascnn.data import load
from kerascnn.training import Checkpoints, Recipe, RunFolder, TrainingInterruptedError, resume, train
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.run_changes import changed_fields
from kerascnn.training.run_images import changed_images, write_images
from kerascnn.training.run_record import COUNTS
from support import tiny_training
from support.images import landscapes
from support.messages import mentioning, names
from support.runs import StopAfter


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """24 images in two folders, which tests copy."""
    return landscapes(tmp_path_factory.mktemp("originals") / "pets", 12)


@pytest.fixture
def photos(originals, tmp_path):
    return Path(shutil.copytree(originals, tmp_path / "pets"))


def swap(one: Path, other: Path) -> None:
    contents = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(contents)


CHANGES = {
    "replaced": (
        lambda root: shutil.copy(root / "cat" / "0.png", root / "cat" / "1.png"),
        ["1 image replaced (cat/1.png)"],
    ),
    "renamed": (lambda root: (root / "cat" / "0.png").rename(root / "cat" / "new.png"), ["cat/0.png -> cat/new.png"]),
    "in another class": (lambda root: (root / "cat" / "0.png").rename(root / "dog" / "new.png"), ["renamed or moved"]),
    "deleted": (lambda root: (root / "dog" / "3.png").unlink(), ["1 image deleted (dog/3.png)"]),
    "added": (
        lambda root: shutil.copy(root / "dog" / "3.png", root / "dog" / "more.png"),
        ["1 image added (dog/more.png)"],
    ),
    "two swapped": (lambda root: swap(root / "dog" / "3.png", root / "cat" / "2.png"), ["2 images replaced"]),
    "nothing": (lambda root: os.utime(root / "dog" / "3.png", (0, 0)), []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_named(change, photos, tmp_path):
    write_images(tmp_path / "images.csv.gz", load(photos))
    make, expected = CHANGES[change]
    make(photos)
    found = changed_images(tmp_path / "images.csv.gz", load(photos))
    assert bool(found) == bool(expected)
    for phrase in expected:
        assert any(phrase in sentence for sentence in found), found


def test_data_that_moved_are_the_same(photos, tmp_path):
    write_images(tmp_path / "images.csv.gz", load(photos))
    moved = photos.rename(tmp_path / "elsewhere")
    assert changed_images(tmp_path / "images.csv.gz", load(moved)) == []


def test_images_with_thousands_of_labels(tmp_path, few_digits):
    """Their list is nearly all zeros, of which a bomb is made too."""

    def labeled(examples):
        return replace(examples, labels=np.tile(np.arange(6000) < 2, (len(examples), 1)).astype(np.uint8))

    data = replace(few_digits, class_names=tuple(map(str, range(6000))))
    data = replace(data, training=labeled(data.training), validation=labeled(data.validation))
    write_images(tmp_path / "images.csv.gz", data)
    assert changed_images(tmp_path / "images.csv.gz", data) == []


def test_images_in_memory_are_compared_too(tmp_path, few_digits):
    write_images(tmp_path / "images.csv.gz", few_digits)
    assert changed_images(tmp_path / "images.csv.gz", few_digits) == []
    few_digits.training.images[7, 0, 0] ^= 1
    try:
        [found] = changed_images(tmp_path / "images.csv.gz", few_digits)
    finally:
        few_digits.training.images[7, 0, 0] ^= 1
    assert found == "1 image replaced (image 8)"
    (tmp_path / "images.csv.gz").write_bytes(b"damaged")
    with mentioning(InputError, "images.csv.gz"):
        changed_images(tmp_path / "images.csv.gz", few_digits)


def test_changed_fields_of_a_recipe():
    recipe = tiny_training.recipe()
    assert changed_fields(recipe.to_dict(), recipe) == []
    edited = recipe.with_settings(["optimizer.learning_rate=0.5", "epochs=9", "model_arguments={dropout: 0.1}"])
    found = changed_fields(recipe.to_dict(), edited)
    assert len(found) == 3
    names(" ".join(found), "optimizer.learning_rate is 0.5 and was 0.05", "epochs is 9 and was 4", "dropout")
    # Of another version: what it did not know has its default, and what is unknown now is not compared.
    assert changed_fields({name: value for name, value in recipe.to_dict().items() if name != "sampling"}, recipe) == []
    assert changed_fields({"unknown": 1}, recipe) == []


def test_an_epoch_that_begins_again_is_not_resumed_where_it_was_before(few_digits, tmp_path):
    pixels = keras.Input((8, 8, 3))
    scores = keras.layers.Dense(10, "softmax", name="fc")(keras.layers.Flatten()(pixels))
    given = {"model": keras.Model(pixels, scores, name="linear"), "verbose": 0}
    values = {"image_size": 8, "channels": 3, "precision": "float32", "epochs": 1, "batch_size": 16}
    recipe = Recipe.for_model("resnet20").with_values(**values)
    with pytest.raises(TrainingInterruptedError) as stopped:
        train(recipe, few_digits, runs=tmp_path, callbacks=[StopAfter(3)], **given)
    run = stopped.value.folder
    recipe, fewer = run.read_recipe()[0], replace(few_digits, training=few_digits.training.take(range(80)))
    with pytest.raises(TrainingInterruptedError, match="step 1"):
        resume(run, recipe, fewer, callbacks=[StopAfter(1)], accept_changes=True, warn=[].append, **given)
    position = Checkpoints(run.checkpoints).newest(print).position
    assert position == Position(0, 1), "it was stopped after step 3 before"
    resume(run, recipe, fewer, **given)
    assert len(run.history()) == 1


WRONG = {
    "recipe: 5": ("recipe", "5"),
    "recipe: {optimizer: [1]}": ("recipe.optimizer", "1"),
    "recipe: {epochs: many}": ("recipe.epochs", "many"),
    "data: [1]": ("data", "1"),
    "data: {source: 7}": ("data.source", "7"),
    "data: {source: digits, limit: few}": ("data.limit", "few"),
    "data: {source: digits, options: 3}": ("data.options", "3"),
    "data: {}": ("data.source", "missing"),
    "facts: 3": ("facts", "3"),
    "facts:": ("facts", "null"),
    "facts: {classes: [1]}": ("facts.classes", "1"),
    "facts: {classes: [a], training_images: many}": ("facts.training_images", "many"),
    "run_config: {best: -1}": ("run_config.best", "-1"),
    "run_config: text": ("run_config", "text"),
    "versions: 2": ("versions", "2"),
    "surprise: 2": ("surprise",),
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_types_in_recipe_yaml_are_one_sentence(line, tmp_path):
    facts = {"classes": ["a"], **dict.fromkeys(COUNTS, 1)}
    values = {"recipe": {}, "data": {"source": "digits", "limit": None}, "facts": facts}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert RunFolder.open(tmp_path).read_record().data.source == "digits"
    values |= yaml.safe_load(line)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    with mentioning(InputError, "recipe.yaml", *WRONG[line]) as caught:
        RunFolder.open(tmp_path).read_record()
    assert "\n" not in str(caught.value)


class DeleteAt(keras.callbacks.Callback):
    """Deletes images that are yet to be read, once a step is done."""

    def __init__(self, step: int, files: list[Path]):
        super().__init__()
        self.step, self.files = step, files

    def on_train_batch_end(self, batch, logs=None):
        self.step -= 1
        if self.step == 0:
            for file in self.files:
                file.unlink()


@pytest.fixture(scope="module")
def stopped_run(originals, tmp_path_factory):
    """A training on images in files, which was stopped after three steps of four in the first epoch."""
    runs = tmp_path_factory.mktemp("runs")
    pets = shutil.copytree(originals, tmp_path_factory.mktemp("data") / "pets")
    recipe = tiny_training.steady_recipe(epochs=2, batch_size=4)
    with tiny_training.tiny_networks(), pytest.raises(TrainingInterruptedError) as caught:
        train(recipe, pets, runs=runs, callbacks=[StopAfter(3)], verbose=0)
    return caught.value.folder.path, Path(pets)


@pytest.mark.slow
def test_the_command_names_changes_and_accepts_them(stopped_run, tmp_path, command, monkeypatch):
    """One run, resumed again and again: with moved, then other images, with an edited recipe, and with options."""
    monkeypatch.chdir(tmp_path)
    from kerascnn.cli import training as cli

    monkeypatch.setattr(cli, "_export_and_report", lambda *arguments: 0)
    run = shutil.copytree(stopped_run[0], tmp_path / "runs" / "mine")
    pets = Path(shutil.copytree(stopped_run[1], tmp_path / "moved"))

    def resume(*options):
        with tiny_training.tiny_networks():
            return command("train", "--resume", run, *options)

    def edit(**fields):
        values = yaml.safe_load((run / "recipe.yaml").read_text())
        values["recipe"] |= fields
        (run / "recipe.yaml").write_text(yaml.safe_dump(values))

    names(command("train", "--accept-changes").err, "--accept-changes", "--resume")
    refused = resume("--epochs", 3)
    assert refused.status == 2
    names(refused.err, "--epochs", "--accept-changes")
    values = yaml.safe_load((run / "recipe.yaml").read_text())
    values["data"]["source"] = str(tmp_path / "gone")
    (run / "recipe.yaml").write_text(yaml.safe_dump(values))
    outcome = resume()
    assert outcome.status == 2
    names(outcome.err, tmp_path / "gone", "--data")

    changed = next(pets.glob("cat/*.png"))
    contents = changed.read_bytes()
    shutil.copy(next(pets.glob("dog/*.png")), changed)
    edit(seed=77)
    outcome = resume("--data", pets)
    assert outcome.status == 2 and "Traceback" not in outcome.err
    names(outcome.err, f"replaced (cat/{changed.name})", "seed is 77 and was 5", "--accept-changes")
    changed.write_bytes(contents)
    edit(seed=5)

    outcome = resume("--data", pets)
    assert outcome.status == 0, outcome.err
    names(outcome.err, tmp_path / "gone", pets, "are the same")
    record = RunFolder.open(run).read_record()
    assert record.data.source == str(pets) and len(RunFolder(run).history()) == 2

    next(pets.glob("cat/*.png")).unlink()
    outcome = resume("--accept-changes", "--epochs", 3)
    assert outcome.status == 0, outcome.err
    names(outcome.err, "accepted", "deleted", "epochs is 3 and was 2")
    record = RunFolder.open(run).read_record()
    assert record.recipe.epochs == 3 and len(RunFolder(run).history()) == 3
    assert len(record.facts["accepted_changes"]) == 1
    assert resume().status == 0

    def broken(*arguments):
        """A signal in the middle of TensorFlow, which makes another exception of it."""
        os.kill(os.getpid(), signal.SIGTERM)
        raise TypeError("expected a tensor")

    monkeypatch.setattr(cli, "_export_and_report", broken)
    outcome = resume()
    assert outcome.status == 130
    names(outcome.err, "stopped", "after epoch 3", "kerascnn train --resume")
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_images_deleted_during_a_training_are_named_and_the_state_kept(stopped_run, tmp_path):
    run = RunFolder(Path(shutil.copytree(stopped_run[0], tmp_path / "run")))
    pets = Path(shutil.copytree(stopped_run[1], tmp_path / "pets"))
    data = load(pets)
    files = [Path(path) for path in data.training.paths]
    with tiny_training.tiny_networks(), mentioning(InputError, "gone", pets, run.path, "--accept-changes") as caught:
        resume(run, run.read_recipe()[0], data, callbacks=[DeleteAt(1, files[2:])], warn=[].append, verbose=0)
    assert "after step" in str(caught.value) or "after epoch" in str(caught.value)
    assert "\n" not in str(caught.value)
