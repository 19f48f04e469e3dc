"""The commands and the code of docs/evaluation.md, run as printed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from kerascnn.cli.evaluating import CROPS

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_has_every_kind_of_crops():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(CROPS)


def few_photographs(photographs, folder):
    folder.mkdir()
    for number in range(4):
        shutil.copy(photographs / "standing" / f"{number}.jpg", folder)


@pytest.mark.slow
def test_commands(digits_run, few_digits, photographs, command, tmp_path, monkeypatch):
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    monkeypatch.chdir(tmp_path)
    for name in ("resnet20-digits-1", "plain20-digits-1"):
        shutil.copytree(digits_run.folder.path, tmp_path / "runs" / name)
    (tmp_path / "saved_models" / "resnet20-digits").mkdir(parents=True)
    write_tflite(deployable(digits_run.model), tmp_path / "saved_models" / "resnet20-digits" / "resnet20-digits.tflite")
    shutil.copy(photographs / "lying" / "1.jpg", tmp_path / "cat.jpg")
    few_photographs(photographs, tmp_path / "holiday")
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line.replace("-*", "-1"))
        assert program == "kerascnn"
        outcome = command(*arguments, *(() if arguments[0] in ("explain", "embed") else ("--limit", "100")))
        assert outcome.status == 0, f"{line}\n{outcome.err}"
    pictures = "curves.png", "explanations/cat.png", "explanations/filters.png", "alike.png"
    for left in ("reports/digits/report.html", "features.npz", *pictures):
        assert (tmp_path / left).is_file()


def test_code(digits_run, few_digits, photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(digits_run.folder.model_file, tmp_path)
    few_photographs(photographs, tmp_path / "holiday")
    evaluating, embedding = blocks("python")
    exec(evaluating, {"photos": few_digits})
    assert (tmp_path / "report" / "report.html").is_file()
    assert capsys.readouterr().out.endswith("report/report.html\n")
    exec(embedding, {})
    assert re.fullmatch(r"(holiday/[123]\.jpg [01]\.\d+\n){3}", capsys.readouterr().out)
