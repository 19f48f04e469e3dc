"""The commands and the code of docs/finetuning.md, run as printed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    """Where the reader is, with photographs."""
    folder = tmp_path_factory.mktemp("reader")
    for kind in ("lying", "standing"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(20):
            shutil.copy(photographs / kind / f"{number}.jpg", folder / "photos" / kind)
    return folder


def test_commands(tiny_network, command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for line in [line for block in blocks("sh") for line in block.splitlines()]:
        program, *arguments = shlex.split(line)
        assert program == "kerascnn"
        arguments = [str(next(Path().glob(word))) if "*" in word else word for word in arguments]
        # A network that has hardly learnt is near many ties.
        outcome = command(*arguments, "--image-size", "16")
        assert outcome.status in (0, 1), outcome.err
    assert "begins with runs/resnet20-digits-" in outcome.err
    assert re.search(r"head +main_fc", outcome.err)


def test_the_plan_is_the_one_that_is_printed():
    from kerascnn.applications import ResNet20
    from kerascnn.cli.tables import plan_table
    from kerascnn.console import output
    from kerascnn.training import Recipe
    from kerascnn.training.unfreezing import plan

    console = output()
    with console.capture() as captured:
        console.print(plan_table(plan(ResNet20(classes=2), Recipe.load("finetune").fine_tuning)), width=100)
    [shown] = blocks("")
    assert [line.split() for line in captured.get().splitlines()] == [line.split() for line in shown.splitlines()]


@pytest.mark.slow
def test_code(digits_run, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits_run.folder.path, tmp_path / "runs" / "resnet20-digits")
    shutil.copytree(folder / "photos", tmp_path / "photos")
    [code] = blocks("python")
    names = {}
    exec(code, names)
    assert names["tuned"].recipe.epochs == 2
    assert names["grey"].input_shape == (None, 32, 32, 1)
    assert names["pyramid"].output["C5"].shape[-1] == 1024
