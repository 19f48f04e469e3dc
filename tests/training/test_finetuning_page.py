"""The commands and the code of docs/finetuning.md, run as printed."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from kerascnn.training import Recipe, RunConfig, RunFolder
from kerascnn.training.assembly import build
from support.pages import Page, run_line

PAGE = Page("docs/finetuning.md")


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    """Where the reader is, with photographs."""
    folder = tmp_path_factory.mktemp("reader")
    for kind in ("lying", "standing"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(20):
            shutil.copy(photographs / kind / f"{number}.jpg", folder / "photos" / kind)
    return folder


def leave_run(name, folder, recipe):
    """A run that came to its end, of a network as it was drawn."""
    folder = RunFolder(folder / "runs" / name)
    folder.path.mkdir(parents=True)
    recipe = recipe.with_values(image_size=32, precision="float32")
    build(recipe, list("0123456789")).save(folder.model_file)
    folder.write_recipe(recipe, "digits", 200, {}, RunConfig())


@pytest.mark.slow
def test_commands(tiny_network, command, folder, monkeypatch):
    """The first leaves a run of what every page trains; one that is made in its place takes less time."""
    monkeypatch.chdir(folder)
    leave_run("resnet20-digits-20261120-101500", folder, Recipe.for_model("resnet20"))
    first, *lines = PAGE.lines()
    assert first == "kerascnn train --limit 200 --epochs 2" and len(lines) == 2
    for line, out in zip(lines, ("probed", "fine-tuned"), strict=True):
        # A network that has hardly learnt is near many ties.
        small = ("--image-size", 16, "--epochs", 1 + (out == "fine-tuned"))
        outcome = run_line(command, line, *small, "--json", statuses=(0, 1))
        assert "begins with runs/resnet20-digits-" in outcome.err
        probe, *epochs, report = [json.loads(line) for line in outcome.out.splitlines()]
        assert [probe["event"], report["event"]] == ["probe", "report"]
        assert [epoch["epoch"] for epoch in epochs] == list(range(1, small[-1] + 1))
    for text in ("fine-tuning trains all layers", "held-out training images", "fine-tuned ", "is exported"):
        assert text in outcome.err
    [run] = (folder / "fine-tuned" / "runs").iterdir()
    assert RunFolder.open(run).read_recipe()[3]["exported"] in ("probe", "fine-tuned")


def test_the_plan_is_the_one_that_is_printed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    from kerascnn.applications import ResNet20
    from kerascnn.cli.tables import plan_table
    from kerascnn.console import output
    from kerascnn.training.fine_tuning.gradual_unfreezing import plan

    console = output()
    with console.capture() as captured:
        tuning = replace(Recipe.load("finetune").fine_tuning, head_epochs=1, stage_epochs=1)
        console.print(plan_table(plan(ResNet20(classes=2), tuning), 12))
    shown = re.search(r"^ *stage .*?(?=^```)", PAGE.text, re.MULTILINE | re.DOTALL)
    assert captured.get().split() == shown[0].split()


@pytest.mark.slow
def test_code(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leave_run("resnet20-digits", tmp_path, Recipe.for_model("resnet20"))
    shutil.copytree(folder / "photos", tmp_path / "photos")
    names = PAGE.run()
    assert names["tuned"].recipe.epochs == 2
    assert names["gray"].input_shape == (None, 32, 32, 1)
    assert names["pyramid"].output["C5"].shape[-1] == 1024
