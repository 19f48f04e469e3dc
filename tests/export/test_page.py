"""The commands and the code of docs/export.md, run as printed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_commands(line, digits_run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits_run.folder.path, tmp_path / "runs" / "resnet20-digits-1")
    program, *arguments = shlex.split(line.replace("-*", "-1"))
    assert program == "kerascnn"
    # The model was trained for a moment only, and is near many ties.
    outcome = command(*arguments, *([] if "--tolerance" in arguments else ["--tolerance", "0.2"]))
    assert outcome.status == 0, outcome.err


def test_code(digits_run, few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [code] = blocks("python")
    exec(code, {"model": digits_run.model, "photos": few_digits})
    assert "'CONV_2D': 19" in capsys.readouterr().out
