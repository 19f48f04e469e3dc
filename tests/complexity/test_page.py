"""The commands and the code of docs/complexity.md."""

from pathlib import Path

import pytest

from support.pages import Page, arguments_of, run_line

PAGE = Page("docs/complexity.md")


@pytest.mark.parametrize("line", PAGE.lines())
def test_commands(line, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_line(command, line)
    arguments = arguments_of(line)
    if "--plot" in arguments:
        assert Path(arguments[arguments.index("--plot") + 1]).stat().st_size > 10_000


def test_code(capsys):
    PAGE.run()
    macs, parameters, share = capsys.readouterr().out.split()
    assert (macs, parameters) == ("15470264320", "102764544")
    assert 0 < float(share) < 1
