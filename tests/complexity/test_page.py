"""The commands and the code of docs/complexity.md, run as printed."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "complexity.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(line)
    assert program == "kerascnn"
    assert command(*arguments).status == 0
    if "--plot" in arguments:
        assert Path(arguments[arguments.index("--plot") + 1]).stat().st_size > 10_000


def test_code(capsys):
    [code] = blocks("python")
    exec(code, {})
    macs, parameters, share = capsys.readouterr().out.split()
    assert (macs, parameters) == ("15470264320", "102764544")
    assert 0 < float(share) < 1
