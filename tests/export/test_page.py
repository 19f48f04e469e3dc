"""The commands and the code of docs/export.md, run as printed."""

import shutil

import pytest

from support.pages import Page, run_line

PAGE = Page("docs/export.md")


@pytest.mark.slow
@pytest.mark.parametrize("line", PAGE.lines())
def test_commands(line, tiny_digits_run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_digits_run.folder.path, tmp_path / "runs" / "resnet20-digits-1")
    # The model was trained for a short time only, so it has many near ties.
    run_line(command, line, *([] if "--max-mismatch-rate" in line else ["--max-mismatch-rate", 0.5]))


@pytest.mark.slow
def test_code(tiny_digits_run, few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    PAGE.run({"model": tiny_digits_run.model, "photos": few_digits}, replace={"rate=0.1": "rate=0.5"})
    assert "'CONV_2D': 1" in capsys.readouterr().out
