"""The commands and the code of docs/export.md, run as printed."""

import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from support.pages import Page, run_line

PAGE = Page("docs/export.md")


@pytest.mark.slow
@pytest.mark.parametrize("line", PAGE.blocks("sh")[0].splitlines())
def test_commands(line, tiny_digits_run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_digits_run.folder.path, tmp_path / "runs" / "resnet20-digits-1")
    # The model was trained for a short time only, so it has many near ties.
    run_line(command, line, *([] if "--max-mismatch-rate" in line else ["--max-mismatch-rate", 0.5]))


@pytest.mark.slow
def test_code(tiny_digits_run, few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"model": tiny_digits_run.model, "photos": few_digits}
    PAGE.run(names, block=0, replace={"rate=0.1": "rate=0.5"})
    assert "'CONV_2D': 1" in capsys.readouterr().out
    assert b"TFL3" in PAGE.run(names, block=1)["content"][:8]


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """A model of pixels in [0, 1] in the current folder, with its labels and images."""
    monkeypatch.chdir(tmp_path)
    layers = keras.layers
    head = [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((16, 16, 3)), *head])
    model.save("flowers.h5")
    (tmp_path / "flowers.txt").write_text("daisy\nrose\n")
    for name in ("daisy", "rose"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(5):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "flowers" / name / f"{name}{number}.png")
    shutil.copy("flowers/rose/rose0.png", "cat.jpg")
    return model


@pytest.mark.slow
def test_models_of_others(flowers, command):
    for line in PAGE.blocks("sh")[1].splitlines():
        run_line(command, line)
    classifier = PAGE.run({"model": flowers}, block=2)["classifier"]
    assert classifier.class_names == ("daisy", "rose")
