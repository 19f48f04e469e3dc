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
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line.replace("-*", "-1"))
        assert program == "kerascnn"
        outcome = command(*arguments, *(() if arguments[0] == "explain" else ("--limit", "100")))
        assert outcome.status == 0, f"{line}\n{outcome.err}"
    for left in ("reports/digits/report.html", "curves.png", "explanations/cat.png", "explanations/filters.png"):
        assert (tmp_path / left).is_file()


def test_code(digits_run, few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(digits_run.folder.model_file, tmp_path)
    [code] = blocks("python")
    exec(code, {"photos": few_digits})
    assert (tmp_path / "report" / "report.html").is_file()
    assert capsys.readouterr().out.endswith("report/report.html\n")
