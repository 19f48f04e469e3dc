"""The commands and the code of docs/index.md, docs/coming_from.md and docs/reference, run as printed."""

import re
import shutil

import keras
import numpy as np
import pytest

from kerascnn import applications, data
from kerascnn.applications import registry
from kerascnn.applications.weights.tensor_files import write_safetensors
from kerascnn.applications.weights.torch_layouts import to_torch
from kerascnn.cli import _parser
from kerascnn.training import Recipe
from support.networks import without_values
from support.pages import Page, arguments_of, run_line
from support.tiny_training import tiny_networks

INDEX = Page("docs/index.md")
COMING_FROM = Page("docs/coming_from.md")
GALLERY = Page("docs/gallery.md")
# Few pixels and steps; the answers of networks that have learned nothing in them may change by a class.
TRAIN = ("--image-size", 16, "--epochs", 1, "--precision", "float32")
# test_readme.py asks for public weights where there is no network.
PUBLIC = "kerascnn train --model resnet50 --weights imagenet --data photos"


@pytest.fixture
def run(tiny_digits_run, readers_folder):
    """A finished run, `runs/last`."""
    name = tiny_digits_run.folder.path.name
    return shutil.copytree(tiny_digits_run.folder.path, readers_folder / "runs" / name)


@pytest.mark.slow
def test_the_paths_of_the_index(readers_folder, command):
    first, *lines = [line for line in INDEX.lines() if line != "pip install ." and line != PUBLIC]
    assert first == "kerascnn train" and len(lines) == 10
    with tiny_networks():
        for line in lines:
            more = {"train": TRAIN, "export": ("--max-mismatch-rate", 1)}.get(line.split()[1], ())
            run_line(command, line.replace("resnet50-photos@last", "runs/last"), *more)
    for left in ("report/report.html", "saved_models/photos/model_card.md", "explanations/cat.png"):
        assert (readers_folder / left).is_file()


@pytest.mark.slow
def test_a_network_of_your_own(readers_folder, capsys):
    faster = {'"digits", model': "digits, model", 'kerascnn.data.load("digits")': "digits", "epochs=3": "epochs=1"}
    INDEX.run({"digits": data.load("digits", limit=120)}, replace=faster)
    # By hand: 16 x 16 positions of 3 x 3 x 3 to 32, 8 x 8 of 3 x 3 x 32 to 64, 64 to 10.
    assert f"{16 * 16 * 27 * 32 + 8 * 8 * 288 * 64 + 640:,} multiply-adds" in capsys.readouterr().out
    assert (readers_folder / "saved_models" / "mine" / "mine.tflite").is_file()


@pytest.mark.parametrize("page", [COMING_FROM, GALLERY], ids=["coming_from", "gallery"])
def test_commands_of_other_pages(page, run, readers_folder):
    """They are read by the parser; the paths of the index and the pages of each subcommand run the same ones."""
    for name in ("resnet20-digits", "plain20-digits"):
        shutil.copytree(run, readers_folder / "runs" / f"{name}-20261128-120000")
    lines = [line for line in page.lines() if line.startswith("kerascnn ")]
    assert len(lines) >= 7
    for line in lines:
        options = _parser().parse_args(arguments_of(line))
        assert options.subcommand == line.split()[1]


def ours(code):
    """The number of the one block of Python for kerascnn that contains some code."""
    blocks = enumerate(COMING_FROM.blocks("python"))
    [number] = [number for number, block in blocks if block.startswith("# kerascnn") and code in block]
    return number


@pytest.fixture
def names_of_imagenet(monkeypatch):
    """Keras downloads them when they are first needed."""
    names = {str(number): [f"n{number}", f"name {number}"] for number in range(1000)}
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", names)


def public_network(name, weights):
    """In place of a network with its public weights, which are downloaded."""
    assert registry.canonical(name) == "resnet50"
    assert weights in ("imagenet", "torchvision-v2", "timm/resnet50.a1_in1k")
    pixels = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(1000, 1, name="conv1")(pixels)
    scores = keras.layers.Softmax(name="predictions")(keras.layers.GlobalAveragePooling2D(name="pool")(maps))
    network = keras.Model(pixels, scores, name="resnet50")
    network.preprocessing_mode = "torch"
    return network


@pytest.mark.slow
def test_builders_and_public_weights(readers_folder, names_of_imagenet, monkeypatch, capsys):
    small = {'weights="imagenet"': "input_shape=(32, 32, 3)"}
    COMING_FROM.run({"pixels": np.zeros((1, 32, 32, 3))}, block=ours("resnet.ResNet50("), replace=small)
    assert capsys.readouterr().out.count("name ") == 3
    monkeypatch.setattr(registry, "create", public_network)
    timm = 'kerascnn.load("timm/resnet50.a1_in1k")'
    for load in ('kerascnn.load("resnet50")', 'kerascnn.load("resnet50", weights=weights)', timm):
        COMING_FROM.run(block=ours(load))
        assert re.search(r"cat\.jpg +name \d+ +0\.\d+%", capsys.readouterr().out)


@pytest.mark.slow
def test_networks_of_torchvision(readers_folder, capsys):
    without_values(COMING_FROM.run, block=ours("aux_heads=True"))
    assert capsys.readouterr().out == "['main', 'aux_4a', 'aux_4d']\n"
    maps = without_values(COMING_FROM.run, block=ours("features("))["maps"]
    assert [maps.output[level].shape[-1] for level in ("C4", "C5")] == [256, 512]
    assert without_values(COMING_FROM.run, block=ours("applications.create("))["model"].output_shape == (None, 10)
    assert "timm/resnet50.a1_in1k 80.382\n" in capsys.readouterr().out
    theirs = applications.ResNet18(classes=10)
    write_safetensors("mine.safetensors", to_torch("ResNet18", theirs.layers))
    model = COMING_FROM.run(block=ours("mine.safetensors"))["model"]
    np.testing.assert_array_equal(model.get_layer("predictions").kernel, theirs.get_layer("predictions").kernel)


@pytest.mark.slow
def test_fine_tuning_exporting_and_predicting(readers_folder, run, capsys):
    recipe = Recipe.load("finetune").with_values(epochs=2, image_size=16)
    public = '"imagenet",\n    photos,\n    model="resnet50",'
    with tiny_networks():
        names = COMING_FROM.run(
            {"recipe": recipe}, block=ours("training.finetune("), replace={public: '"runs/last", photos, recipe=recipe'}
        )
    assert names["photos"].class_names == ("lying", "standing")
    COMING_FROM.run(names, block=ours("kerascnn.export("))
    assert (readers_folder / "exported" / "exported.tflite").is_file()
    capsys.readouterr()
    COMING_FROM.run(block=ours('kerascnn.load("runs/last")'))
    assert len(re.findall(r"^photos/\w+/\d.jpg \w+ 0\.\d+$", capsys.readouterr().out, re.MULTILINE)) == 12
