"""The table, the commands and the code of docs/recipes.md, and the verb that lists the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kerascnn.cli.recipes_in_words import learning_rate_in_words, length_in_words, networks_in_words
from kerascnn.training import Recipe, recipes

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_has_every_recipe():
    rows = {}
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            name, networks, _, length, batch, rate = (cell.strip() for cell in line.strip("|").split("|"))
            networks = [] if networks == "every network" else networks.split(", ")
            rows[name.strip("`")] = (networks, length, int(batch), float(rate.partition(";")[0]))
    assert list(rows) == list(recipes())
    for name, recipe in recipes().items():
        rate = recipe.optimizer.learning_rate
        assert rows[name] == (recipe.about.networks, length_in_words(recipe), recipe.batch_size, rate)


LINES = [line for block in blocks("sh") for line in block.splitlines()]
QUICK = ("kerascnn recipes", "--print-recipe")


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=[] if line.endswith(QUICK) else pytest.mark.slow) for line in LINES]
)
def test_commands_run_as_printed(line, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, *arguments = line.split()
    assert program == "kerascnn"
    outcome = command(*arguments)
    assert outcome.status == 0, outcome.err


def test_the_recipe_of_ones_own(tmp_path):
    [text] = blocks("yaml")
    (tmp_path / "mine.yaml").write_text(text)
    assert Recipe.load(tmp_path / "mine.yaml").peak_learning_rate == 0.05


@pytest.mark.slow
def test_code_runs_as_printed():
    [program] = blocks("python")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


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


def test_the_rate_is_said_with_its_rule():
    recipe = Recipe.load("resnet_modern").with_values(batch_size=64)
    assert learning_rate_in_words(recipe) == (
        "learning rate 0.064 = 0.256 x 64 / 256, the batch by the recipe's; cosine to 0, after 5 epochs of warm-up"
    )


def test_networks_in_few_words():
    assert networks_in_words(["resnet18", "resnet34", "vgg16", "vgg16c", "zfnet"]) == "resnet18/34, vgg16/16c, zfnet"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "optimizer.learning_rat=1"], "'optimizer.learning_rat'; the closest is 'optimizer.learning_rate'"),
        (["--set", "epochs=many"], "epochs must be a whole number, not 'many'"),
        (["--set", "epochs"], "--set takes NAME=VALUE"),
        (["--recipe", "resnet5O"], "there is no recipe 'resnet5O'; did you mean resnet5"),
    ],
)
def test_mistakes_are_told_before_anything_runs(arguments, sentence, command):
    outcome = command("train", *arguments)
    assert outcome.status == 2
    assert sentence in outcome.err and "digits" not in outcome.err
