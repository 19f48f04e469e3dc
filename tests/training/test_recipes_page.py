"""The table, the commands and the code of docs/recipes.md, and the subcommand that lists the same."""

import json

import keras
import pytest
import yaml

from kerascnn.applications import GoogLeNet
from kerascnn.cli.recipe_tables import format_learning_rate, format_length, format_networks
from kerascnn.training import Recipe, recipes
from support.messages import refused
from support.pages import Page, run_line
from support.tiny_training import network, tiny_networks

PAGE = Page("docs/recipes.md")


def test_the_table_has_every_recipe():
    rows = {}
    for line in PAGE.text.splitlines():
        if line.startswith("| `"):
            name, networks, _, length, batch, rate = (cell.strip() for cell in line.strip("|").split("|"))
            networks = [] if networks == "every network" else networks.split(", ")
            rows[name.strip("`")] = (networks, length, int(batch), float(rate.partition(";")[0]))
    assert list(rows) == list(recipes())
    for name, recipe in recipes().items():
        rate = recipe.optimizer.learning_rate
        assert rows[name] == (recipe.about.networks, format_length(recipe), recipe.batch_size, rate)


TRAINING = "kerascnn train --limit 200"


@pytest.mark.parametrize("line", [line for line in PAGE.lines() if not line.startswith(TRAINING)])
def test_commands_run_as_printed(line, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_line(command, line)


@pytest.mark.slow
def test_the_training_runs_as_printed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [line] = [line for line in PAGE.lines() if line.startswith(TRAINING)]
    with tiny_networks():
        # A network that has hardly learned is near many ties.
        run_line(command, line, statuses=(0, 1))


def test_the_recipe_of_ones_own(tmp_path):
    [text] = PAGE.blocks("yaml")
    (tmp_path / "mine.yaml").write_text(text)
    assert Recipe.load(tmp_path / "mine.yaml").peak_learning_rate == 0.05


@pytest.mark.slow
def test_code_runs_as_printed():
    # A tiny network with heads of the same names; test_user_code.py trains others in this way.
    googlenet = "GoogLeNet(input_shape=(72, 72, 3), classes=2, aux_heads=True)"
    tiny = 'network("googlenet", input_tensor=keras.Input((72, 72, 3)), classes=2, aux_heads=True)'
    names = PAGE.run({"keras": keras, "network": network}, replace={googlenet: tiny})
    assert names["GoogLeNet"] is GoogLeNet and names["model"].optimizer.iterations == 2


def test_recipes_are_listed(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    listed = json.loads(command("recipes", "--json").out)
    assert [one["name"] for one in listed] == list(recipes())
    assert listed[0]["optimizer"]["learning_rate"] == 0.01
    shown = command("recipes")
    assert shown.status == 0 and max(map(len, shown.out.splitlines())) <= 80
    for name in recipes():
        assert name in shown.out


def test_what_is_printed_is_what_runs(command, tmp_path):
    arguments = ["train", "--recipe", "resnet50", "--set", "batch_size=64", "--limit", "100", "--precision", "float32"]
    printed = command(*arguments, "--print-recipe")
    assert printed.status == 0
    values = yaml.safe_load(printed.out)
    assert (values["model"], values["image_size"], values["precision"]) == ("resnet50", 224, "float32")
    assert values == json.loads(command(*arguments, "--print-recipe", "--json").out)
    (tmp_path / "again.yaml").write_text(printed.out)
    assert Recipe.load(tmp_path / "again.yaml").to_dict() == values


def test_the_learning_rate_is_printed_with_its_rule():
    recipe = Recipe.load("resnet_modern").with_values(batch_size=64)
    assert format_learning_rate(recipe) == (
        "learning rate 0.064 = 0.256 x 64 / 256 (batch size / base_batch_size); cosine to 0, after 5 epochs of warm-up"
    )


def test_networks_are_joined():
    assert format_networks(["resnet18", "resnet34", "vgg16", "vgg16c", "zfnet"]) == "resnet18, 34; vgg16, 16c; zfnet"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--set", "optimizer.learning_rat=1"], ["'optimizer.learning_rat'", "'optimizer.learning_rate'"]),
        (["--set", "epochs=many"], ["epochs", "whole number", "'many'"]),
        (["--set", "epochs"], ["--set", "NAME=VALUE"]),
        (["--recipe", "resnet5O"], ["'resnet5O'", "did you mean resnet5"]),
    ],
)
def test_mistakes_are_reported_before_anything_runs(arguments, parts, command):
    outcome = command("train", *arguments)
    refused(outcome, *parts)
    assert "digits" not in outcome.err
