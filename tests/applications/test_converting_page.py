"""The tables, the commands and the code of docs/converting.md."""

import re

import pytest

from kerascnn.applications import ResNet18
from kerascnn.applications.weights import keras_layouts, torch_layouts
from support.pages import Page, run_line

PAGE = Page("docs/converting.md")


def test_tables_of_names():
    tables = re.findall(
        r"^\| (\w+) \| (?:torchvision|akamaster)'s \|\n\|---\|---\|\n((?:\|.*\|\n)+)", PAGE.text, re.MULTILINE
    )
    assert [network for network, _ in tables] == [
        *("AlexNetV2", "VGG16", "VGG16_BN", "ResNet50", "GoogLeNet", "InceptionV3", "ResNet20"),
    ]
    for network, rows in tables:
        for ours, theirs in re.findall(r"\| `(\S+)` \| `(\S+)` \|", rows):
            assert torch_layouts.LAYOUTS[network].names[ours] == theirs


@pytest.mark.parametrize(("ending", "known"), [("safetensors", torch_layouts.LAYOUTS), ("h5", keras_layouts.LAYOUTS)])
def test_networks_of_layouts(ending, known):
    [row] = re.findall(rf"^\| `\.{ending}` .*\| (.*) \|$", PAGE.text, re.MULTILINE)
    assert set(re.findall(r"[A-Z]\w+", row)) == {name.removesuffix("_BN") for name in known}


@pytest.mark.slow
def test_commands_run_as_printed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ResNet18(input_shape=(32, 32, 3), classes=3).save("model.keras")
    for line in PAGE.lines():
        run_line(command, line)


@pytest.mark.slow
def test_code_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PAGE.run()
