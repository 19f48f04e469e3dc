"""keras-tuner's own tuners, and trials that train real networks."""

import json

import keras_tuner
import pytest
import yaml

from kerascnn.applications import registry
from kerascnn.training import HyperModel, Recipe, RunFolder, Space
from kerascnn.training.search.trial_training import hold_out
from support import tiny_training
from support.messages import names


@pytest.fixture
def tiny_networks(monkeypatch):
    monkeypatch.setattr(registry, "create", tiny_training.network)


@pytest.mark.slow
def test_hyperband_of_keras_tuner_on_a_network_of_several_outputs(tiny_networks, few_digits, tmp_path):
    recipe = tiny_training.steady_recipe(epochs=3, batch_size=16)
    space = {"optimizer.learning_rate": {"min": 1e-3, "max": 1, "sampling": "log"}}
    hypermodel = HyperModel(recipe, few_digits, Space.from_dict(space, recipe))
    objective = keras_tuner.Objective("val_main_accuracy", "max")
    tuner = keras_tuner.Hyperband(hypermodel, objective, max_epochs=3, directory=tmp_path, project_name="one")
    tuner.oracle.max_trials = 2
    tuner.search(verbose=0)
    [best] = tuner.oracle.get_best_trials(1)
    assert best.status == "COMPLETED" and 0 <= best.score <= 1
    # The same metric by its other name.
    assert best.metrics.get_best_value("val_main_top1") == best.score
    found = hypermodel.recipe_of(tuner.get_best_hyperparameters()[0])
    assert found.optimizer.learning_rate == best.hyperparameters.values["optimizer.learning_rate"]
    [model] = tuner.get_best_models()
    assert set(model.output) == {"main", "aux_4a"}


def test_a_fraction_of_the_training_images_is_selected(few_digits):
    held = hold_out(few_digits)
    before = few_digits.training
    assert len(held.training) + len(held.validation) == len(before)
    images = {image.tobytes() for image in before.images}
    rest, away = ({image.tobytes() for image in part.images} for part in (held.training, held.validation))
    assert rest | away == images and not rest & away
    assert not away & {image.tobytes() for image in few_digits.validation.images}
    for label in range(10):
        of_class = (before.labels == label).sum()
        assert (held.validation.labels == label).sum() == max(1, round(0.2 * of_class))
    assert (hold_out(few_digits).validation.images == held.validation.images).all()


@pytest.mark.slow
def test_the_command_from_a_space_to_the_best_recipe(command, tmp_path):
    """With a real training, whose recipe `train` accepts."""
    values = {"augmentation.pad": 1, "image_size": 8, "batch_size": 8}
    space = {name: {"values": [value]} for name, value in values.items()}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    options = ("--limit", 100, "--precision", "float32", "--set", "augmentation.pad=0")
    outcome = command(
        *("tune", "--space", tmp_path / "space.yaml", "--tuner", "grid", "--objective", "val_loss", "--epochs", 1),
        *(*options, "--out", tmp_path, "--name", "one", "--json"),
    )
    assert outcome.status == 0, outcome.err
    *trials, report = [json.loads(line) for line in outcome.out.splitlines()]
    assert [trial["status"] for trial in trials] == ["done"]
    # Of 80 training images, 8 per class, 2 per class are held out; 60 images are 7 batches of 8.
    assert report["spent"]["images"] == 56
    assert report["cost"]["parameters"] == pytest.approx(0.27e6, rel=0.02)
    best = tmp_path / "searches" / "one" / "best.yaml"
    recipe = Recipe.load(best)
    assert (recipe.image_size, recipe.augmentation.pad) == (8, 1)
    printed = command("train", "--recipe", best, "--limit", 100, "--print-recipe")
    assert yaml.safe_load(printed.out)["augmentation"]["pad"] == 1
    # A trial reports the metrics of its run folder.
    for trial in trials:
        [run] = (tmp_path / "searches" / "one" / "trials").glob(f"{trial['number']:04d}-*/run/*")
        assert RunFolder(run).history()[-1]["val_loss"] == pytest.approx(trial["score"])
        assert not (run / "checkpoints").exists()
    again = command("tune", "--resume", tmp_path / "searches" / "one", "--json")
    assert json.loads(again.out.splitlines()[-1])["trials"] == report["trials"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--budget", "soon"], ("2h", "90m", "'soon'")),
        pytest.param(["--objective", "val_main_top1"], ("resnet20", "'val_main_top1'"), marks=pytest.mark.slow),
        (["--resume", "nowhere"], ("nowhere", "search")),
    ],
)
def test_mistakes_of_the_command(arguments, parts, command, tmp_path, shallow, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command("tune", *arguments)
    assert outcome.status == 2
    names(outcome.err, *parts)
    assert not list(tmp_path.iterdir())
