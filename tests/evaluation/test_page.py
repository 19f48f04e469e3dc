"""Runs the commands and the code of docs/evaluation.md."""

import re
import shutil

import pytest
from PIL import Image

from kerascnn.cli.evaluating import CROPS
from support.pages import Page, run_line

PAGE = Page("docs/evaluation.md")


def test_the_table_has_every_crops_value():
    assert re.findall(r"^\| `(\w+)` \|", PAGE.text, re.MULTILINE) == list(CROPS)


def few_photographs(photographs, folder):
    folder.mkdir()
    for number in range(4):
        shutil.copy(photographs / "standing" / f"{number}.jpg", folder)


def holdout(folder):
    """Images of a class that a model of digits knows, and of one that it does not."""
    for name in ("3", "letter"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32), (40 * number, 0, len(name))).save(folder / name / f"{number}.png")


@pytest.mark.slow
def test_commands(tiny_digits_run, photographs, command, tmp_path, monkeypatch):
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    monkeypatch.chdir(tmp_path)
    for name in ("resnet20-digits-1", "plain20-digits-1"):
        shutil.copytree(tiny_digits_run.folder.path, tmp_path / "runs" / name)
    (tmp_path / "saved_models" / "resnet20-digits").mkdir(parents=True)
    file = tmp_path / "saved_models" / "resnet20-digits" / "resnet20-digits.tflite"
    write_tflite(deployable(tiny_digits_run.model), file)
    shutil.copy(photographs / "lying" / "1.jpg", tmp_path / "cat.jpg")
    few_photographs(photographs, tmp_path / "holiday")
    holdout(tmp_path / "holdout")
    for line in PAGE.lines():
        # Replaces the page's layers by the one convolution of the tiny network.
        line = line.replace("'conv3_*'", "'conv1*'")
        more = [] if line.split()[1] in ("explain", "embed") else ["--limit", 100]
        run_line(command, line, *more)
    images = "curves.png", "explanations/cat.png", "explanations/filters.png", "similar.png"
    for left in ("reports/digits/report.html", "features.npz", *images):
        assert (tmp_path / left).is_file()


@pytest.mark.slow
def test_code(tiny_digits_run, few_digits, photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_digits_run.folder.model_file, tmp_path)
    few_photographs(photographs, tmp_path / "holiday")
    holdout(tmp_path / "holdout")
    shutil.copytree(tiny_digits_run.folder.path, tmp_path / "runs" / "resnet20-digits-1")
    shutil.copy(photographs / "lying" / "1.jpg", tmp_path / "cat.jpg")
    PAGE.run(block=0)
    assert "cat.jpg" in capsys.readouterr().out
    PAGE.run({"photos": few_digits}, block=1)
    assert (tmp_path / "report" / "report.html").is_file()
    assert capsys.readouterr().out.endswith("report/report.html\n")
    PAGE.run(block=2)
    assert re.fullmatch(r"(holiday/[123]\.jpg [01]\.\d+\n){3}", capsys.readouterr().out)
